package console

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
)

// filters are what narrows the list of invites, as it stands in the address.
type filters struct {
	Status, Channel, App, Inviter, Reason, Progress, Expiring, Since, Until string
	// Owner is ownerMe, or empty.
	Owner string
	// Domain is of the recipient's address.
	Domain string
	// Metadata is one pair of the product's, as name=value.
	Metadata string
	// Template is the version of the templates of a sent message.
	Template string
	// Within bounds when the invite failed, where failed ones are asked for; so do
	// FailedSince and FailedUntil, to the minute and in UTC.
	Within, FailedSince, FailedUntil string
}

// ownerMe selects the invites that the reader owns.
const ownerMe = "me"

// The values of Within; the counts of home use the same windows.
const (
	pastDay  = "day"
	pastWeek = "week"
)

// windowDuration is how long a window is; zero for none.
func windowDuration(window string) time.Duration {
	switch window {
	case pastDay:
		return find.FailedWindow
	case pastWeek:
		return find.ConnectFailedWindow
	}
	return 0
}

// fails reports whether the filters ask for invites that failed.
func (f filters) fails() bool {
	return f.Status == string(invite.Failed) || f.Progress == string(invite.ConnectFailed)
}

// filtersOf reads the filters of a request; values without a meaning are
// left out.
func filtersOf(p *page) filters {
	q := func(name string) string { return strings.TrimSpace(p.QueryParam(name)) }
	f := filters{
		Status: oneOf(q("status"), invite.Statuses()...), Channel: oneOf(q("channel"), invite.AllChannels()...),
		Reason: oneOf(q("reason"), listReasons()...), Progress: oneOf(q("progress"), invite.Progresses()...),
		App: q("app"), Inviter: q("inviter"), Owner: oneOf(q("owner"), ownerMe), Domain: q("domain")[strings.LastIndexByte(q("domain"), '@')+1:], // the part before the @ stays in no link
	}
	if name, value, ok := strings.Cut(q("metadata"), "="); ok && !strings.Contains(q("metadata"), "@") { // an address stays in no link
		f.Metadata = strings.TrimSpace(name) + "=" + strings.TrimSpace(value)
	}
	within, failedSince, failedUntil := oneOf[string](q("within"), pastDay, pastWeek), minuteIn(q("failed_since")), minuteIn(q("failed_until"))
	if f.Status == "" && f.Progress == "" && within+failedSince+failedUntil != "" {
		f.Status = string(invite.Failed) // when something failed is asked of what failed
	}
	if f.fails() {
		f.Within, f.FailedSince, f.FailedUntil = within, failedSince, failedUntil
	}
	if templateVersion.MatchString(q("template")) {
		f.Template = q("template")
	}
	if q("expiring") != "" {
		f.Expiring = "1"
	}
	for name, to := range map[string]*string{"since": &f.Since, "until": &f.Until} {
		if !parseDay(q(name)).IsZero() {
			*to = q(name)
		}
	}
	return f
}

// members are names and values, for an address.
func (f filters) members() []string {
	return []string{
		"status", f.Status, "channel", f.Channel, "app", f.App, "inviter", f.Inviter, "reason", f.Reason, "progress", f.Progress,
		"expiring", f.Expiring, "within", f.Within, "failed_since", f.FailedSince, "failed_until", f.FailedUntil, "domain", f.Domain, "metadata", f.Metadata, "template", f.Template,
		"since", f.Since, "until", f.Until, "owner", f.Owner,
	}
}

// isFolded reports whether no filter is set but those that are always visible.
func (f filters) isFolded() bool {
	f.Status, f.Since, f.Until, f.Progress, f.Expiring, f.Owner = "", "", "", "", "", ""
	return f == filters{}
}

// isPossible reports whether an invite can match: no inviter's name and no domain
// is without terms.
func (f filters) isPossible(out find.Filter) bool {
	return (f.Inviter == "" || len(out.Inviter) > 0) && (f.Domain == "" || len(out.Domain) > 0)
}

var templateVersion = regexp.MustCompile(`^[0-9a-f]{6,64}$`)

// minuteForm is how browsers send a date with a time.
const minuteForm = "2006-01-02T15:04"

// minuteIn is the text if it is a date with a time, else empty.
func minuteIn(text string) string {
	if _, err := time.Parse(minuteForm, text); err != nil {
		return ""
	}
	return text
}

// failedBetween is the window in which the invite must have failed; zero times for
// none. Of a window with an end only, the week before it counts.
func (f filters) failedBetween(now time.Time) (since, until time.Time) {
	since, _ = time.Parse(minuteForm, f.FailedSince)
	until, _ = time.Parse(minuteForm, f.FailedUntil)
	if d := windowDuration(f.Within); d > 0 && now.Add(-d).After(since) {
		since = now.Add(-d)
	}
	if since.IsZero() && !until.IsZero() {
		since = until.Add(-find.ConnectFailedWindow)
	}
	return since, until
}

func (f filters) filter(p *page) find.Filter {
	out := find.Filter{
		Place: p.by.Place, Limit: perPage, App: f.App, Channel: invite.Channel(f.Channel),
		Reason: invite.Reason(f.Reason), Expiring: f.Expiring != "", Template: f.Template,
		Inviter: find.InviterTerms(p.Box, p.by.Place, f.Inviter), Domain: find.DomainTerms(p.Box, p.by.Place, f.Domain),
		CreatedAfter: parseDay(f.Since), CreatedBefore: parseDay(f.Until),
	}
	if name, value, ok := strings.Cut(f.Metadata, "="); ok {
		out.Metadata = find.MetadataTerms(p.Box, p.by.Place, map[string]string{name: value})
	}
	if f.Status != "" {
		out.Status = []invite.Status{invite.Status(f.Status)}
	}
	if f.Owner == ownerMe {
		out.Owner = p.signed.Staff.ID
	}
	if f.Progress != "" {
		out.Progress = []invite.Progress{invite.Progress(f.Progress)}
	}
	since, until := f.failedBetween(p.frame.Now)
	if out.FailedBefore = until; f.Status == string(invite.Failed) {
		out.FailedAfter = since
	} else {
		out.ConnectFailedAfter = since
	}
	if !out.CreatedBefore.IsZero() {
		out.CreatedBefore = out.CreatedBefore.AddDate(0, 0, 1) // the day itself counts
	}
	return out
}

func listReasons() []invite.Reason {
	var out []invite.Reason
	for _, e := range invite.Explanations() {
		out = append(out, e.Code)
	}
	return out
}

// oneOf is a word of a list, or nothing: anyone can write the address.
func oneOf[T ~string](word string, list ...T) string {
	if slices.Contains(list, T(word)) {
		return word
	}
	return ""
}

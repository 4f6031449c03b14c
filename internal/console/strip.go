package console

import (
	"html/template"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/console/picture"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/counts"
	"github.com/connectlink/connectlink/internal/store/endpoint"
)

const (
	// stripCells are quarters of an hour: 24 hours.
	stripCells = 96
	// judgedCells is how many of the latest the state now is judged by: an hour.
	judgedCells = 4
	// leastKnown is how many outcomes a quarter must have to be judged by its failures.
	leastKnown = 5
)

// strip is how a provider did in 24 hours.
type strip struct {
	Picture template.HTML
	Hours   []stripHour // the latest first, without those in which nothing happened
}

// stripHour is a line of a strip's table.
type stripHour struct {
	At                                   time.Time
	Accepted, Delivered, Failed, Refused int
}

// outcomes are the messages of a place in 24 hours, by provider and quarter.
type outcomes struct {
	begin time.Time
	cells map[string][]counts.Messages
	warn  int // percent that did not arrive, from which a provider is degraded
}

// outcomes reads them once for a page.
func (s *console) outcomes(p *page) (o outcomes, list []counts.Messages, err error) {
	end := p.frame.Now.Truncate(counts.BucketOf).Add(counts.BucketOf)
	o = outcomes{begin: end.Add(-stripCells * counts.BucketOf), cells: map[string][]counts.Messages{}, warn: 10}
	for _, project := range s.Projects {
		if project.ID == p.by.Project && project.Alerts.BouncePercent > 0 {
			o.warn = project.Alerts.BouncePercent
		}
	}
	if list, err = counts.ListMessages(p.ctx(), s.DB, p.by.Place, o.begin, end); err != nil {
		return o, nil, err
	}
	for _, m := range list {
		o.at(m.Provider)[o.cell(m.Bucket)] = m
		if m.Provider != counts.Pipedream { // an accepted message has a link
			sum := &o.at(counts.Pipedream)[o.cell(m.Bucket)]
			sum.Accepted += m.Accepted
		}
	}
	for i, m := range o.cells[counts.Pipedream] {
		for _, own := range list {
			if own.Provider == counts.Pipedream && o.cell(own.Bucket) == i {
				m.Refused = own.Refused
			}
		}
		o.cells[counts.Pipedream][i] = m
	}
	return o, list, nil
}

func (o outcomes) at(provider string) []counts.Messages {
	if o.cells[provider] == nil {
		o.cells[provider] = make([]counts.Messages, stripCells)
	}
	return o.cells[provider]
}

func (o outcomes) cell(bucket time.Time) int {
	return min(max(int(bucket.Sub(o.begin)/counts.BucketOf), 0), stripCells-1)
}

// judge returns the kind of some messages: down, where no message was accepted or none
// arrived, degraded, healthy, or none.
func (o outcomes) judge(m counts.Messages) string {
	known, calls := m.Delivered+m.Failed, m.Accepted+m.Refused
	share := func(part, whole, percent int) bool { return whole > 0 && part*100 >= whole*percent }
	switch {
	case m.Refused > 0 && m.Accepted == 0, known >= leastKnown && m.Delivered == 0:
		return picture.Bad
	case m.Refused > 0 && share(m.Refused, calls, o.warn), known >= leastKnown && share(m.Failed, known, o.warn):
		return picture.Warn
	case known+calls > 0:
		return picture.Good
	}
	return picture.None
}

// lately sums the last hour of a provider.
func (o outcomes) lately(provider string) (sum counts.Messages) {
	for _, m := range o.at(provider)[stripCells-judgedCells:] {
		sum = sum.Add(m)
	}
	return sum
}

// strip draws a provider's 24 hours.
func (p *page) strip(o outcomes, provider string) strip {
	kinds := make([]string, stripCells)
	count := map[string]int{}
	var hours []stripHour
	for i, m := range o.at(provider) {
		kinds[i] = o.judge(m)
		count[kinds[i]]++
		if i%4 == 0 {
			hours = append(hours, stripHour{At: o.begin.Add(time.Duration(i) * counts.BucketOf)})
		}
		h := &hours[len(hours)-1]
		h.Accepted, h.Delivered, h.Failed, h.Refused = h.Accepted+m.Accepted, h.Delivered+m.Delivered, h.Failed+m.Failed, h.Refused+m.Refused
	}
	return strip{p.stripPicture(kinds, count), happened(hours)}
}

func (p *page) stripPicture(kinds []string, count map[string]int) template.HTML {
	return picture.Strip(p.t("24 hours by quarters: %d healthy, %d degraded, %d down, %d without traffic",
		count[picture.Good], count[picture.Warn], count[picture.Bad], count[picture.None]), kinds)
}

// happened are the hours in which something happened, the latest first.
func happened(hours []stripHour) (out []stripHour) {
	for i := len(hours) - 1; i >= 0; i-- {
		if h := hours[i]; h.Accepted+h.Delivered+h.Failed+h.Refused > 0 {
			out = append(out, h)
		}
	}
	return out
}

// state is the badge of a provider, by the kind that its strip has.
func (p *page) state(kind string) view.Badge {
	switch kind {
	case picture.Bad:
		return view.Badge{Kind: "bad", Icon: "alert", Text: p.t("Down")}
	case picture.Warn:
		return view.Badge{Kind: "warn", Icon: "alert", Text: p.t("Degraded")}
	}
	return view.Badge{Kind: "good", Icon: "check", Text: p.t("Healthy")}
}

// byOutcomes adds the last hour's outcomes to the state of a provider's account: that
// it takes messages does not say that they arrive.
func (p *page) byOutcomes(h health, o outcomes, provider string) health {
	h.Strip = p.strip(o, provider)
	m := o.lately(provider)
	known := m.Delivered + m.Failed
	switch kind := o.judge(m); {
	case kind == picture.None:
		h.Text += " " + p.t("Nothing was sent in the last hour.")
		return h
	case m.Refused > 0 && m.Accepted == 0:
		h.Text = p.frame.TN("%d call failed in the last hour, and no message was accepted.", "%d calls failed in the last hour, and no message was accepted.", m.Refused) +
			strings.TrimPrefix(" "+h.Text, " "+p.t("Accepting messages."))
	case kind != picture.Good && known > 0 && m.Failed > 0:
		h.Text = p.t("%d of %d messages of the last hour did not arrive (%d %%).", m.Failed, known, m.Failed*100/known) + " " + h.Text
	default:
		h.Text += " " + p.t("In the last hour: %d accepted, %d delivered, %d did not arrive.", m.Accepted, m.Delivered, m.Failed)
	}
	if kind := o.judge(m); h.Badge.Kind == "good" || kind == picture.Bad {
		h.Badge = p.state(kind)
	}
	return h
}

// providerOf is the provider of an account's name.
func providerOf(account string) string {
	name, _, _ := strings.Cut(account, ":")
	name, _, _ = strings.Cut(name, "/")
	return strings.ToLower(name)
}

// webhookHealth is how the posts of events to the product went.
func (s *console) webhookHealth(p *page, o outcomes) (h health, found bool, err error) {
	bounds := make([]invite.EventID, stripCells+1)
	for i := range bounds {
		bounds[i] = invite.From[invite.EventID](o.begin.Add(time.Duration(i) * counts.BucketOf))
	}
	list, found, err := endpoint.ListOutcomes(p.ctx(), s.DB, p.by.Place, bounds)
	if err != nil || !found {
		return h, false, err
	}
	kinds, count := make([]string, stripCells), map[string]int{}
	var hours []stripHour
	taken, failed := 0, 0
	for i, c := range list {
		kinds[i] = judgePosts(c.Taken, c.Failed)
		count[kinds[i]]++
		if i%4 == 0 {
			hours = append(hours, stripHour{At: o.begin.Add(time.Duration(i) * counts.BucketOf)})
		}
		hours[len(hours)-1].Accepted += c.Taken
		hours[len(hours)-1].Refused += c.Failed
		if i >= stripCells-judgedCells {
			taken, failed = taken+c.Taken, failed+c.Failed
		}
	}
	h = health{Name: p.t("Webhooks to the product"), Badge: p.state(judgePosts(taken, failed)), Strip: strip{p.stripPicture(kinds, count), happened(hours)}}
	switch {
	case taken+failed == 0:
		h.Text = p.t("No event was posted in the last hour.")
	case failed == 0:
		h.Text = p.t("The product accepts events.")
	default:
		h.Text = p.t("Of the latest %s posts of the last hour, %s failed. They are retried.", p.frame.Number(taken+failed), p.frame.Number(failed))
	}
	return h, true, nil
}

func judgePosts(taken, failed int) string {
	switch {
	case taken+failed == 0:
		return picture.None
	case taken == 0:
		return picture.Bad
	case failed*10 >= taken+failed:
		return picture.Warn
	}
	return picture.Good
}

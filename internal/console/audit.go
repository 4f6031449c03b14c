package console

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/audit"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/export"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/reseal"
	"github.com/connectlink/connectlink/internal/restore"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/traffic"
	"github.com/connectlink/connectlink/internal/testsend"
)

// auditLimit is how many entries a page has.
const auditLimit = 50

// auditPage is who did what, in pages of an unbounded list.
type auditPage struct {
	*view.Base
	Entries      []auditRow
	Acts, Actors []view.Choice
	Target       string
	Since, Until string
	Filtered     bool
	Newer, Older string
}

type auditRow struct {
	At          time.Time
	Who, Act    string
	Target, URL string
	Why, Data   string
	Place       string
	Request     string
}

// auditedActs are the acts that stand in the log, in the order of the filter.
func auditedActs() []access.Act {
	return append(access.Acts()[1:],
		grant.ActSignIn, grant.ActSignInFailed, grant.ActSignOut, grant.ActSessionEnded, grant.ActStaffCreated, grant.ActStaffEnabled,
		grant.ActStaffOff, grant.ActStaffRoles, grant.ActPasswordLink, grant.ActPasswordSet, grant.ActFactorSet, grant.ActFactorReset,
		grant.ActRecoveryUsed, grant.ActRecoveryMade, grant.ActConfirmed, grant.ActKeyCreated, grant.ActKeyRevoked, pause.ActHeld, pause.ActReleased, traffic.ActPaused, traffic.ActResumed,
		testsend.ActSent, issue.ActBulkStopped, export.ActStarted, audit.ActExported, reseal.ActResealed, reseal.ActRetired, reseal.ActForgotten, restore.ActDeclared)
}

// actName is an act in words.
func actName(a access.Act) string {
	switch a {
	case access.ActUnmask:
		return view.M("Unmasked an address")
	case access.ActCreate:
		return view.M("Created an invite")
	case access.ActResend:
		return view.M("Resent an invite")
	case access.ActCorrect:
		return view.M("Corrected an address")
	case access.ActExtend:
		return view.M("Extended an invite")
	case access.ActRevoke:
		return view.M("Revoked an invite")
	case access.ActCopyLink:
		return view.M("Copied a link")
	case access.ActBlockMany:
		return view.M("Blocked a list of addresses")
	case access.ActBlock:
		return view.M("Blocked an address")
	case access.ActLiftBlock:
		return view.M("Unblocked an address")
	case access.ActBulk:
		return view.M("Changed many invites")
	case access.ActTeamView:
		return view.M("Changed a view of the team")
	case access.ActBulkMany:
		return view.M("Changed very many invites")
	case issue.ActBulkStopped:
		return view.M("Stopped a change of many invites")
	case access.ActTake:
		return view.M("Became the owner of an invite")
	case access.ActTakeOver:
		return view.M("Took an invite over")
	case access.ActLetGo:
		return view.M("Removed the owner of an invite")
	case access.ActNote:
		return view.M("Wrote a note")
	case access.ActDeleteNote:
		return view.M("Deleted a note")
	case access.ActErase:
		return view.M("Erased a person's data")
	case access.ActExport:
		return view.M("Exported data")
	case access.ActAuditLog:
		return view.M("Read the audit log")
	case access.ActTechnical:
		return view.M("Read technical details")
	case access.ActAllowMore:
		return view.M("Allowed more messages to a person")
	case access.ActKeys:
		return view.M("Changed a key")
	case access.ActWebhooks:
		return view.M("Changed or used a webhook endpoint")
	case access.ActMessages:
		return view.M("Changed a message")
	case access.ActStaff:
		return view.M("Changed an account")
	case access.ActPause:
		return view.M("Paused or resumed sending")
	case grant.ActSignIn:
		return view.M("Signed in")
	case grant.ActSignInFailed:
		return view.M("Refused sign-in")
	case grant.ActSignOut:
		return view.M("Signed out")
	case grant.ActSessionEnded:
		return view.M("Ended a session")
	case grant.ActStaffCreated:
		return view.M("Created an account")
	case grant.ActStaffEnabled:
		return view.M("Enabled an account")
	case grant.ActStaffOff:
		return view.M("Disabled an account")
	case grant.ActStaffRoles:
		return view.M("Changed roles")
	case grant.ActPasswordLink:
		return view.M("Created a link to set a password")
	case grant.ActPasswordSet:
		return view.M("Set a password")
	case grant.ActFactorSet:
		return view.M("Set up a second factor")
	case grant.ActFactorReset:
		return view.M("Reset a second factor")
	case grant.ActRecoveryUsed:
		return view.M("Used a recovery code")
	case grant.ActRecoveryMade:
		return view.M("Created recovery codes")
	case grant.ActConfirmed:
		return view.M("Confirmed who they are")
	case grant.ActKeyCreated:
		return view.M("Created an API key")
	case grant.ActKeyRevoked:
		return view.M("Revoked an API key")
	case access.ActPauseCountry:
		return view.M("Paused or resumed a country")
	case traffic.ActPaused:
		return view.M("Paused a country or numbers")
	case traffic.ActResumed:
		return view.M("Resumed a country, numbers or a key")
	case export.ActStarted:
		return view.M("Started an export")
	case audit.ActExported:
		return view.M("Exported the audit log")
	case reseal.ActResealed:
		return view.M("Renewed data with a new key")
	case reseal.ActRetired:
		return view.M("Retired a key of the keyset")
	case reseal.ActForgotten:
		return view.M("Gave up a lost key of the keyset")
	case restore.ActDeclared:
		return view.M("Declared a restore of the database")
	case testsend.ActSent:
		return view.M("Sent a message to themselves")
	case pause.ActHeld:
		return view.M("Paused sending")
	case pause.ActReleased:
		return view.M("Resumed sending")
	}
	return string(a)
}

// audit shows who did what. Everything that narrows stands in the address.
func (s *console) audit(p *page) error {
	q := url.Values{}
	for name, v := range p.QueryParams() {
		q.Set(name, v[0])
	}
	f := account.AuditFilter{
		Place: p.by.Place, All: s.everywhere(p),
		Act: access.Act(q.Get("act")), Target: strings.TrimSpace(q.Get("target")), Limit: auditLimit,
		Since: parseDay(q.Get("since")), Until: parseDay(q.Get("until")),
	}
	if who := q.Get("who"); who != "" {
		f.Actor = who
	}
	if id, err := invite.Parse[invite.ID](f.Target); err == nil {
		f.InviteID, f.Target = id, ""
	}
	at := placeOf(p)
	f.After, _ = invite.Parse[invite.AuditID](at.after)
	f.Before, _ = invite.Parse[invite.AuditID](at.before)
	if !f.Until.IsZero() {
		f.Until = f.Until.AddDate(0, 0, 1) // the day itself counts
	}
	entries, next, err := account.ListAudit(p.ctx(), s.DB, f)
	if err != nil {
		return err
	}
	staff, err := s.Staff.List(p.ctx())
	if err != nil {
		return err
	}
	names := namesOf(staff)
	d := auditPage{
		Base: p.base(p.t("Audit log"), "audit"), Target: q.Get("target"), Since: q.Get("since"), Until: q.Get("until"),
		Filtered: f.Actor != "" || f.Act != "" || q.Get("target") != "" || !f.Since.IsZero() || !f.Until.IsZero(),
	}
	for _, a := range auditedActs() {
		d.Acts = append(d.Acts, view.Choice{Value: string(a), Text: p.t(actName(a)), Chosen: a == f.Act})
	}
	for _, k := range staff {
		// Staff who work only in other projects are not listed.
		if actor := actorOf(k); f.All || k.Role(p.by.Project) != "" {
			d.Actors = append(d.Actors, view.Choice{Value: actor, Text: names[actor], Chosen: actor == f.Actor})
		}
	}
	slices.SortFunc(d.Actors, func(a, b view.Choice) int { return strings.Compare(a.Text, b.Text) })
	for _, e := range entries {
		d.Entries = append(d.Entries, p.auditRow(e, names))
	}
	here := []string{"who", f.Actor, "act", string(f.Act), "target", d.Target, "since", d.Since, "until", d.Until}
	if len(entries) > 0 {
		first, last := entries[0].ID.String(), entries[len(entries)-1].ID.String()
		d.Newer, d.Older = at.neighbours(func(name, id string) string {
			return withQuery(d.URL("audit"), append(slices.Clone(here), name, id)...)
		}, first, last, next.String())
	}
	return p.show("audit", d)
}

func (p *page) auditRow(e account.Audited, names map[string]string) auditRow {
	r := auditRow{At: e.At, Who: names[e.Actor], Act: p.t(actName(e.Act)), Target: e.Target, Why: p.why(p.t(whyName(e.Why))), Request: e.RequestID}
	if r.Why == e.Why {
		r.Why = p.t(whyName(e.Why))
	}
	if r.Who == "" {
		r.Who = e.Actor
	}
	if e.Actor == string(access.KindSystem) {
		r.Who = p.t("Command line or system")
	}
	if id, ok := strings.CutPrefix(e.Actor, string(access.KindKey)+":"); ok {
		r.Who = p.t("API key") + " " + id
	}
	if name := names[string(access.KindStaff)+":"+e.Target]; name != "" {
		r.Target = name
	}
	if _, err := invite.Parse[invite.BulkID](e.Target); err == nil {
		r.URL = p.frame.URL("bulk", e.Target)
	}
	if language, situation, ok := strings.Cut(e.Target, "/"); ok && e.Act == access.ActMessages {
		r.URL = p.frame.URL("messages", language, situation)
	}
	if !e.InviteID.IsZero() {
		r.URL = p.frame.URL("invites", e.InviteID.String())
		if r.Target == "" {
			r.Target = e.InviteID.String()
		}
	}
	var data []string
	for k, v := range e.Data {
		data = append(data, p.auditFact(k, v))
	}
	slices.Sort(data)
	r.Data = strings.Join(data, ", ")
	if len(e.AddressHash) > 8 {
		r.Place = base64.RawURLEncoding.EncodeToString(e.AddressHash[4:8]) // behind the key's id: enough to see that two are alike
	}
	return r
}

// auditFact is a detail of an entry: in words where it has any.
func (p *page) auditFact(name, value string) string {
	switch project, isRole := strings.CutPrefix(name, "role:"); {
	case isRole && project == account.EveryProject:
		return p.t("Role in all projects: %s", p.t(view.RoleName(access.Role(value))))
	case isRole:
		return p.t("Role: %s", p.t(view.RoleName(access.Role(value))))
	case name == "channel":
		return p.t("Channel: %s", p.channel(invite.Channel(value)))
	case name == "scopes":
		return p.t("Permissions: %s", strings.ReplaceAll(value, " ", ", "))
	case name == "method" && value == "link":
		return p.t("Sign-in link")
	}
	return name + " " + value
}

// whyName is the word of a pick list in words; unknown ones as they are.
func whyName(why string) string {
	switch pause.Why(why) {
	case pause.Pumping:
		return view.M("Messages seem to be sent to earn money")
	case pause.NotVisited:
		return view.M("Too few people visited the messages")
	case pause.Reported:
		return view.M("Recipients reported the messages")
	case pause.WrongContent:
		return view.M("Messages contain a mistake")
	case pause.WrongPeople:
		return view.M("Messages go to the wrong people")
	case pause.Provider:
		return view.M("The provider has problems")
	case pause.Maintenance:
		return view.M("Maintenance")
	}
	switch why {
	case "password":
		return view.M("Password")
	case grant.WhyUnknownLogin:
		return view.M("Unknown login")
	case grant.WhyNoRole:
		return view.M("No role here")
	case grant.WhyManyLogins:
		return view.M("Many unknown logins")
	}
	return why
}

// names are staff by their actor's name.
func (s *console) names(p *page) (map[string]string, error) {
	list, err := s.Staff.List(p.ctx())
	return namesOf(list), err
}

func namesOf(list []grant.Known) map[string]string {
	out := map[string]string{}
	for _, k := range list {
		out[actorOf(k)] = cmp.Or(k.Person.Name, k.Person.Email)
	}
	return out
}

func actorOf(k grant.Known) string { return string(access.KindStaff) + ":" + k.ID.String() }

// everywhere reports whether the session administers every project. Entries that
// concern all projects, such as sign-ins, are shown only then.
func (s *console) everywhere(p *page) bool {
	return !slices.ContainsFunc(s.Projects, func(pr config.Project) bool { return !p.signed.Role(pr.ID).May(access.ActStaff) })
}

// parseDay reads a date of a form; zero when it is none.
func parseDay(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

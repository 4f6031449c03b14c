package console

import (
	"slices"
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
)

// invitesPage lists invites, narrowed by what stands in the address.
type invitesPage struct {
	*view.Base
	Rows         []inviteRow
	Views        []tab
	Statuses     []view.Choice
	Channels     []view.Choice
	Reasons      []view.Choice
	App, Since   string
	Filtered     bool
	Clear        string
	Newer, Older string
}

// invites lists them.
func (s *console) invites(p *page) error {
	q := func(name string) string { return p.QueryParam(name) }
	f := find.Filter{
		ProjectID: p.by.ProjectID, Livemode: p.by.Livemode, Limit: perPage, App: q("app"),
		Channel: invite.Channel(oneOf(q("channel"), invite.Email, invite.SMS, invite.LinkOnly)),
		Reason:  invite.Reason(oneOf(q("reason"), reasons()...)), Progress: invite.Progress(oneOf(q("progress"), invite.Progresses()...)),
		Expiring: q("expiring") != "",
	}
	if st := oneOf(q("status"), invite.Statuses()...); st != "" {
		f.Status = []invite.Status{invite.Status(st)}
	}
	since := q("since")
	if at, err := time.Parse(time.DateOnly, since); err == nil {
		f.CreatedAfter = at
	} else {
		since = ""
	}
	at := placeOf(p)
	f.After, _ = invite.Parse[invite.ID](at.after)
	f.Before, _ = invite.Parse[invite.ID](at.before)
	list, next, err := find.List(p.ctx(), s.DB, f)
	if err != nil {
		return err
	}
	b := p.base(p.t("Invites"), "invites")
	d := invitesPage{Base: b, App: f.App, Since: since, Clear: b.URL("invites")}
	for _, inv := range list {
		r, err := p.row(inv)
		if err != nil {
			return err
		}
		d.Rows = append(d.Rows, r)
	}
	var st string
	if len(f.Status) > 0 {
		st = string(f.Status[0])
	}
	expiring := ""
	if f.Expiring {
		expiring = "1"
	}
	here := []string{"status", st, "channel", string(f.Channel), "app", f.App, "reason", string(f.Reason), "progress", string(f.Progress), "expiring", expiring, "since", since}
	d.Filtered = query("", here...) != ""
	if len(list) > 0 {
		first, last := list[0].ID.String(), list[len(list)-1].ID.String()
		d.Newer, d.Older = at.neighbours(func(name, id string) string {
			return query(d.Clear, append(slices.Clone(here), name, id)...)
		}, first, last, next.String())
	}
	d.choices(p, st, f)
	return p.show("invites", d)
}

func (d *invitesPage) choices(p *page, status string, f find.Filter) {
	b := d.Base
	for _, v := range []struct {
		text    string
		members []string
		current bool
	}{
		{p.t("All"), nil, !d.Filtered},
		{p.t("Did not arrive"), []string{"status", string(invite.Failed)}, status == string(invite.Failed)},
		{p.t("Ending within the hour, unopened"), []string{"expiring", "1"}, f.Expiring},
		{p.t("Connecting failed"), []string{"progress", string(invite.ConnectFailed)}, f.Progress == invite.ConnectFailed},
		{p.t("Connected"), []string{"status", string(invite.Connected)}, status == string(invite.Connected)},
		{p.t("Expired"), []string{"status", string(invite.Expired)}, status == string(invite.Expired)},
	} {
		d.Views = append(d.Views, tab{query(b.URL("invites"), v.members...), v.text, v.current})
	}
	d.Statuses = []view.Choice{{Value: "", Text: p.t("Any status"), Chosen: status == ""}}
	for _, s := range invite.Statuses() {
		d.Statuses = append(d.Statuses, view.Choice{Value: string(s), Text: p.statusName(s), Chosen: string(s) == status})
	}
	d.Channels = []view.Choice{{Value: "", Text: p.t("Any channel"), Chosen: f.Channel == ""}}
	for _, c := range []invite.Channel{invite.Email, invite.SMS, invite.LinkOnly} {
		d.Channels = append(d.Channels, view.Choice{Value: string(c), Text: p.channel(c), Chosen: c == f.Channel})
	}
	d.Reasons = []view.Choice{{Value: "", Text: p.t("Any reason"), Chosen: f.Reason == ""}}
	for _, e := range invite.Explanations() {
		d.Reasons = append(d.Reasons, view.Choice{Value: string(e.Code), Text: p.t(e.Title), Chosen: e.Code == f.Reason})
	}
}

func (p *page) statusName(s invite.Status) string {
	switch s {
	case invite.Scheduled:
		return p.t("Scheduled")
	case invite.Pending:
		return p.t("Waiting for a link")
	case invite.Active:
		return p.t("Under way")
	case invite.Connected:
		return p.t("Connected")
	case invite.Expired:
		return p.t("Expired")
	case invite.Revoked:
		return p.t("Revoked")
	case invite.Failed:
		return p.t("Did not arrive")
	}
	return string(s)
}

func reasons() []invite.Reason {
	var out []invite.Reason
	for _, e := range invite.Explanations() {
		out = append(out, e.Code)
	}
	return out
}

// oneOf is a word of a list, or nothing: what stands in an address is anybody's.
func oneOf[T ~string](word string, list ...T) string {
	if slices.Contains(list, T(word)) {
		return word
	}
	return ""
}

// personPage is everything about one external user.
type personPage struct {
	*view.Base
	Person      person
	Rows        []inviteRow
	More        string
	Connections []connection
	Blocks      []blockRow
	CanErase    bool
	ID, Home    string
	Faults      []fault
}

type connection struct {
	App, Name string
	At        time.Time
	URL       string
}

// maxOfPerson is how many invites of one person stand on their page.
const maxOfPerson = 50

// people shows the person of one of their invites.
func (s *console) people(p *page) error {
	o, err := p.invite()
	if err != nil {
		return p.orMissing(err)
	}
	d, err := s.personData(p, o)
	if err != nil {
		return err
	}
	return p.show("person", d)
}

func (s *console) personData(p *page, o opened) (personPage, error) {
	b := p.base(p.t("Person"), "invites")
	d := personPage{Base: b, Person: p.person(o), CanErase: p.by.May("erase"), ID: o.ID.String(), Home: p.personURL(o.ID)}
	list, next, err := find.List(p.ctx(), s.DB, find.Filter{
		ProjectID: p.by.ProjectID, Livemode: p.by.Livemode, ExternalUserID: o.ExternalUserID, Limit: maxOfPerson,
	})
	if err != nil {
		return d, err
	}
	if !next.IsZero() {
		d.More = p.t("There are more; these are the newest %d.", maxOfPerson)
	}
	addresses := map[string]bool{}
	for _, inv := range list {
		one, err := p.open(inv)
		if err != nil {
			return d, err
		}
		for _, c := range []invite.Channel{invite.Email, invite.SMS} {
			if a := one.content.Recipient.Address(c); a != "" {
				addresses[a] = true
			}
		}
		r, err := p.row(inv)
		if err != nil {
			return d, err
		}
		d.Rows = append(d.Rows, r)
		if inv.AccountID != "" {
			name, err := p.accountName(inv)
			if err != nil {
				return d, err
			}
			d.Connections = append(d.Connections, connection{inv.AppName, name, orZero(inv.ConnectedAt), r.URL})
		}
	}
	for a := range addresses {
		found, err := s.blocksOf(p, a)
		if err != nil {
			return d, err
		}
		d.Blocks = append(d.Blocks, found...)
	}
	return d, nil
}

// erase takes away what is personal about somebody, for good.
func (s *console) erase(p *page) error {
	o, err := p.invite()
	if err != nil {
		return p.orMissing(err)
	}
	form, err := p.form()
	if err != nil {
		return invite.Errorf(invite.CodeMalformed, "The form could not be read.")
	}
	home := p.personURL(o.ID)
	if form.Get("sure") != "yes" {
		return p.done(home, "bad", p.t("Nothing was erased: tick the box if you are sure."))
	}
	done, err := s.Erasing.Erase(p.ctx(), p.by, o.ExternalUserID, form.Get("reason"))
	if invite.CodeOf(err) == invite.CodeInvalidRequest {
		return p.done(home, "bad", p.t("Nothing was erased: say why."))
	}
	if err != nil {
		return err
	}
	return p.done(p.frame.URL("invites"), "good", p.frame.TN("Erased from %d invite.", "Erased from %d invites.", done.Invites))
}

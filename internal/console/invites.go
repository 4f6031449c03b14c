package console

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
)

// invitesPage lists invites, narrowed by what stands in the address.
type invitesPage struct {
	*view.Base
	filters
	Rows         []inviteRow
	Views        []tab
	Statuses     []view.Choice
	Withins      []view.Choice
	Channels     []view.Choice
	Reasons      []view.Choice
	Filtered     bool
	Clear        string
	Newer, Older string
	Count        string // the position of the page in the list
	Export       exportLinks
	Bulk         *bulkBar
	Save         *viewForm
	Manage       string // where saved views are changed; empty: there are none
	Folded       bool   // none of the filters is set that are folded away
	// Part is the time back to which the list was searched, if it was not
	// searched completely: rare matches are searched for in parts.
	Part time.Time
}

// invites lists them.
func (s *console) invites(p *page) error {
	narrowed := filtersOf(p)
	f := narrowed.filter(p)
	at := placeOf(p)
	f.After, _ = invite.Parse[invite.ID](at.after)
	f.Before, _ = invite.Parse[invite.ID](at.before)
	var list []find.Invite
	var next invite.ID
	var err error
	possible := narrowed.isPossible(f)
	if possible {
		list, next, err = s.listInvites(p.ctx(), f)
	}
	if err != nil {
		return err
	}
	b := p.base(p.t("Invites"), "invites")
	d := invitesPage{Base: b, filters: narrowed, Clear: b.URL("invites"), Filtered: narrowed != filters{}, Folded: narrowed.isFolded()}
	for _, inv := range list {
		r, err := p.row(inv)
		if err != nil {
			return err
		}
		d.Rows = append(d.Rows, r)
	}
	if err := s.markOwners(p, d.Rows); err != nil {
		return err
	}
	var first, last string
	if len(list) > 0 {
		first, last = list[0].ID.String(), list[len(list)-1].ID.String()
	}
	if len(list) < f.Limit && !next.IsZero() {
		d.Part = next.Time()
	}
	d.Newer, d.Older = at.neighbours(func(name, id string) string {
		return withQuery(d.Clear, append(narrowed.members(), name, id)...)
	}, first, last, next.String())
	d.choices(p)
	saved, err := s.savedTabs(p, narrowed)
	if err != nil {
		return err
	}
	if len(saved) > 0 {
		d.Manage = b.URL("views")
	}
	d.Views, d.Save = append(d.Views, saved...), p.viewForm(narrowed, saved)
	var c find.Count
	switch {
	case len(list) == 0 || !d.Part.IsZero(): // of a part, the page says how far it goes
	case at == (place{}) && next.IsZero(): // the whole list
		d.Count = p.position(find.Count{Total: len(list)}, len(list))
	default:
		err := s.Lists.Read(p.ctx(), func(db postgres.DB) (err error) {
			c, err = find.CountList(p.ctx(), db, f, list[0].ID)
			return err
		})
		if err != nil {
			return err
		}
		d.Count = p.position(c, len(list))
	}
	if c.Total == 0 && d.Part.IsZero() {
		c.Total = len(list)
	}
	d.Bulk = p.bulkBar(d.Rows, c.Total, c.Least || !d.Part.IsZero(), narrowed.members()...)
	if len(list) > 0 || !d.Part.IsZero() {
		d.Export = p.exportLinks(d.Clear, c.Least || !d.Part.IsZero(), narrowed.members()...)
	}
	return p.show("invites", d)
}

// listInvites reads a page of invites on the server that answers lists.
func (s *console) listInvites(ctx context.Context, f find.Filter) (list []find.Invite, next invite.ID, err error) {
	err = s.Lists.Read(ctx, func(db postgres.DB) (err error) {
		list, next, err = find.List(ctx, db, f)
		return err
	})
	return list, next, err
}

func (d *invitesPage) choices(p *page) {
	b, f := d.Base, d.filters
	for _, v := range []struct {
		text    string
		members []string
		current bool
	}{
		{p.t("All"), nil, !d.Filtered},
		{p.t("Not delivered"), []string{"status", string(invite.Failed)}, f.Status == string(invite.Failed)},
		{p.t("Expiring within an hour, unopened"), []string{"expiring", "1"}, f.Expiring != ""},
		{p.t("Failed to connect"), []string{"progress", string(invite.ConnectFailed)}, f.Progress == string(invite.ConnectFailed)},
		{p.t("Connected"), []string{"status", string(invite.Connected)}, f.Status == string(invite.Connected)},
		{p.t("Expired"), []string{"status", string(invite.Expired)}, f.Status == string(invite.Expired)},
	} {
		d.Views = append(d.Views, tab{withQuery(b.URL("invites"), v.members...), v.text, v.current})
	}
	if p.by.May(access.ActTake) {
		d.Views = slices.Insert(d.Views, 1, tab{withQuery(b.URL("invites"), "owner", ownerMe), p.t("Mine"), f.Owner == ownerMe})
	}
	d.Statuses = []view.Choice{{Value: "", Text: p.t("Any status"), Chosen: f.Status == ""}}
	for _, s := range invite.Statuses() {
		d.Statuses = append(d.Statuses, view.Choice{Value: string(s), Text: p.statusName(s), Chosen: string(s) == f.Status})
	}
	d.Withins = p.withins(f.Within)
	d.Channels = []view.Choice{{Value: "", Text: p.t("Any channel"), Chosen: f.Channel == ""}}
	for _, c := range invite.AllChannels() {
		d.Channels = append(d.Channels, view.Choice{Value: string(c), Text: p.channel(c), Chosen: string(c) == f.Channel})
	}
	d.Reasons = []view.Choice{{Value: "", Text: p.t("Any reason"), Chosen: f.Reason == ""}}
	for _, e := range invite.Explanations() {
		d.Reasons = append(d.Reasons, view.Choice{Value: string(e.Code), Text: p.t(e.Title), Chosen: string(e.Code) == f.Reason})
	}
}

// withins are the windows that failures and blocks can be narrowed to.
func (p *page) withins(chosen string) []view.Choice {
	return []view.Choice{
		{Value: "", Text: p.t("Any time"), Chosen: chosen == ""},
		{Value: pastDay, Text: p.t("In the last 24 hours"), Chosen: chosen == pastDay},
		{Value: pastWeek, Text: p.t("In the last 7 days"), Chosen: chosen == pastWeek},
	}
}

func (p *page) statusName(s invite.Status) string {
	switch s {
	case invite.Scheduled:
		return p.t("Scheduled")
	case invite.Pending:
		return p.t("Waiting for a link")
	case invite.Active:
		return p.t("In progress")
	case invite.Connected:
		return p.t("Connected")
	case invite.Expired:
		return p.t("Expired")
	case invite.Revoked:
		return p.t("Revoked")
	case invite.Failed:
		return p.t("Not delivered")
	}
	return string(s)
}

// personPage is everything about one external user.
type personPage struct {
	*view.Base
	Person      person
	Rows        []inviteRow
	More        string
	Export      exportLinks
	Connections []connection
	Blocks      []blockRow
	CanErase    bool
	Count       find.UserCount // what an erasure is about
	Receipt     receipt
	ID, Home    string
	Faults      []Fault
}

// receipt is what remains to be told of a person whose data was erased.
type receipt struct {
	Invites int
	Least   bool // there can be more
	At      string
	// Reference is the first part of the mark that replaced the person's id. It tells
	// receipts apart, and does not lead back to the person.
	Reference string
	AuditURL  string
}

type connection struct {
	App, Name string
	At        time.Time
	URL       string
	Badge     view.Badge
}

// maxOfPerson is how many invites of one person stand on their page.
const maxOfPerson = 50

// people shows the person of one of their invites.
func (s *console) people(p *page, o opened) error {
	d, err := s.personData(p, o)
	if err != nil {
		return err
	}
	return p.show("person", d)
}

func (s *console) personData(p *page, o opened) (personPage, error) {
	b := p.base(p.t("Person"), "invites")
	d := personPage{Base: b, Person: p.person(o), CanErase: p.by.May("erase") && o.user != "", ID: o.ID.String(), Home: p.personURL(o.ID)}
	d.Export = p.exportLinks(d.Home, false)
	list, next, err := s.listPerson(p, o, maxOfPerson)
	if err != nil {
		return d, err
	}
	if !next.IsZero() {
		d.More = p.t("Showing the newest %d; there are more.", maxOfPerson)
	}
	addresses := map[string]bool{}
	for _, inv := range list {
		one, _ := p.open(inv) // one that no key opens has no addresses, and its row says so
		for _, c := range invite.Channels() {
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
			badge, _ := p.healthBadge(inv)
			d.Connections = append(d.Connections, connection{inv.AppName, name, orZero(inv.ConnectedAt), r.URL, badge})
		}
	}
	if err := s.markOwners(p, d.Rows); err != nil {
		return d, err
	}
	for a := range addresses {
		found, _, err := s.blocksOf(p, a) // an address of old rules cannot be blocked
		if err != nil {
			return d, err
		}
		d.Blocks = append(d.Blocks, found...)
	}
	return d, s.countPerson(p, o, &d)
}

// countPerson counts what an erasure is about or, once it is done, was about.
func (s *console) countPerson(p *page, o opened, d *personPage) (err error) {
	user := find.NewUser(p.Box, p.by.Place, o.user)
	if o.ErasedAt == nil {
		d.Count, err = find.CountUser(p.ctx(), s.DB, user)
		return err
	}
	count, err := find.CountList(p.ctx(), s.DB, find.Filter{Place: p.by.Place, User: user}, o.ID)
	if err != nil {
		return err
	}
	d.CanErase = false
	d.Receipt = receipt{Invites: count.Total, Least: count.Least, At: o.ErasedAt.UTC().Format("2006-01-02 15:04 UTC"), Reference: erase.Reference(o.user)}
	if p.by.May(access.ActAuditLog) {
		d.Receipt.AuditURL = withQuery(p.frame.URL("audit"), "act", string(access.ActErase))
	}
	return nil
}

// listPerson lists the newest invites of the person of one; of a person whose id
// cannot be opened, that one alone.
func (s *console) listPerson(p *page, o opened, limit int) ([]find.Invite, invite.ID, error) {
	if o.user == "" {
		return []find.Invite{o.Invite}, invite.ID{}, nil
	}
	return s.listInvites(p.ctx(), find.Filter{Place: p.by.Place, User: find.NewUser(p.Box, p.by.Place, o.user), Limit: limit})
}

// erase deletes the personal data of a person.
func (s *console) erase(p *page, o opened) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	home := p.personURL(o.ID)
	if strings.TrimSpace(form.Get("reason")) == "" {
		return p.done(home, "bad", p.t("Nothing was erased. Enter a reason."))
	}
	done, err := s.Erasing.Erase(p.ctx(), p.by, o.user, form.Get("reason"))
	if invite.CodeOf(err) == invite.CodeInvalidRequest {
		return p.done(home, "bad", p.t("Nothing was erased. Enter a reason."))
	}
	if err != nil {
		return err
	}
	return p.done(home, "good", p.frame.TN("Erased from %d invite.", "Erased from %d invites.", done.Invites))
}

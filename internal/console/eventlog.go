package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/store/find"
)

// eventsPage is what the product was told of, or can read, newest first.
type eventsPage struct {
	*view.Base
	Rows                 []eventRow
	Types                []view.Choice
	Invite, Since, Until string
	Filtered             bool
	Older                string
	Faults               []Fault
}

type eventRow struct {
	ID, Home, Type    string
	Invite, InviteURL string
	At                time.Time
}

func (p *page) eventRow(e publish.Event) eventRow {
	r := eventRow{ID: e.ID.String(), Home: p.frame.URL("events", e.ID.String()), Type: string(e.Type), At: e.CreatedAt}
	if e.InviteID != nil {
		r.Invite, r.InviteURL = e.InviteID.String(), p.frame.URL("invites", e.InviteID.String())
	}
	return r
}

// events lists public events. Everything that narrows stands in the address.
func (s *console) events(p *page) error {
	d := eventsPage{
		Base: p.base(p.t("Event log"), "events"), Invite: strings.TrimSpace(p.QueryParam("invite")), Since: p.QueryParam("since"), Until: p.QueryParam("until"),
	}
	f := find.Feed{Place: p.by.Place, Types: invite.PublicTypes(), CreatedAfter: parseDay(d.Since), CreatedBefore: parseDay(d.Until), Newest: true, Limit: perPage}
	kind := p.QueryParam("type")
	if invite.IsPublic(kind) {
		f.Types = []invite.PublicType{invite.PublicType(kind)}
	} else {
		kind = ""
	}
	if !f.CreatedBefore.IsZero() {
		f.CreatedBefore = f.CreatedBefore.AddDate(0, 0, 1) // the day itself counts
	}
	var err error
	if d.Invite != "" {
		if f.InviteID, err = invite.Parse[invite.ID](d.Invite); err != nil {
			d.Faults = []Fault{{"invite", p.t("Enter the id of an invite, which begins with inv_.")}}
		}
	}
	f.After, _ = find.ParsePosition(p.QueryParam("after"))
	d.Types = append([]view.Choice{{Value: "", Text: p.t("All events"), Chosen: kind == ""}}, typeChoices([]string{kind})...)
	d.Filtered = kind != "" || d.Invite != "" || !f.CreatedAfter.IsZero() || !f.CreatedBefore.IsZero()
	if len(d.Faults) > 0 {
		return p.wrong("events", d)
	}
	list, err := s.Events.List(p.ctx(), f)
	if err != nil {
		return err
	}
	for _, raw := range list.Events {
		e, err := publish.ParseEvent(raw)
		if err != nil {
			return err
		}
		d.Rows = append(d.Rows, p.eventRow(e))
	}
	if list.More {
		d.Older = withQuery(d.URL("events"), "type", kind, "invite", d.Invite, "since", d.Since, "until", d.Until, "after", list.Next.String())
	}
	return p.show("events", d)
}

// eventPage is one event, masked, and the form that posts it again.
type eventPage struct {
	*view.Base
	eventRow

	JSON      string
	Endpoints []view.Choice
}

// ofEvent makes a page about the event that the path names; where there is no such
// event, it is the page that says so.
func ofEvent(do func(*page, invite.EventID) error) func(*page) error {
	return func(p *page) error {
		id, err := invite.Parse[invite.EventID](p.Param("id"))
		if err != nil {
			return p.missing()
		}
		err = do(p, id)
		var refused *invite.Error
		if errors.Is(err, publish.ErrNoEvent) || errors.As(err, &refused) && (refused.Code == invite.CodeEventNotFound || refused.Code == invite.CodeEndpointNotFound) {
			return p.missing()
		}
		return err
	}
}

func (s *console) event(p *page, id invite.EventID) error {
	raw, err := s.Events.Get(p.ctx(), p.by.Place, id)
	if err != nil {
		return err
	}
	e, err := publish.ParseEvent(raw)
	if err != nil {
		return err
	}
	d := eventPage{Base: p.base(p.t("Event"), "events"), eventRow: p.eventRow(e)}
	if e.Data.Invite != nil {
		maskInvite(e.Data.Invite, p.by.May(access.ActUnmask))
	}
	shown, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("show event %s: %w", id, err)
	}
	d.JSON = string(shown)
	rows, err := s.webhookRows(p)
	if err != nil {
		return err
	}
	d.Endpoints = []view.Choice{{Value: "", Text: p.t("All subscribed endpoints"), Chosen: true}}
	for _, r := range rows {
		d.Endpoints = append(d.Endpoints, view.Choice{Value: r.ID, Text: r.Address})
	}
	return p.show("event", d)
}

// maskInvite masks what an event says of people, as the pages of invites do.
func maskInvite(inv *resource.Invite, domains bool) {
	mask := func(s **string) {
		if *s != nil {
			masked := story.MaskText(**s)
			*s = &masked
		}
	}
	if r := inv.Recipient; r != nil {
		r.Name = story.MaskName(r.Name)
		r.Email, r.Phone = maskAddress(invite.FieldEmail, r.Email, domains), maskAddress(invite.FieldPhone, r.Phone, domains)
	}
	if inv.Inviter != nil {
		inv.Inviter.Name = story.MaskText(inv.Inviter.Name)
	}
	for _, s := range []**string{&inv.ExternalUserID, &inv.Reason, &inv.Note, &inv.ReturnURL} {
		mask(s)
	}
	if inv.Connection != nil {
		mask(&inv.Connection.Name)
	}
	masked := make(map[string]string, len(inv.Metadata))
	for k, v := range inv.Metadata {
		masked[story.MaskText(k)] = story.MaskText(v)
	}
	inv.Metadata = masked
}

// redeliverEvent posts one event again.
func (s *console) redeliverEvent(p *page, id invite.EventID) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	var to invite.EndpointID
	if v := form.Get("endpoint"); v != "" {
		if to, err = invite.Parse[invite.EndpointID](v); err != nil {
			return p.missing()
		}
	}
	ids, err := s.Endpoints.Redeliver(p.ctx(), p.by, id, to)
	if err != nil {
		return err
	}
	home := p.frame.URL("events", id.String())
	if len(ids) == 0 {
		return p.done(home, "note", p.t("No enabled endpoint receives events of this type."))
	}
	return p.done(home, "good", p.frame.TN("The event is queued for %d endpoint.", "The event is queued for %d endpoints.", len(ids)))
}

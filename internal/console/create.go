package console

import (
	"crypto/rand"
	"errors"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/web"
)

// newPage asks for what the API asks for.
type newPage struct {
	*view.Base
	Faults                            []fault
	Channels                          []view.Choice
	UserID, App, Email, Phone         string
	PersonName, Inviter, Reason, Note string
	Language, Zone                    string
	Key                               string // the same form, sent twice, makes one invite
}

// Wrong is the fault of a field; the template asks for it.
func (d newPage) Wrong(field string) string { return blocksPage{Faults: d.Faults}.Wrong(field) }

func (s *console) newForm(p *page) error {
	d := newPage{Base: p.base(p.t("New invite"), "new"), Key: rand.Text(), UserID: p.QueryParam("user")}
	d.choose(p, string(invite.Email))
	return p.show("new", d)
}

func (d *newPage) choose(p *page, channel string) {
	d.Channels = nil
	for _, c := range []invite.Channel{invite.Email, invite.SMS} {
		d.Channels = append(d.Channels, view.Choice{Value: string(c), Text: p.channel(c), Chosen: string(c) == channel})
	}
}

// create makes an invite and sends it.
func (s *console) create(p *page) error {
	form, err := p.form()
	if err != nil {
		return invite.Errorf(invite.CodeMalformed, "The form could not be read.")
	}
	get := form.Get
	d := newPage{
		Base: p.base(p.t("New invite"), "new"), Key: get("key"), UserID: get("external_user_id"), App: get("app"), Email: get("email"), Phone: get("phone"),
		PersonName: get("name"), Inviter: get("inviter"), Reason: get("reason"), Note: get("note"), Language: get("locale"), Zone: get("time_zone"),
	}
	d.choose(p, get("channel"))
	req := issue.CreateRequest{
		ExternalUserID: d.UserID, App: d.App, Channel: get("channel"), Reason: d.Reason, Note: d.Note,
		Recipient: &issue.RecipientRequest{Email: d.Email, Phone: d.Phone, Name: d.PersonName, Locale: d.Language, TimeZone: d.Zone},
	}
	if d.Inviter != "" {
		req.Inviter = &issue.InviterRequest{Name: d.Inviter}
	}
	out, err := s.Invites.Create(p.ctx(), p.by, req, issue.Meta{
		IdempotencyKey: d.Key, Body: []byte(form.Encode()), RequestID: web.RequestID(p.ctx()), Route: "console new",
	})
	if err != nil {
		var e *invite.Error
		if !errors.As(err, &e) || e.Code == invite.CodeInternal || e.Code == invite.CodeUnavailable {
			return err
		}
		d.Faults = p.faults(e, p.frame.Now)
		d.Key = rand.Text() // another form from here on
		return p.wrong("new", d)
	}
	return p.done(p.frame.URL("invites", out.Invite.ID.String()), "good", p.t("Invited. The message is on its way."))
}

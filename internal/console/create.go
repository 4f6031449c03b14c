package console

import (
	"crypto/rand"
	"errors"
	"net/url"
	"strings"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/web"
)

// newPage asks for what the API asks for.
type newPage struct {
	*view.Base
	Faults                            []Fault
	Channels                          []view.Choice
	Apps                              []view.Choice // to choose from
	Meant                             []view.Choice // instead of an app that there is not
	Languages                         []view.Choice
	Zones                             []string
	UserID, App, Email, Phone         string
	PersonName, Inviter, Reason, Note string
	Language, Zone                    string
	Key                               string // the same form, sent twice, makes one invite
	Preview                           *newPreview
}

// Wrong is the fault of a field; the template asks for it.
func (d newPage) Wrong(field string) string { return faultOf(d.Faults, field) }

func (s *console) newForm(p *page) error {
	d := newPage{Base: p.base(p.t("New invite"), "new"), Key: rand.Text(), UserID: p.QueryParam("user")}
	d.choose(p, string(invite.Channels()[0]))
	return p.show("new", d)
}

func (d *newPage) choose(p *page, channel string) {
	d.Channels = nil
	for _, c := range invite.Channels() {
		d.Channels = append(d.Channels, view.Choice{Value: string(c), Text: p.channel(c), Chosen: string(c) == channel})
	}
	d.Apps, d.Zones = p.apps(""), listZones()
	for _, tag := range p.Composer.Messages(p.project.ID).Languages() {
		d.Languages = append(d.Languages, view.Choice{Value: tag, Text: languageName(tag)})
	}
}

// readCreateRequest is the request that a form is.
func readCreateRequest(form url.Values) issue.CreateRequest {
	get := form.Get
	req := issue.CreateRequest{
		ExternalUserID: get("external_user_id"), App: get("app"), Channel: get("channel"), Reason: get("reason"), Note: get("note"),
		Recipient: &issue.RecipientRequest{
			Email: strings.TrimSpace(get("email")), Phone: strings.TrimSpace(get("phone")), Name: get("name"),
			Locale: strings.TrimSpace(get("locale")), TimeZone: strings.TrimSpace(get("time_zone")),
		},
	}
	if get("inviter") != "" {
		req.Inviter = &issue.InviterRequest{Name: get("inviter")}
	}
	return req
}

// create makes an invite and sends it, or shows what it would be.
func (s *console) create(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	get := form.Get
	form.Set("app", p.slug(get("app"), get("meant")))
	d := newPage{
		Base: p.base(p.t("New invite"), "new"), Key: get("key"), UserID: get("external_user_id"), App: get("app"), Email: get("email"), Phone: get("phone"),
		PersonName: get("name"), Inviter: get("inviter"), Reason: get("reason"), Note: get("note"), Language: get("locale"), Zone: get("time_zone"),
	}
	d.choose(p, get("channel"))
	if get("do") == "preview" {
		if d.Preview, err = s.draftOf(p, form); err != nil {
			return s.unmade(p, d, err)
		}
		return p.show("new", d)
	}
	form.Del("do")
	form.Del("meant")
	out, err := s.Invites.Create(p.ctx(), p.by, readCreateRequest(form), issue.Meta{
		IdempotencyKey: d.Key, Body: []byte(form.Encode()), RequestID: web.RequestID(p.ctx()), Route: "console new",
	})
	if err != nil {
		return s.unmade(p, d, err)
	}
	return p.done(p.frame.URL("invites", out.Invite.ID.String()), "good", p.t("Invited. The message is on its way."))
}

// unmade shows the form again with its faults.
func (s *console) unmade(p *page, d newPage, err error) error {
	var e *invite.Error
	if !errors.As(err, &e) || e.Code == invite.CodeInternal || e.Code == invite.CodeUnavailable {
		return err
	}
	d.Faults = p.faults(e, p.frame.Now)
	if d.Wrong("app") != "" && d.App != "" {
		d.Meant = p.apps(d.App)
	}
	d.Key = rand.Text() // another form from here on
	return p.wrong("new", d)
}

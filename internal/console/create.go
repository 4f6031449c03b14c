package console

import (
	"crypto/rand"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/testsend"
	"github.com/connectlink/connectlink/internal/web"
)

// newPage asks for what the API asks for.
type newPage struct {
	*view.Base
	Faults    []Fault
	Form      url.Values // the fields as they were sent
	Channels  []view.Choice
	Apps      []view.Choice // to choose from
	Meant     []view.Choice // similar apps, for a name that Pipedream does not have
	Languages []view.Choice
	Zones     []string
	Options   newOptions
	Key       string // the same form, sent twice, makes one invite
	Preview   *newPreview
	Self      selfSend
}

// newOptions are the choices of fields that most invites leave alone.
type newOptions struct {
	Validity, Verify, Reminders, Fallback, Delay, IfActive, IfConnected []view.Choice
	Consent                                                             bool // texts need evidence of it here
	Open                                                                bool // the group is not folded
}

// Wrong is the fault of a field; the template asks for it.
func (d newPage) Wrong(field string) string { return faultOf(d.Faults, field) }

// Value is the text of a field; the template asks for it.
func (d newPage) Value(field string) string { return d.Form.Get(field) }

func (s *console) newForm(p *page) error {
	d := newPage{
		Base: p.base(p.t("New invite"), "new"), Key: rand.Text(),
		Form: url.Values{"external_user_id": {p.QueryParam("user")}, "channel": {string(invite.Channels()[0])}, "time_zone": {zoneOf(p.project.Brand.Region)}},
	}
	d.choose(p)
	var err error
	if d.Self, err = s.selfSend(p); err != nil {
		return err
	}
	return p.show("new", d)
}

// choose makes the choices of a form.
func (d *newPage) choose(p *page) {
	channel := d.Form.Get("channel")
	for _, c := range invite.Channels() {
		d.Channels = append(d.Channels, view.Choice{Value: string(c), Text: p.channel(c), Chosen: string(c) == channel})
	}
	d.Channels = append(d.Channels, view.Choice{Value: string(invite.LinkOnly), Text: p.t("No message: you hand over the link"), Chosen: channel == string(invite.LinkOnly)})
	d.Apps, d.Zones = p.apps(""), listZones()
	tags := p.Composer.Messages(p.by.Place).Languages()
	if own := d.Form.Get("locale"); own != "" && !slices.Contains(tags, own) {
		tags = append(slices.Clone(tags), own)
	}
	d.Languages = []view.Choice{{Text: p.t("The project's language")}}
	for _, tag := range tags {
		d.Languages = append(d.Languages, view.Choice{Value: tag, Text: languageName(tag), Chosen: tag == d.Form.Get("locale")})
	}
	d.Options = p.options(d.Form)
	for _, field := range optionFields() {
		d.Options.Open = d.Options.Open || d.Form.Get(field) != "" || d.Wrong(field) != ""
	}
}

// create makes an invite and sends it, or shows what it would be.
func (s *console) create(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	form.Set("app", p.slug(form.Get("app"), form.Get("meant")))
	d := newPage{Base: p.base(p.t("New invite"), "new"), Key: form.Get("key"), Form: form}
	if d.Self, err = s.selfSend(p); err != nil {
		return err
	}
	req, faults := p.readCreateRequest(form)
	if len(faults) > 0 {
		// What else is wrong is told at the same time.
		if _, err := s.Invites.Preview(p.ctx(), p.by, req, ""); err != nil {
			return s.showFaults(p, d, err, faults...)
		}
		return s.showFaults(p, d, nil, faults...)
	}
	if form.Get("do") == "preview" {
		if d.Preview, err = s.draftOf(p, form); err != nil {
			return s.showFaults(p, d, err)
		}
		d.choose(p)
		return p.show("new", d)
	}
	if form.Get("do") == doTest {
		return s.testInvite(p, d, req)
	}
	form.Del("do")
	form.Del("meant")
	form.Del("self")
	out, err := s.Invites.Create(p.ctx(), p.by, req, issue.Meta{
		IdempotencyKey: d.Key, Body: []byte(form.Encode()), RequestID: web.RequestID(p.ctx()), Route: "console new",
	})
	if err != nil {
		return s.showFaults(p, d, err)
	}
	home := p.frame.URL("invites", out.Invite.ID.String())
	switch {
	case req.Channel == string(invite.LinkOnly):
		return p.done(home, "good", p.t("The invite is created. Copy its link from here."))
	case req.SendAt != nil:
		return p.done(home, "good", p.t("The invite is scheduled."))
	case out.Outcome == ledger.Existing:
		return p.done(home, "note", p.t("This person has an open invite for the app already: it is this one."))
	}
	return p.done(home, "good", p.t("Invited. The message is on its way."))
}

// testInvite sends the message of an invite that is not created to the person at the form.
func (s *console) testInvite(p *page, d newPage, req issue.CreateRequest) error {
	if req.Channel != string(testsend.Channel()) {
		// Other faults are told at the same time.
		_, err := s.Invites.Preview(p.ctx(), p.by, req, "")
		return s.showFaults(p, d, err, Fault{"channel", p.t("Only emails can be sent to you. Choose email, or create the invite without a test.")})
	}
	m, err := s.Invites.Draft(p.ctx(), p.by, req)
	if err != nil {
		return s.showFaults(p, d, err)
	}
	d.choose(p)
	status, err := s.sendTest(p, &d.Self, testsend.Order{Act: access.ActCreate, Texts: s.Composer.Messages(p.by.Place), Message: m, Form: d.Form.Get("self")})
	if err != nil {
		return p.orForbidden(err)
	}
	return p.render(p, status, "new", d)
}

// showFaults shows the form again with its faults: those that were found here, and those of the use
// case's refusal.
func (s *console) showFaults(p *page, d newPage, err error, found ...Fault) error {
	var e *invite.Error
	switch {
	case err == nil:
	case !errors.As(err, &e) || e.Code == invite.CodeInternal || e.Code == invite.CodeUnavailable:
		return err
	default:
		d.Faults = p.faults(e, p.frame.Now)
	}
	for _, f := range found {
		if d.Wrong(f.Field) == "" {
			d.Faults = append(d.Faults, f)
		}
	}
	d.choose(p)
	if d.Wrong("app") != "" && strings.TrimSpace(d.Value("app")) != "" {
		d.Meant = p.apps(d.Value("app"))
	}
	d.Key = rand.Text() // another form from here on
	return p.wrong("new", d)
}

package console

import (
	"net/http"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
)

// hiddenCode stands where a link's code was.
const hiddenCode = "****"

// preview is a message as its reader sees it, with addresses and code masked.
type preview struct {
	Subject  string
	Text     string
	SMS      string
	Segments int
	FrameURL string // of the HTML
}

// sawPage is what the recipient saw.
type sawPage struct {
	actPage
	As, Width string
	Dark      bool
	Message   *preview
	Tabs      []tab
}

type tab struct {
	URL, Text string
	Current   bool
}

// saw shows the message in the forms in which it is read.
func (s *console) saw(p *page) error {
	o, err := p.invite()
	if err != nil {
		return p.orMissing(err)
	}
	a, err := s.actData(p, o, p.t("What they saw"))
	if err != nil {
		return err
	}
	d := sawPage{actPage: a, As: p.QueryParam("as"), Width: p.QueryParam("width"), Dark: p.QueryParam("dark") != ""}
	channel := o.Channel
	if o.DeliveryChannel != nil {
		channel = invite.Channel(*o.DeliveryChannel)
	}
	if d.As != "html" && d.As != "text" && d.As != "sms" {
		d.As = "html"
		if channel == invite.SMS {
			d.As = "sms"
		}
	}
	here := d.Home + "/saw"
	for _, t := range []struct{ as, width, dark, text string }{
		{"html", "", "", p.t("Email")}, {"html", "phone", "", p.t("On a phone")}, {"html", d.Width, "1", p.t("Dark")},
		{"text", "", "", p.t("Plain text")}, {"sms", "", "", p.t("SMS")},
	} {
		current := t.as == d.As && (t.as != "html" || t.width == d.Width && (t.dark != "") == d.Dark)
		d.Tabs = append(d.Tabs, tab{query(here, "as", t.as, "width", t.width, "dark", t.dark), t.text, current})
	}
	if d.Message, err = s.compose(p, o, "", kindOf(o)); err != nil {
		return err
	}
	d.Message.FrameURL = d.Home + "/mail"
	return p.show("saw", d)
}

func kindOf(o opened) message.Kind {
	if o.ResendCount > 0 {
		return message.Resend
	}
	return message.First
}

// mail is the HTML of a message, for a frame. It is somebody else's page as far
// as this console is concerned: its own policy allows inline style, which mail
// needs, and no script, no request and no navigation.
func (s *console) mail(p *page) error {
	o, err := p.invite()
	if err != nil {
		return p.orMissing(err)
	}
	_, html, _, err := s.written(p, o, p.QueryParam("note"), kindOf(o))
	if err != nil {
		return err
	}
	h := p.Response().Header()
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	return p.HTML(http.StatusOK, html)
}

// preview is what a resend would send.
func (s *console) preview(p *page, o opened, d resendPage) (*preview, error) {
	if d.Email != "" {
		o.content.Recipient.Email = d.Email
	}
	if d.Phone != "" {
		o.content.Recipient.Phone = d.Phone
	}
	m, err := s.compose(p, o, d.Note, message.Resend)
	if err == nil && d.Channel == string(invite.SMS) {
		m.Text, m.Subject = "", ""
	} else if err == nil {
		m.SMS = ""
	}
	return m, err
}

func (s *console) compose(p *page, o opened, note string, kind message.Kind) (*preview, error) {
	mail, _, sms, err := s.written(p, o, note, kind)
	if err != nil {
		return nil, err
	}
	return &preview{Subject: mail.Subject, Text: mail.Text.Reveal(), SMS: sms.Body.Reveal(), Segments: sms.Segments}, nil
}

// written renders the message anew from what is stored: sent messages are not
// kept. Who it is for is masked, and the code of its link.
func (s *console) written(p *page, o opened, note string, kind message.Kind) (mail message.Email, html string, sms message.SMS, err error) {
	brand, c := p.project.Brand, o.content
	if note == "" {
		note = c.Note
	}
	// A link that is over would not be rendered; what was said when it was sent is.
	now, ends := o.Now, orZero(o.ExpiresAt)
	if o.DeliveryCreated != nil && *o.DeliveryCreated != now && kind == kindOf(o) {
		now = *o.DeliveryCreated
	}
	if !ends.After(now) {
		ends = now.Add(time.Duration(o.ExpiresInS) * time.Second)
	}
	base := s.PublicURL
	if base == "" {
		base = "https://pipedream.com"
	}
	v := message.Vars{
		Brand: brand.Name, AppName: o.AppName, Inviter: story.Hush(c.Inviter), Reason: story.Hush(c.Reason), Note: story.Hush(note), RecipientName: story.HushName(c.Recipient.Name),
		URL: secret.New(base + "/c/" + hiddenCode), LinkType: message.LinkInvite, Kind: kind, Initiator: message.Initiator(o.InitiatedBy),
		ExpiresAt: ends, Now: now, Locale: c.Recipient.Locale, RecipientEmail: secret.New(o.masked(invite.Email)),
		SupportEmail: brand.SupportEmail, LegalLine: brand.LegalLine, PrivacyURL: brand.PrivacyURL, Colour: brand.Colour, LogoURL: brand.LogoURL,
		CanRenew: true, CanReport: true,
	}
	if zone, err := time.LoadLocation(c.Recipient.TimeZone); err == nil && c.Recipient.TimeZone != "" {
		v.Zone, v.ZoneIsRecipients = zone, true
	}
	if mail, err = s.Messages.Email(v); err != nil {
		return mail, "", sms, err
	}
	if sms, err = s.Messages.SMS(v); err != nil {
		return mail, "", sms, err
	}
	return mail, strings.ReplaceAll(mail.HTML.Reveal(), "target=\"_blank\"", ""), sms, nil
}

package console

import (
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
)

// hiddenCode stands where a link's code was.
const hiddenCode = "****"

// hiddenLink stands where Pipedream's own link was.
const hiddenLink = "https://pipedream.com/_static/connect.html?token=" + hiddenCode

// preview is a message as its reader sees it.
type preview struct {
	Subject  string
	Text     string
	SMS      string
	Segments int
}

// renderedMessage is a message rendered for both channels.
type renderedMessage struct {
	mail message.Email
	sms  message.SMS
}

func (w renderedMessage) preview() *preview {
	return &preview{Subject: w.mail.Subject, Text: w.mail.Text.Reveal(), SMS: w.sms.Body.Reveal(), Segments: w.sms.Segments}
}

func kindOf(o opened) message.Kind {
	if o.ResendCount > 0 {
		return message.Resend
	}
	return message.First
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
	w, err := s.written(p, o, note, kind)
	if err != nil {
		return nil, err
	}
	return w.preview(), nil
}

// written renders the message again from the stored data: sent messages are
// not stored. The recipient and the code of the link are masked.
func (s *console) written(p *page, o opened, note string, kind message.Kind) (w renderedMessage, err error) {
	brand, c := p.project.Brand, o.content
	if note == "" {
		note = c.Note
	}
	// An expired link would not be rendered; the times of the sending are used.
	now, ends := o.Now, orZero(o.ExpiresAt)
	if o.DeliveryCreated != nil && *o.DeliveryCreated != now && kind == kindOf(o) {
		now = *o.DeliveryCreated
	}
	if !ends.After(now) {
		ends = now.Add(time.Duration(o.ExpiresInS) * time.Second)
	}
	v := message.Vars{
		Brand: brand.Name, AppName: o.AppName, Inviter: story.Hush(c.Inviter), Reason: story.Hush(c.Reason), Note: story.Hush(note), RecipientName: story.HushName(c.Recipient.Name),
		URL: secret.New(s.PublicURL + "/c/" + hiddenCode), LinkType: message.LinkInvite, Kind: kind, Initiator: message.Initiator(o.InitiatedBy),
		ExpiresAt: ends, Now: now, Locale: c.Recipient.Locale, RecipientEmail: secret.New(o.masked(invite.Email)),
		SupportEmail: brand.SupportEmail, LegalLine: brand.LegalLine, PrivacyURL: brand.PrivacyURL, Colour: brand.Colour, LogoURL: brand.LogoURL,
		CanRenew: true, CanReport: true,
	}
	if o.LinkType == invite.ConnectLink || s.PublicURL == "" {
		v.URL, v.LinkType = secret.New(hiddenLink), message.LinkConnect
	}
	if s.isOneWay(p) && s.PublicURL != "" {
		v.StopURL = secret.New(s.PublicURL + "/s/" + hiddenCode)
	}
	if zone, err := time.LoadLocation(c.Recipient.TimeZone); err == nil && c.Recipient.TimeZone != "" {
		v.Zone, v.ZoneIsRecipients = zone, true
	}
	messages := s.Messages(p.project.ID)
	if w.mail, err = messages.Email(v); err != nil {
		return w, err
	}
	w.sms, err = messages.SMS(v)
	return w, err
}

// serveSandboxed writes an HTML document for a script-less iframe. Its policy
// allows the inline style that the document needs, and no script, request, form
// or navigation.
func (p *page) serveSandboxed(document string) error {
	h := p.Response().Header()
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	return p.HTML(http.StatusOK, stripNavigation(document))
}

// stripNavigation removes everything from a document that leads elsewhere: targets of links
// and forms, scripts, and automatic redirects. A sandbox stops a form, but not a link
// inside its frame.
func stripNavigation(document string) string {
	var b strings.Builder
	b.Grow(len(document))
	z := html.NewTokenizer(strings.NewReader(document))
	for script := false; ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return b.String() // the end: a string cannot fail otherwise
		}
		raw := string(z.Raw()) // before Token, which spoils it
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken && kind != html.EndTagToken {
			if !script {
				b.WriteString(raw)
			}
			continue
		}
		t := z.Token()
		switch {
		case t.Data == "script":
			script = kind == html.StartTagToken
			continue
		case kind == html.EndTagToken:
			b.WriteString(raw)
			continue
		case t.Data == "meta" && attributeOf(t, "http-equiv") != "", t.Data == "link", t.Data == "base":
			continue
		case t.Data != "a" && t.Data != "area" && t.Data != "form" && t.Data != "button" && t.Data != "input":
			b.WriteString(raw)
			continue
		}
		kept := t.Attr[:0]
		for _, a := range t.Attr {
			switch a.Key {
			case "href", "action", "formaction", "target", "ping", "download":
			default:
				kept = append(kept, a)
			}
		}
		if t.Data == "a" {
			kept = append(kept, html.Attribute{Key: "role", Val: "link"}, html.Attribute{Key: "aria-disabled", Val: "true"})
		}
		t.Attr = kept
		b.WriteString(t.String())
	}
}

func attributeOf(t html.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// isOneWay reports whether people cannot reply to what the project's texts come from.
func (s *console) isOneWay(p *page) bool {
	return s.OneWay != nil && s.OneWay(invite.Place{Project: p.project.ID, Live: p.by.Live})
}

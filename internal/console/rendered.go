package console

import (
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/logo"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
)

// hiddenCode stands where a link's code was.
const hiddenCode = "****"

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

// kindOf is the kind of the latest message; of an invite without one, of the message
// that would be sent.
func kindOf(o opened) string {
	switch {
	case o.DeliveryKind != nil:
		return *o.DeliveryKind
	case o.ResendCount > 0:
		return invite.KindResend
	}
	return invite.KindFirst
}

// preview is what a resend would send.
func (s *console) preview(p *page, o opened, d resendPage) (*preview, error) {
	if d.Email != "" {
		o.content.Recipient.Email = d.Email
	}
	if d.Phone != "" {
		o.content.Recipient.Phone = d.Phone
	}
	m, err := s.compose(p, o, d.Note, invite.KindResend)
	if err == nil && invite.Channel(d.Channel).Spec().Form == invite.FormText {
		m.Text, m.Subject = "", ""
	} else if err == nil {
		m.SMS = ""
	}
	return m, err
}

func (s *console) compose(p *page, o opened, note, kind string) (*preview, error) {
	w, err := s.written(p, o, note, kind)
	if err != nil {
		return nil, err
	}
	return w.preview(), nil
}

// written renders the message again from the stored data: sent messages are
// not stored. The recipient and the code of the link are masked.
func (s *console) written(p *page, o opened, note, kind string) (w renderedMessage, err error) {
	m := compose.Message{Invite: s.maskedInvite(p, o), Kind: kind, OneWay: s.isOneWay(p, o)}
	if note != "" {
		m.Content.Note = story.MaskText(note)
	}
	// An expired link would not be rendered; the times of the sending are used.
	if o.DeliveryCreated != nil && *o.DeliveryCreated != m.Now && kind == kindOf(o) {
		m.Now = *o.DeliveryCreated
	}
	if !m.ExpiresAt.After(m.Now) {
		m.ExpiresAt = m.Now.Add(time.Duration(o.ExpiresInS) * time.Second)
	}
	if s.PublicURL == "" {
		m.LinkType = invite.ConnectLink
	}
	seen, err := s.Composer.Inspect(m)
	if err != nil {
		return w, err
	}
	// Only now: what stands in a link decides by its length which wording fits.
	hide := func(text secret.Text) secret.Text { return secret.New(compose.Hide(text.Reveal(), hiddenCode)) }
	w = renderedMessage{seen.Email, seen.SMS}
	w.mail.Text, w.mail.HTML, w.sms.Body = hide(w.mail.Text), hide(w.mail.HTML), hide(w.sms.Body)
	return w, nil
}

// maskedInvite is an invite as messages and pages show it to staff: personal data
// is masked, and neither code nor link opens anything.
func (s *console) maskedInvite(p *page, o opened) compose.Invite {
	c := o.content
	c.Inviter, c.Reason, c.Note = story.MaskText(c.Inviter), story.MaskText(c.Reason), story.MaskText(c.Note)
	c.Recipient.Name, c.Recipient.Email = story.MaskName(c.Recipient.Name), o.masked(invite.FieldEmail)
	link := compose.PreviewLink(pipedream.Completion{App: o.AppSlug, OAuthAppID: o.OAuthAppID, AccountID: o.ReconnectAccount})
	return compose.Invite{
		Project: p.project, Livemode: p.by.Live, App: invite.App{Slug: o.AppSlug, Name: o.AppName, AuthType: o.AppAuthType},
		InitiatedBy: o.InitiatedBy, LinkType: o.LinkType, IsReconnect: o.Kind == invite.PurposeReconnect, Content: c, Code: secret.New(compose.PreviewCode), ConnectLink: link,
		ExpiresAt: orZero(o.ExpiresAt), Now: o.Now, Reference: invite.ReferenceOf(o.ID),
	}
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
// and forms, scripts, automatic redirects and app logos. A sandbox stops a form, but not a link
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
		case t.Data == "img" && strings.HasPrefix(attributeOf(t, "src"), logo.Path):
			continue // the frame's policy refuses it, and the initial stands below it
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

// isOneWay reports whether people cannot reply to the text of an invite: to the
// provider that sent it, and before that to the project's first choice.
func (s *console) isOneWay(p *page, o opened) bool {
	sentBy := ""
	if o.DeliveryProvider != nil {
		sentBy = *o.DeliveryProvider
	}
	return s.OneWay != nil && s.OneWay(sentBy, invite.Place{Project: p.project.ID, Live: p.by.Live})
}

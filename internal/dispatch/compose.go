package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// words are a delivery's secrets, opened.
type words struct {
	content invite.Content
	code    secret.Text // of the invite link; zero when there is none
	digits  secret.Text // of a passcode; zero when there is none
}

// Format keeps the words out of logs.
func (words) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(secret.Redacted)) }

func (d *Dispatcher) open(t *task) (words, error) {
	var w words
	if t.Invite.Content == nil {
		return words{}, errors.New("the content is erased")
	}
	plain, err := d.p.Box.Open(t.Invite.Content, seal.AD{Column: "invites.content", ID: t.InviteID.UUID()})
	if err != nil {
		return words{}, fmt.Errorf("open the content: %w", err)
	}
	if json.Unmarshal(plain, &w.content) != nil {
		return words{}, errors.New("the content is not what was sealed") // the decoder would quote it
	}
	if t.Code != nil {
		code, err := d.p.Box.Open(t.Code.Sealed, seal.AD{Column: "codes.code", ID: t.Code.ID})
		if err != nil {
			return words{}, fmt.Errorf("open the code: %w", err)
		}
		w.code = secret.New(string(code))
	}
	if t.Passcode != nil {
		digits, err := d.p.Box.Open(t.Passcode.Digits, seal.AD{Column: "passcodes.digits", ID: t.DeliveryID.UUID()})
		if err != nil {
			return words{}, fmt.Errorf("open the passcode: %w", err)
		}
		w.digits = secret.New(string(digits))
	}
	return w, nil
}

// link returns the URL that the message carries: of our page, or of a connect link.
func (d *Dispatcher) link(t *task, w words, l *queue.Link) (secret.Text, error) {
	if t.Invite.LinkType != invite.ConnectLink {
		if w.code.IsZero() {
			return secret.Text{}, errors.New("the code is gone")
		}
		return secret.New(d.p.PublicURL + "/c/" + w.code.Reveal()), nil
	}
	if l == nil {
		return secret.Text{}, errors.New("the connect link is gone")
	}
	url, err := d.p.Box.Open(l.URL, seal.AD{Column: "connect_links.url", ID: l.ID.UUID()})
	if err != nil {
		return secret.Text{}, fmt.Errorf("open the connect link: %w", err)
	}
	return secret.New(string(url)), nil
}

// carried is what a message is there for, and until when it is of use.
type carried struct {
	url      secret.Text
	linkType message.LinkType
	digits   secret.Text
	ends     time.Time
}

func (d *Dispatcher) carried(t *task, w words) (carried, error) {
	if t.Kind == invite.KindPasscode {
		if w.digits.IsZero() {
			return carried{}, errors.New("the passcode is gone")
		}
		return carried{digits: w.digits, ends: t.Passcode.ExpiresAt}, nil
	}
	url, err := d.link(t, w, t.Link)
	if err != nil {
		return carried{}, err
	}
	if t.Invite.LinkType == invite.ConnectLink {
		return carried{url: url, linkType: message.LinkConnect, ends: t.Link.ExpiresAt}, nil
	}
	return carried{url: url, linkType: message.LinkInvite, ends: *t.Invite.ExpiresAt}, nil
}

// composeInTurn keeps to as many messages at a time as there are processors.
func (d *Dispatcher) composeInTurn(t *task, from provider.Identity, attempt invite.AttemptID) (message.Outgoing, error) {
	d.turns.wait(t.Lane)
	defer d.turns.done()
	return d.compose(t, from, attempt)
}

// compose renders the message. Its errors name fields, never values.
func (d *Dispatcher) compose(t *task, from provider.Identity, attempt invite.AttemptID) (message.Outgoing, error) {
	w, err := d.open(t)
	if err != nil {
		return message.Outgoing{}, err
	}
	project, ok := d.p.Project(t.Project)
	if !ok {
		return message.Outgoing{}, errors.New("the project is not configured")
	}
	brand := project.Brand
	what, err := d.carried(t, w)
	if err != nil {
		return message.Outgoing{}, err
	}
	r := w.content.Recipient
	v := message.Vars{
		Brand: brand.Name, AppName: t.Invite.AppName,
		Inviter: w.content.Inviter, Reason: w.content.Reason, Note: w.content.Note, RecipientName: r.Name,
		URL: what.url, LinkType: what.linkType, Passcode: what.digits, PageHost: d.host,
		Kind: message.Kind(t.Kind), Initiator: message.Initiator(t.Invite.InitiatedBy),
		ExpiresAt: what.ends, Now: t.Now, Locale: r.Locale, RecipientEmail: secret.New(r.Email),
		SupportEmail: brand.SupportEmail, LegalLine: brand.LegalLine, PrivacyURL: brand.PrivacyURL,
		Colour: brand.Colour, LogoURL: brand.LogoURL,
		CanRenew: true, CanReport: true, // the page does both; without it in the link the words are left out
	}
	if from.OneWay && d.p.PublicURL != "" && !w.code.IsZero() {
		v.StopURL = secret.New(d.p.PublicURL + "/s/" + w.code.Reveal())
	}
	if zone, err := time.LoadLocation(r.TimeZone); err == nil && r.TimeZone != "" {
		v.Zone, v.ZoneIsRecipients = zone, true
	}
	to := r.Address(t.Channel)
	if to == "" {
		return message.Outgoing{}, errors.New("the recipient has no address for this channel")
	}
	out := message.Outgoing{
		InviteID: t.InviteID.String(), AttemptID: attempt.String(), Livemode: t.Live,
		ValidFor: what.ends.Sub(t.Now),
	}
	if t.Channel == invite.SMS {
		sms, err := d.renderer(t.Project).SMS(v)
		if err != nil {
			return message.Outgoing{}, err
		}
		sms.To = secret.New(to)
		out.SMS = &sms
		return out, nil
	}
	mail, err := d.renderer(t.Project).Email(v)
	if err != nil {
		return message.Outgoing{}, err
	}
	if v.Kind == message.Reminder && d.p.PublicURL != "" && !w.code.IsZero() {
		mail.Unsubscribe = secret.New(d.p.PublicURL + "/s/" + w.code.Reveal())
	}
	mail.To = message.Address{Email: secret.New(to), Name: strings.TrimSpace(r.Name)}
	out.Email = &mail
	return out, nil
}

// renderer is the one with the project's own texts, where it has some.
func (d *Dispatcher) renderer(project string) *message.Renderer {
	if r := d.p.Renderers[project]; r != nil {
		return r
	}
	return d.p.Renderer
}

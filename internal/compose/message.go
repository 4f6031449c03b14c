package compose

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/secret"
)

// Params are what a Composer needs.
type Params struct {
	// PublicURL is where invite links live, without a slash at the end; empty
	// where people cannot reach us.
	PublicURL string
	// Messages returns the renderer with the texts of a project and mode.
	Messages func(place invite.Place) *message.Renderer
	// Pages returns the pages with a project's texts; nil: none are previewed.
	Pages func(project string) *page.Pages
	// Logo returns the path of an app's logo on our host, for previews of pages; nil: they
	// have none.
	Logo func(source string) string
}

// Composer makes messages and previews of invites. It is safe for concurrent use.
type Composer struct {
	p    Params
	host string // of PublicURL, where passcodes are entered
}

// New makes a Composer. A missing collaborator is an error.
func New(p Params) (*Composer, error) {
	if err := required.Check("compose.Params", map[string]any{"Messages": p.Messages}); err != nil {
		return nil, err
	}
	c := &Composer{p: p}
	if u, err := url.Parse(p.PublicURL); err == nil {
		c.host = u.Hostname()
	}
	return c, nil
}

// Messages returns the renderer with the texts of a project and mode, for questions about
// its languages and version.
func (c *Composer) Messages(place invite.Place) *message.Renderer { return c.p.Messages(place) }

// Invite is what messages and pages say of an invite. It holds personal data and the
// link's code, so it prints as redacted.
type Invite struct {
	Project     config.Project
	Livemode    bool
	App         invite.App
	InitiatedBy invite.InitiatedBy
	LinkType    invite.LinkType // InviteLink when empty
	IsReconnect bool            // it asks for an account that was connected before
	Content     invite.Content
	// Code is of the invite link. It may be zero where LinkType is ConnectLink.
	Code secret.Text
	// ConnectLink is Pipedream's own URL, where LinkType is ConnectLink.
	ConnectLink secret.Text
	ExpiresAt   time.Time // when the link, or the passcode, ends
	Now         time.Time
	Reference   string // what support can search for
}

func (i Invite) place() invite.Place {
	return invite.Place{Project: i.Project.ID, Live: i.Livemode}
}

// Message is one message of an invite.
type Message struct {
	Invite
	Kind     string      // invite.KindFirst when empty
	Passcode secret.Text // six digits, where Kind is KindPasscode
	OneWay   bool        // people cannot reply to the sender of texts
}

// Format keeps the code and personal data out of logs and errors.
func (Invite) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "compose.Invite["+secret.Redacted+"]")
}

// Format keeps the code and personal data out of logs and errors.
func (Message) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "compose.Message["+secret.Redacted+"]")
}

// Compose renders the message for a channel and addresses it to the recipient.
// The caller adds the identifiers and the sender. Errors name fields, never
// values.
func (c *Composer) Compose(m Message, ch invite.Channel) (message.Outgoing, error) {
	return c.composeWith(c.p.Messages(m.place()), m, ch)
}

// ComposeSample renders a message that staff send to themselves, with texts that need not be
// those of the project yet: the message of Compose, with a link that opens no invite and,
// where it has a subject, a word before the subject.
func (c *Composer) ComposeSample(texts *message.Renderer, m Message, ch invite.Channel) (message.Outgoing, error) {
	m.Code, m.Reference = secret.New(SampleCode), PreviewReference
	out, err := c.composeWith(texts, m, ch)
	if err == nil && out.Email != nil {
		out.Email.Subject = texts.SampleSubject(m.Content.Recipient.Locale, out.Email.Subject)
	}
	return out, err
}

func (c *Composer) composeWith(texts *message.Renderer, m Message, ch invite.Channel) (message.Outgoing, error) {
	v, err := c.vars(m)
	if err != nil {
		return message.Outgoing{}, err
	}
	r := m.Content.Recipient
	to := r.Address(ch)
	if to == "" {
		return message.Outgoing{}, errors.New("the recipient has no address for this channel")
	}
	out := message.Outgoing{Livemode: m.Livemode, ValidFor: m.ExpiresAt.Sub(m.Now)}
	out.Version = texts.Version()
	if ch.Spec().Form == invite.FormText {
		sms, err := texts.SMS(v)
		if err != nil {
			return message.Outgoing{}, err
		}
		sms.To = secret.New(to)
		out.SMS = &sms
		return out, nil
	}
	mail, err := texts.Email(v)
	if err != nil {
		return message.Outgoing{}, err
	}
	if v.Kind == message.Reminder {
		mail.Unsubscribe = c.stopURL(m)
	}
	mail.To = message.Address{Email: secret.New(to), Name: strings.TrimSpace(r.Name)}
	out.Email = &mail
	return out, nil
}

// Inspect renders the message for every channel and reports what could be better. It
// needs no address.
func (c *Composer) Inspect(m Message) (message.Inspection, error) {
	return c.InspectWith(c.p.Messages(m.place()), m)
}

// InspectWith is Inspect with texts that are not those of the project yet.
func (c *Composer) InspectWith(texts *message.Renderer, m Message) (message.Inspection, error) {
	v, err := c.vars(m)
	if err != nil {
		return message.Inspection{}, err
	}
	return texts.Inspect(v)
}

// vars is the only place where the variables of a message are filled.
func (c *Composer) vars(m Message) (message.Vars, error) {
	brand, r := m.Project.Brand, m.Content.Recipient
	v := message.Vars{
		Brand: brand.Name, AppName: m.App.Name,
		Inviter: m.Content.Inviter, Reason: m.Content.Reason, Note: m.Content.Note, RecipientName: r.Name,
		PageHost: c.host, LinkType: message.LinkInvite, IsReconnect: m.IsReconnect,
		Kind: message.Kind(m.Kind), Initiator: message.Initiator(m.InitiatedBy),
		ExpiresAt: m.ExpiresAt, Now: m.Now, Locale: r.Locale, RecipientEmail: secret.New(r.Email),
		SupportEmail: brand.SupportEmail, Reference: m.Reference, LegalLine: brand.LegalLine, PrivacyURL: brand.PrivacyURL,
		Colour: brand.Colour, LogoURL: brand.LogoURL, ConnectHost: connectHost(m.Project),
		CanRenew: true, CanReport: true, // the page does both; without it in the link the words are left out
	}
	var err error
	if v.URL, v.Passcode, err = c.carried(m); err != nil {
		return message.Vars{}, err
	}
	if m.LinkType == invite.ConnectLink {
		v.LinkType = message.LinkConnect
	}
	if m.OneWay {
		v.StopURL = c.stopURL(m)
	}
	v.Zone, v.ZoneIsRecipients = zoneOf(r)
	return v, nil
}

// Carried returns the part of a message by which it can be found again at a
// provider: its link, or its passcode. It reads Kind, LinkType and what that
// kind of message carries.
func (c *Composer) Carried(m Message) (secret.Text, error) {
	link, passcode, err := c.carried(m)
	if m.Kind == invite.KindPasscode {
		return passcode, err
	}
	return link, err
}

// carried returns what a message is there for: a link, or a passcode.
func (c *Composer) carried(m Message) (link, passcode secret.Text, err error) {
	switch {
	case m.Kind == invite.KindPasscode && m.Passcode.IsZero():
		return link, passcode, errors.New("the passcode is gone")
	case m.Kind == invite.KindPasscode:
		return link, m.Passcode, nil
	case m.LinkType == invite.ConnectLink && m.ConnectLink.IsZero():
		return link, passcode, errors.New("the connect link is gone")
	case m.LinkType == invite.ConnectLink:
		return m.ConnectLink, passcode, nil
	case m.Code.IsZero():
		return link, passcode, errors.New("the code is gone")
	}
	return secret.New(c.p.PublicURL + "/c/" + m.Code.Reveal()), passcode, nil
}

// stopURL is the page that ends messages to this recipient; zero where none can be
// reached.
func (c *Composer) stopURL(m Message) secret.Text {
	if c.p.PublicURL == "" || m.Code.IsZero() {
		return secret.Text{}
	}
	return secret.New(c.p.PublicURL + "/s/" + m.Code.Reveal())
}

// connectHost is the host at which people connect, as messages and pages name it.
func connectHost(p config.Project) string {
	if len(p.Pipedream.LinkHosts) == 0 {
		return ""
	}
	return p.Pipedream.LinkHosts[0]
}

// zoneOf returns the recipient's own time zone, and whether it is known.
func zoneOf(r invite.Recipient) (*time.Location, bool) {
	if r.TimeZone == "" {
		return nil, false
	}
	zone, err := contact.ParseTimeZone(r.TimeZone)
	if err != nil {
		return nil, false
	}
	return zone, true
}

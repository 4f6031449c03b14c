package dispatch

import (
	"errors"
	"fmt"

	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
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
	var err error
	if w.content, err = find.Open(d.p.Box, t.InviteID, t.Invite.Content); err != nil {
		return words{}, err
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

// fillCarried gives a message the link or the digits that it is there for, and
// the end of them. Link is the connect link in question, if there is one.
func (d *Dispatcher) fillCarried(m *compose.Message, t *task, w words, link *queue.Link) error {
	m.Code, m.Passcode = w.code, w.digits
	switch {
	case t.Kind == invite.KindPasscode:
		if t.Passcode != nil {
			m.ExpiresAt = t.Passcode.ExpiresAt
		}
	case t.Invite.LinkType != invite.ConnectLink:
		if t.Invite.ExpiresAt != nil {
			m.ExpiresAt = *t.Invite.ExpiresAt
		}
	case link != nil:
		url, err := d.p.Box.Open(link.URL, seal.AD{Column: "connect_links.url", ID: link.ID.UUID()})
		if err != nil {
			return fmt.Errorf("open the connect link: %w", err)
		}
		m.ConnectLink, m.ExpiresAt = secret.New(string(url)), link.ExpiresAt
	}
	return nil
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
	m := compose.Message{
		Invite: compose.Invite{
			Project: project, Livemode: t.Live, App: invite.App{Name: t.Invite.AppName}, InitiatedBy: t.Invite.InitiatedBy,
			LinkType: t.Invite.LinkType, IsReconnect: t.Invite.Kind == invite.PurposeReconnect, Content: w.content, Now: t.Now,
			Reference: invite.ReferenceOf(t.InviteID),
		},
		Kind: t.Kind, OneWay: from.OneWay,
	}
	if err := d.fillCarried(&m, t, w, t.Link); err != nil {
		return message.Outgoing{}, err
	}
	out, err := d.p.Composer.Compose(m, t.Channel)
	out.InviteID, out.AttemptID = t.InviteID.String(), attempt.String()
	return out, err
}

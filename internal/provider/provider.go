package provider

import (
	"context"
	"errors"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
)

// Sender hands messages to one provider account. It is safe for concurrent use.
type Sender interface {
	// Provider is the vendor's name in attempts, metrics, errors and callback paths.
	Provider() string
	// Account is the same for all senders that share limits and credit.
	Account() string
	// Identity is what recipients see, and may reply to; zero for email.
	Identity() Identity
	// Proof is what can be found out about a call whose answer was lost.
	Proof() Proof
	// Send makes one call. The error is always a *SendError with a Reason.
	Send(ctx context.Context, m message.Outgoing) (Acceptance, error)
	// Find looks a message up; ErrCannotFind when the provider has no way to.
	Find(ctx context.Context, s Sought) (Found, error)
}

// Identity is what recipients see messages come from.
type Identity struct {
	// Sender is what people reply to and say STOP to: a messaging service or a
	// number. Opt-outs belong to it. Empty for email.
	Sender string
	// OneWay: people cannot reply to the sender, so text messages name a page that
	// stops them.
	OneWay bool
}

// ErrStillSending is wrapped by errors of a Redactor for a message that the provider
// is still delivering.
var ErrStillSending = errors.New("the message is still being delivered")

// Redactor removes what a provider keeps of messages. A message that is gone there
// is no error.
type Redactor interface {
	// Redact empties a message's text.
	Redact(ctx context.Context, providerMessageID string) error
	// Remove deletes the record of a message, with the number it went to.
	Remove(ctx context.Context, providerMessageID string) error
}

// Unlister removes addresses from a provider's own suppression lists.
type Unlister interface {
	// Unlist removes an address from the lists for this kind of block. An address that
	// is on none is no error; cleared is false when the credentials may not change the
	// lists.
	Unlist(ctx context.Context, address secret.Text, kind invite.Block) (cleared bool, err error)
}

// Check is what can be tried at a provider without sending a message.
type Check struct {
	What   string
	Advice string // what to do when it fails
	Try    func(ctx context.Context) error
}

// ErrNotTried is wrapped by the error of a Check that the credentials may not do,
// and need not.
var ErrNotTried = errors.New("not tried")

// Provider is one vendor as a project uses it in one mode: all that the program asks
// of it. Nil members are what the vendor does not do, or lacks settings for.
type Provider struct {
	Name      string // in attempts, metrics, errors and callback paths
	Channel   invite.Channel
	Sender    Sender    // nil: it only reports on what it took before
	Callbacks Callbacks // nil: it cannot report to us
	Redactor  Redactor  // nil: it keeps no text of messages
	Unlister  Unlister  // nil: it keeps no lists
	Checks    []Check
	PerSecond float64 // most messages a second; 0: unlimited
}

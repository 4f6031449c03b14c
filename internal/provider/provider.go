package provider

import (
	"context"

	"github.com/connectlink/connectlink/internal/message"
)

// Sender hands messages to one provider account. It is safe for concurrent use.
type Sender interface {
	// Provider is the vendor's name in attempts, metrics, errors and callback paths.
	Provider() string
	// Account is the same for all senders that share limits and credit.
	Account() string
	// Proof is what can be found out about a call whose answer was lost.
	Proof() Proof
	// Send makes one call. The error is always a *SendError with a Reason.
	Send(ctx context.Context, m message.Outgoing) (Acceptance, error)
	// Find looks a message up; ErrCannotFind when the provider has no way to.
	Find(ctx context.Context, s Sought) (Found, error)
}

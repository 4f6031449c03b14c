package message

import (
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// Outgoing is one message, ready to be handed to a provider in one call.
// Exactly one of Email and SMS is set.
type Outgoing struct {
	InviteID  string // "inv_…", opaque: may travel in custom args
	AttemptID string // "att_…", opaque: may travel in custom args and callback paths
	Livemode  bool
	Version   string // of the texts and layout it was rendered with
	Email     *Email
	SMS       *SMS
	// CallbackURL receives this attempt's status; empty when the provider
	// cannot reach us. Only Twilio takes one per message.
	CallbackURL string
	// ValidFor is how long the message is still worth delivering.
	ValidFor time.Duration
	// LeaseUntil is the local deadline after which not one byte of the request
	// may be sent: another worker may own the lease by then.
	LeaseUntil time.Time
}

// Address is a mailbox with its display name.
type Address struct {
	Email secret.Text
	Name  string
}

// Email is a rendered mail.
type Email struct {
	From, To Address
	ReplyTo  secret.Text // an address people read; may be empty
	Subject  string
	Text     secret.Text // carries the link
	HTML     secret.Text // carries the link
	// Unsubscribe is the address of our page that ends such mails, which takes
	// the one press that mail programs make of it (RFC 8058); zero: none.
	Unsubscribe secret.Text
}

// SMS is a rendered text message.
type SMS struct {
	To       secret.Text // E.164
	Body     secret.Text // carries the link
	Segments int         // 1 in a GSM-7 language, by construction
}

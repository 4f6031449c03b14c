package provider

import (
	"errors"
	"net/http"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

// Post is a callback as it came.
type Post struct {
	invite.Place

	Provider string // from the path, like all up to AttemptID
	// InviteID and AttemptID are empty where the path names none. A vendor's package
	// may use them only if the signature covers the URL.
	InviteID, AttemptID string
	RequestURI          string // path and query as received
	Header              http.Header
	Raw                 []byte // as received: signatures cover these bytes
}

// ErrUnreadable: a verified post is not what the provider documents.
var ErrUnreadable = errors.New("not a callback of this provider")

// Callbacks verifies and reads what a provider posts for one project and mode. It
// is safe for concurrent use.
type Callbacks interface {
	// Verify checks the signature. Nothing of a post is read before.
	Verify(p Post) error
	// Reports reads the delivery reports of a verified post. Reports that say nothing
	// about delivery are returned with an empty Status. Error: ErrUnreadable.
	Reports(p Post) ([]Report, error)
	// Reread reads the Raw of a report that was kept because no attempt matched it.
	// It returns the same report, without what the path had named.
	Reread(raw []byte) (Report, error)
	// Replies reads the messages of people in a verified post. Error: ErrUnreadable,
	// also where the provider has no such posts.
	Replies(p Post) ([]Reply, error)
	// ReplyAnswer is how a post of replies is answered after it was stored.
	ReplyAnswer() Answer
}

// Answer is the body of an answer with status 200; with an empty ContentType the
// answer is 204 without a body.
type Answer struct{ ContentType, Body string }

// Report is what a provider says about one message.
type Report struct {
	// Key is the same in every copy of the report, and in no other report of the
	// provider for a project and mode.
	Key string
	// InviteID and AttemptID are our own ids, as they travelled with the message.
	InviteID, AttemptID string
	// MessageIDs are what the send may have been answered with, and are looked up
	// where our own ids match no attempt.
	MessageIDs []string
	// MessageID is recorded as the answer to a send whose answer was lost.
	MessageID string
	// ByAddress: neither id came, so the report is taken to be about the last
	// message to Address.
	ByAddress bool
	Address   secret.Text

	Channel invite.Channel
	// Status and Reason are ours; an empty Status says nothing about delivery.
	Status invite.DeliveryStatus
	Reason invite.Reason
	// ForRecipient, if not nil, gives status and reason once it is known which
	// address the attempt's message went to.
	ForRecipient func(address secret.Text) (invite.DeliveryStatus, invite.Reason)
	Code         string      // the provider's own, without personal data
	Words        secret.Text // the provider's own; may quote the address
	At           time.Time   // the provider's clock; zero when it gives none

	Raw []byte // the report as it came, for Reread
}

// Reply is a message that a person sent to one of our senders.
type Reply struct {
	Key     string         // the same in every copy of it
	Channel invite.Channel // by which it came
	From    secret.Text    // E.164
	// To are the senders it was sent to, the most general first: a messaging service
	// before its number.
	To      []string
	Keyword Keyword
	// LikeStop, of a reply without a Keyword: it has a stop word in it.
	LikeStop bool
	Body     secret.Text
	Raw      []byte
}

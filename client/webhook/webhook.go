// Package webhook verifies and reads the events that Connect Link delivery posts
// to a product. They are signed as defined by Standard Webhooks.
package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/connectlink/connectlink/client"
)

// MaxBody bounds the body of an event, in bytes.
const MaxBody = 1 << 20

// ErrInvalid: the request does not come from the service, or it is older than five
// minutes. Answer it with 400.
var ErrInvalid = errors.New("connectlink: the webhook's signature is not valid")

// Event is what happened to an invite. The same event may arrive more than once,
// and events may arrive in any order: store the highest Sequence of each invite
// and ignore lower ones. Data.Invite is the invite as it was when the event
// happened; it is nil for an event that is about no invite.
type Event = client.PublicEvent

// Verify checks a body against the headers of its request and a secret (whsec_…),
// and returns its event. Pass the body as it was received: a body that was
// decoded and encoded again has another signature. Errors: ErrInvalid.
func Verify(secret string, header http.Header, body []byte) (Event, error) {
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return Event{}, errors.New("connectlink: the webhook secret is not valid; it begins with whsec_")
	}
	if err := hook.Verify(body, header); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var e Event
	if err := json.Unmarshal(body, &e); err != nil {
		return Event{}, fmt.Errorf("connectlink: read the webhook: %w", err)
	}
	return e, nil
}

// Read reads the body of a request, verifies it and returns its event. Errors:
// ErrInvalid, and those of reading the body, which may be longer than MaxBody.
func Read(secret string, r *http.Request) (Event, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, MaxBody))
	if err != nil {
		return Event{}, fmt.Errorf("connectlink: read the webhook: %w", err)
	}
	return Verify(secret, r.Header, body)
}

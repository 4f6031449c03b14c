package pipedream

import (
	"encoding/json"
	"errors"

	"github.com/connectlink/connectlink/internal/secret"
)

// The events of connection webhooks.
const (
	EventSuccess = "CONNECTION_SUCCESS"
	EventError   = "CONNECTION_ERROR"
)

// Webhook is the part of a connection webhook that we read. It is a hint:
// the post is unsigned, and an account counts only after it was read from
// the API.
type Webhook struct {
	Event        string
	ConnectToken secret.Text
	Environment  string
	AccountID    string      // success only
	ExternalID   string      // success only
	AppSlug      string      // success only
	Error        secret.Text // error only: words from the app, perhaps with an address
}

// ErrNotWebhook: the body is not a JSON object with an event.
var ErrNotWebhook = errors.New("not a connection webhook")

// ParseWebhook reads the few members that matter and no others: the shape of the
// rest has drifted between documents, and connect_session_id is a number beyond
// int64 that would fail the whole.
func ParseWebhook(raw []byte) (Webhook, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); err != nil {
		return Webhook{}, ErrNotWebhook
	}
	w := Webhook{
		Event:        str(top["event"]),
		ConnectToken: secret.New(str(top["connect_token"])),
		Environment:  str(top["environment"]),
		Error:        secret.New(str(top["error"])),
	}
	if w.Event == "" {
		return Webhook{}, ErrNotWebhook
	}
	var account map[string]json.RawMessage
	if json.Unmarshal(top["account"], &account) == nil {
		w.AccountID = str(account["id"])
		w.ExternalID = str(account["external_id"])
		w.AppSlug = slugOf(account["app"])
	}
	return w, nil
}

// str reads a string; anything else is as good as absent.
func str(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

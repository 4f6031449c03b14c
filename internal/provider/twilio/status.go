package twilio

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

// Status is one status callback. Twilio sends each at least once, in any order,
// sometimes before the call that made the message has returned.
type Status struct {
	MessageSID string
	AccountSID string
	Word       string // Twilio's own: "queued", "sent", "delivered", …
	ErrorCode  string // empty without an error
	To         secret.Text
}

// ErrNotStatus: the form is not a status callback.
var ErrNotStatus = errors.New("not a status callback: MessageSid and MessageStatus are needed")

// ParseStatus reads a status callback; members not named here are ignored, since
// Twilio adds some without notice.
func ParseStatus(form url.Values) (Status, error) {
	first := func(names ...string) string {
		for _, n := range names {
			if v := form.Get(n); v != "" {
				return v
			}
		}
		return ""
	}
	s := Status{
		MessageSID: first("MessageSid", "SmsSid", "SmsMessageSid"),
		AccountSID: form.Get("AccountSid"),
		Word:       strings.ToLower(first("MessageStatus", "SmsStatus")),
		ErrorCode:  form.Get("ErrorCode"),
		To:         secret.New(form.Get("To")),
	}
	if !isSID(s.MessageSID) || s.Word == "" {
		return Status{}, ErrNotStatus
	}
	if s.ErrorCode == "0" {
		s.ErrorCode = ""
	}
	return s, nil
}

// Key identifies a callback among its copies.
func (s Status) Key() string { return s.MessageSID + " " + s.Word + " " + s.ErrorCode }

// Fate is our status and reason; the status is empty for words that say nothing
// about delivery, or that are not known yet.
func (s Status) Fate() (invite.DeliveryStatus, invite.Reason) { return Fate(s.Word, s.ErrorCode) }

// Fate reads a status word and code of Twilio's, from a callback or from a list.
func Fate(word, errorCode string) (invite.DeliveryStatus, invite.Reason) {
	switch word {
	case "accepted", "scheduled", "queued", "sending":
		return invite.Accepted, ""
	case "sent":
		return invite.Sent, ""
	case "delivered", "read", "partially_delivered":
		return invite.Delivered, ""
	case "undelivered", "failed":
		if code, err := strconv.Atoi(errorCode); err == nil {
			if reason, ok := reasonOf(code); ok {
				return invite.Undelivered, reason
			}
		}
		return invite.Undelivered, invite.ProviderRefused
	case "canceled":
		return invite.Canceled, ""
	default:
		return "", ""
	}
}

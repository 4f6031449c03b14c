package twilio

import (
	"errors"
	"net/url"
	"regexp"

	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
)

// Inbound is a text message that a person sent to one of our senders. Twilio
// has answered and obeyed STOP, START and HELP itself by the time it tells us.
type Inbound struct {
	MessageSID string
	From       secret.Text // E.164
	// To and Service are what it was sent to: a number and, if that belongs to
	// one, its Messaging Service.
	To, Service string
	Keyword     provider.Keyword
	// LikeStop, of a text without a Keyword, says that it has a stop word in it.
	LikeStop bool
	Body     secret.Text
}

// ErrNotInbound: the form is not an inbound message from a phone.
var ErrNotInbound = errors.New("not an inbound message: MessageSid, From and To are needed")

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)

// ParseInbound reads the webhook of an inbound message. OptOutType, which
// Advanced Opt-Out adds, counts before the words, because its keywords are
// configured by the account's owner, in any language.
func ParseInbound(form url.Values) (Inbound, error) {
	in := Inbound{
		MessageSID: form.Get("MessageSid"), From: secret.New(form.Get("From")), To: form.Get("To"), Service: form.Get("MessagingServiceSid"),
	}
	if in.MessageSID == "" {
		in.MessageSID = form.Get("SmsSid")
	}
	if !isSID(in.MessageSID) || !e164.MatchString(in.From.Reveal()) || in.To == "" {
		return Inbound{}, ErrNotInbound
	}
	in.Keyword = provider.KeywordOf(form.Get("OptOutType"))
	in.Body = secret.New(form.Get("Body"))
	if in.Keyword == "" {
		in.Keyword = provider.KeywordOf(in.Body.Reveal())
	}
	in.LikeStop = in.Keyword == "" && provider.IsLikeStop(in.Body.Reveal())
	return in, nil
}

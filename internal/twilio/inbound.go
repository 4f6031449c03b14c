package twilio

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/connectlink/connectlink/internal/secret"
)

// Keyword is what a person's text message asks for; empty for anything else.
type Keyword string

const (
	Stop  Keyword = "STOP"
	Start Keyword = "START"
	Help  Keyword = "HELP"
)

// Inbound is a text message that a person sent to one of our senders. Twilio
// has answered and obeyed STOP, START and HELP itself by the time it tells us.
type Inbound struct {
	MessageSID string
	From       secret.Text // E.164
	// To and Service are what it was sent to: a number and, if that belongs to
	// one, its Messaging Service.
	To, Service string
	Keyword     Keyword
}

// ErrNotInbound: the form is not an inbound message from a phone.
var ErrNotInbound = errors.New("not an inbound message: MessageSid, From and To are needed")

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)

// ParseInbound reads the webhook of an inbound message. OptOutType, which
// Advanced Opt-Out adds, is believed before the words: keywords there are
// whatever its owner configured, in any language.
func ParseInbound(form url.Values) (Inbound, error) {
	in := Inbound{
		MessageSID: form.Get("MessageSid"), From: secret.New(form.Get("From")), To: form.Get("To"), Service: form.Get("MessagingServiceSid"),
	}
	if in.MessageSID == "" {
		in.MessageSID = form.Get("SmsSid")
	}
	if !sid(in.MessageSID) || !e164.MatchString(in.From.Reveal()) || in.To == "" {
		return Inbound{}, ErrNotInbound
	}
	in.Keyword = keyword(form.Get("OptOutType"))
	if in.Keyword == "" {
		in.Keyword = keyword(form.Get("Body"))
	}
	return in, nil
}

// keyword reads a whole message: "please stop" is not STOP, neither to Twilio
// nor to the law that made it so.
func keyword(body string) Keyword {
	word := strings.ToUpper(strings.TrimSpace(body))
	switch {
	case slices.Contains([]string{"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}, word):
		return Stop
	case slices.Contains([]string{"START", "UNSTOP", "YES"}, word):
		return Start
	case slices.Contains([]string{"HELP", "INFO"}, word):
		return Help
	}
	return ""
}

package sendgrid

import (
	"strings"

	"golang.org/x/net/idna"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
)

// Fate is our status and reason for an event; the status is empty for events
// that say nothing about delivery (opens, clicks, unsubscribes, unknown ones).
func (e Event) Fate() (invite.DeliveryStatus, invite.Reason) {
	switch e.Name {
	case "processed":
		return invite.Accepted, ""
	case "deferred":
		return invite.Deferred, e.fault().Delay()
	case "delivered":
		return invite.Delivered, ""
	case "bounce", "blocked":
		// "blocked" is a refusal for now and "bounce" one for good; to the
		// person who waits for the mail both came back.
		return invite.Bounced, e.bounceReason()
	case "dropped":
		return e.dropped()
	case "spamreport":
		return invite.Complained, invite.MarkedSpam
	default:
		return "", ""
	}
}

// Code is the raw code stored beside the reason: class and status code of
// a bounce, never its text, which quotes the address.
func (e Event) Code() string {
	parts := make([]string, 0, 3)
	for _, s := range []string{e.Type, e.Classification, e.Status} {
		if s = strings.TrimSpace(s); s != "" && len(s) <= 40 {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

// bounceReason reads a bounce by SendGrid's class where that tells the cause, then
// by codes and words. "Technical Failure" and "Unclassified" tell nothing: many
// hosts answer an unknown user with 5.0.0 or without a code
// (https://www.twilio.com/docs/sendgrid/ui/analytics-and-reporting/bounce-and-block-classifications).
func (e Event) bounceReason() invite.Reason {
	switch class := strings.ToLower(e.Classification); {
	case strings.HasPrefix(class, "invalid"):
		return invite.AddressNotFound
	case strings.HasPrefix(class, "mailbox"):
		return invite.MailboxUnavailable
	case strings.HasPrefix(class, "reputation"):
		return invite.SenderReputation
	case strings.HasPrefix(class, "content"):
		return invite.ContentRefused
	case strings.HasPrefix(class, "frequency"):
		return invite.RateLimitedByHost
	}
	return e.fault().Reason()
}

// fault is what the host said.
func (e Event) fault() invite.MailFault {
	return invite.MailFault{Status: e.Status, Words: strings.TrimSpace(e.Reason.Reveal() + " " + e.Response.Reveal())}
}

// dropped: SendGrid took the message and then did not try. Its reasons are
// published as English phrases
// (https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event);
// they are matched by their distinctive word.
func (e Event) dropped() (invite.DeliveryStatus, invite.Reason) {
	reason := strings.ToLower(e.Reason.Reveal())
	switch {
	case strings.Contains(reason, "spam report"):
		return invite.Suppressed, invite.MarkedSpam
	case strings.Contains(reason, "unsubscribe"):
		return invite.Suppressed, invite.Unsubscribed
	case strings.Contains(reason, "bounced"):
		return invite.Suppressed, invite.SuppressedBefore
	case strings.Contains(reason, "spam content"):
		return invite.Rejected, invite.ContentRefused
	case strings.Contains(reason, "quota"):
		return invite.Rejected, invite.ProviderAccount
	case strings.Contains(reason, "smtpapi"):
		return invite.Rejected, invite.MessageBroken
	case strings.Contains(reason, "invalid"):
		return invite.Suppressed, invite.AddressNotFound
	default:
		// It is not said that an earlier message failed: nothing is blocked.
		return invite.Rejected, invite.ProviderRefused
	}
}

// FateFor is Fate for a message that went to this address. An event for another
// address was caused by a part of our message, such as a name that SendGrid
// split: the fault is ours, and no mailbox's. An event without an address, or a
// message whose address is no longer known, is judged by Fate.
func (e Event) FateFor(recipient secret.Text) (invite.DeliveryStatus, invite.Reason) {
	status, reason := e.Fate()
	if e.Name != "dropped" || e.Email.IsZero() || recipient.IsZero() || sameMailbox(e.Email.Reveal(), recipient.Reveal()) {
		return status, reason
	}
	return invite.Rejected, invite.MessageBroken
}

// sameMailbox compares as SendGrid writes addresses back: perhaps in lower case,
// and with the domain's other spelling.
func sameMailbox(a, b string) bool {
	return strings.EqualFold(plainMailbox(a), plainMailbox(b))
}

func plainMailbox(address string) string {
	address = strings.Trim(strings.TrimSpace(address), "<>")
	local, domain := contact.EmailParts(address)
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	return local + "@" + domain
}

// classifyError gives a failed call's error its reason.
func classifyError(e *provider.SendError) *provider.SendError {
	e.Reason = reasonOfCall(e)
	return e
}

// reasonOfCall is our reason for a failed call.
func reasonOfCall(e *provider.SendError) invite.Reason {
	switch {
	case e.Outcome == provider.Unknown:
		return invite.OutcomeUnknown
	case e.Outcome == provider.NotSent:
		return invite.ProviderDown
	case e.ProviderCode == "unsendable":
		return invite.MessageBroken
	case e.Scope == provider.ScopeAccount:
		return invite.ProviderAccount
	case strings.HasPrefix(e.ProviderCode, "personalizations") && strings.HasSuffix(e.ProviderCode, "email"):
		return invite.AddressNotFound
	default:
		return invite.ProviderRefused
	}
}

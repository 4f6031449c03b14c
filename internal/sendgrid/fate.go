package sendgrid

import (
	"strings"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
)

// Fate is our status and reason for an event; the status is empty for events
// that say nothing about delivery (opens, clicks, unsubscribes, unknown ones).
func (e Event) Fate() (invite.DeliveryStatus, invite.Reason) {
	switch e.Name {
	case "processed":
		return invite.Accepted, ""
	case "deferred":
		return invite.Deferred, invite.DeferredByHost
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

// Code is what is stored raw beside the reason: class and status code of a
// bounce, never its text, which quotes the address.
func (e Event) Code() string {
	parts := make([]string, 0, 3)
	for _, s := range []string{e.Type, e.Classification, e.Status} {
		if s = strings.TrimSpace(s); s != "" && len(s) <= 40 {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

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
	case strings.HasPrefix(class, "technical"):
		return invite.TechnicalFailure
	}
	// Unclassified, or an account whose events carry no class: the enhanced
	// status code (RFC 3463) says as much.
	_, detail, ok := strings.Cut(e.Status, ".")
	switch {
	case !ok:
		return invite.TechnicalFailure
	case detail == "1.1", detail == "1.2", detail == "1.3", detail == "1.6", detail == "1.10":
		return invite.AddressNotFound
	case strings.HasPrefix(detail, "2."):
		return invite.MailboxUnavailable
	case strings.HasPrefix(detail, "6."):
		return invite.ContentRefused
	case strings.HasPrefix(detail, "7."):
		return invite.SenderReputation
	default:
		return invite.TechnicalFailure
	}
}

// dropped: SendGrid took the message and then did not try. Its reasons are
// published as English phrases; they are matched by their distinctive word.
func (e Event) dropped() (invite.DeliveryStatus, invite.Reason) {
	reason := strings.ToLower(e.Reason.Reveal())
	switch {
	case strings.Contains(reason, "spam report"):
		return invite.Suppressed, invite.MarkedSpam
	case strings.Contains(reason, "bounced"), strings.Contains(reason, "unsubscribed"):
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
		return invite.Suppressed, invite.SuppressedBefore
	}
}

// Reason is our reason for a refused call.
func Reason(e *message.SendError) invite.Reason {
	switch {
	case e.Outcome == message.Unknown:
		return invite.OutcomeUnknown
	case e.Outcome == message.NotSent:
		return invite.ProviderDown
	case e.ProviderCode == "unsendable":
		return invite.MessageBroken
	case e.Scope == message.ScopeAccount:
		return invite.ProviderAccount
	case strings.HasPrefix(e.ProviderCode, "personalizations") && strings.HasSuffix(e.ProviderCode, "email"):
		return invite.AddressNotFound
	default:
		return invite.ProviderRefused
	}
}

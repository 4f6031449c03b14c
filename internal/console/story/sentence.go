package story

import (
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// Situation is where an invite stands, as far as words need it. Times that do
// not apply are zero.
type Situation struct {
	Status   invite.Status
	Progress invite.Progress
	Channel  invite.Channel
	App      string
	To       string // the recipient's address as it may be shown; empty without one
	Message  *Message

	Now        time.Time
	SendAt     time.Time
	ExpiresAt  time.Time
	OpenUntil  time.Time // a page at Pipedream that was handed out works until then
	ProgressAt time.Time // when the person got as far as Progress
	SeenAt     time.Time // when the person last did anything; zero: never or unknown
	EndedAt    time.Time // of an expired or revoked invite
	Connected  time.Time
	Account    string // its name at the app, if it has one

	Erased   bool // the personal data and the link are erased
	Replaced bool // by a newer invite
	Reported bool // by the recipient: it is not for them
}

// Message is the latest one.
type Message struct {
	ID      invite.DeliveryID
	Status  invite.DeliveryStatus
	Channel invite.Channel
	Reason  invite.Reason
	At      time.Time // of its latest news
	Began   time.Time // when it was asked for
	// Reminder says that it follows a message that had left.
	Reminder bool
}

// Newer reports whether the latest message was asked for after all that the person
// did: then what becomes of it is the news, not how far they got before.
func (s Situation) Newer() bool {
	return s.Message != nil && s.Progress != invite.NotOpened && !s.SeenAt.IsZero() && s.Message.Began.After(s.SeenAt)
}

// Sentence describes the status of an invite: the outcome of the message
// and the person's progress, then how long the link works.
func Sentence(w Words, s Situation) string {
	var parts []string
	add := func(text string) {
		if text != "" {
			parts = append(parts, text)
		}
	}
	switch s.Status {
	case invite.Scheduled:
		add(describeScheduled(w, s))
	case invite.Connected:
		add(describeConnected(w, s))
	case invite.Expired:
		add(describeExpired(w, s))
		add(openElsewhere(w, s))
	case invite.Revoked:
		add(describeRevoked(w, s))
		add(openElsewhere(w, s))
	case invite.Pending, invite.Active, invite.Failed:
		add(underWay(w, s))
		add(describeLinkLife(w, s))
	}
	return strings.Join(parts, " ")
}

// ProviderName returns a vendor's own spelling of its name, from the name of a
// provider or of a provider account.
func ProviderName(account string) string {
	name, _, _ := strings.Cut(account, ":")
	for _, known := range []string{"SendGrid", "Twilio", "SMTP"} {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return name
}

func describeScheduled(w Words, s Situation) string {
	if s.SendAt.After(s.Now) {
		return w.T("Will be sent to %s %s.", isolate(s.To), w.Relative(s.SendAt))
	}
	return w.T("Due for sending to %s %s.", isolate(s.To), w.Relative(s.SendAt))
}

func describeConnected(w Words, s Situation) string {
	if s.Account != "" {
		return w.T("Connected as %s %s.", isolate(s.Account), w.Relative(s.Connected))
	}
	return w.T("Connected %s.", w.Relative(s.Connected))
}

func describeExpired(w Words, s Situation) string {
	ago := w.Relative(s.EndedAt)
	switch s.Progress {
	case invite.NotOpened:
		if s.Message != nil && s.Message.Status == invite.Delivered {
			return w.T("Expired %s. The message was delivered to %s, but not opened.", ago, isolate(s.To))
		}
		return w.T("Expired %s, not opened.", ago)
	case invite.Visited:
		return w.T("Expired %s. The person opened it, but did not continue.", ago)
	case invite.Continued:
		return w.T("Expired %s. The person continued to Pipedream, but did not finish there.", ago)
	case invite.ConnectFailed:
		return w.T("Expired %s, after %s failed to connect.", ago, isolate(s.App))
	}
	return w.T("Expired %s.", ago)
}

func describeRevoked(w Words, s Situation) string {
	ago := w.Relative(s.EndedAt)
	switch {
	case !s.Connected.IsZero():
		return w.T("Revoked %s, but an account was connected anyway. The account was not removed; please review it.", ago)
	case s.Erased:
		return w.T("Ended %s. Personal data was erased, and the link no longer works.", ago)
	case s.Reported:
		return w.T("Ended %s: the person reported that it is not for them.", ago)
	case s.Replaced:
		return w.T("Replaced by a newer invite %s.", ago)
	}
	return w.T("Revoked %s. The link shows that it was cancelled.", ago)
}

// openElsewhere is what ending an invite cannot undo.
func openElsewhere(w Words, s Situation) string {
	if left := s.OpenUntil.Sub(s.Now); left > 0 && s.Connected.IsZero() {
		return w.T("A Pipedream page opened before works for %s more.", w.Span(left))
	}
	return ""
}

// underWay is how far message and person got, whichever got further. A message
// that was asked for after the person's last step begins anew.
func underWay(w Words, s Situation) string {
	ago := func(t time.Time) string { return w.Relative(t) }
	if s.Newer() {
		return describeMessage(w, s, *s.Message) + " " + w.T("The link was opened before that, %s.", ago(s.SeenAt))
	}
	switch s.Progress {
	case invite.Visited:
		return w.T("The person opened it %s and has not continued yet.", ago(s.ProgressAt))
	case invite.Continued:
		return w.T("The person continued to Pipedream %s and is not connected yet.", ago(s.ProgressAt))
	case invite.ConnectFailed:
		return w.T("%s failed to connect %s.", isolate(s.App), ago(s.ProgressAt))
	case invite.NotOpened:
	}
	if s.Message == nil {
		if s.Status == invite.Pending {
			return w.T("Waiting for Pipedream to issue a link.")
		}
		return w.T("No message is sent: the product shows the link itself. Not opened yet.")
	}
	if s.Message.Reminder {
		return describeMessage(w, s, *s.Message) + " " + w.T("This is a reminder; the earlier message was sent.")
	}
	return describeMessage(w, s, *s.Message)
}

func describeMessage(w Words, s Situation, m Message) string {
	to, ago := isolate(s.To), w.Relative(m.At)
	switch m.Status {
	case invite.Queued:
		if s.Status == invite.Pending {
			return w.T("Waiting for Pipedream to issue a link; then it is sent to %s.", to)
		}
		return w.T("Waiting to be sent to %s.", to)
	case invite.Sending:
		return w.T("Being sent to %s now.", to)
	case invite.Accepted, invite.Sent:
		if m.Reason == invite.NoReceipt {
			return w.T("Sent for %s %s, but no delivery report came. It may have arrived.", to, ago)
		}
		return w.T("On its way to %s, sent %s, not confirmed yet.", to, ago)
	case invite.Deferred:
		return w.T("Delayed: the system of %s asked us to wait, last %s.", to, ago)
	case invite.Delivered:
		return w.T("Delivered to %s %s, not opened yet.", to, ago)
	case invite.Complained:
		return w.T("Delivered to %s, and marked as spam %s.", to, ago)
	case invite.Bounced, invite.Undelivered, invite.Rejected, invite.Suppressed:
		if e, ok := invite.Explain(m.Reason); ok {
			return w.T("Did not reach %s: %s", to, lowerFirst(w, e.Title))
		}
		return w.T("Did not reach %s.", to)
	case invite.Unknown:
		if m.Reason == invite.DatabaseRestored {
			return w.T("Unknown whether the message to %s was sent: the database was restored to an earlier time.", to)
		}
		return w.T("Unknown whether the message to %s was sent: the connection to the provider broke.", to)
	case invite.Canceled:
		return w.T("The message to %s was cancelled before it was sent.", to)
	}
	return ""
}

// lowerFirst is a reason's title within a sentence. It is another sentence in
// some languages, so its translation stays as it is.
func lowerFirst(w Words, title string) string {
	said := w.T(title)
	if said != title || said == "" || strings.HasPrefix(said, "Pipedream") {
		return said
	}
	return strings.ToLower(said[:1]) + said[1:]
}

func describeLinkLife(w Words, s Situation) string {
	left := s.ExpiresAt.Sub(s.Now)
	switch {
	case s.ExpiresAt.IsZero():
		return ""
	case left <= 0:
		return w.T("The link has expired.")
	case s.Message != nil && s.Message.Status == invite.Queued && s.Status == invite.Pending:
		return ""
	}
	return w.T("Link works for %s.", w.Span(left))
}

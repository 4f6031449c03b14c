package sendgrid

import (
	"strings"

	"github.com/sendgrid/sendgrid-go/helpers/mail"

	"github.com/connectlink/connectlink/internal/message"
)

// The names of our custom args. They are prefixed because SendGrid merges custom
// args into events, where names such as "email" or "event" are taken. Values
// stay at SendGrid, visible to its staff, and cannot be erased: opaque ids only.
const (
	ArgInvite  = "cl_invite"
	ArgAttempt = "cl_attempt"
	ArgEnv     = "cl_env"
)

// The values of ArgEnv.
const (
	EnvLive = "live"
	EnvTest = "test"
)

// category groups all our mail in SendGrid's statistics. One, and never an id:
// SendGrid keeps statistics per category and limits their number.
const category = "connect-invite"

func (s *Sender) body(m message.Outgoing) ([]byte, error) {
	e := m.Email
	if e == nil {
		return nil, errNoEmail
	}
	from, replyTo := e.From, e.ReplyTo
	if from.Email.IsZero() {
		from = s.p.From
	}
	if replyTo.IsZero() {
		replyTo = s.p.ReplyTo
	}
	if from.Email.IsZero() || e.To.Email.IsZero() || e.Subject == "" || e.Text.IsZero() || e.HTML.IsZero() {
		return nil, errNoEmail
	}

	p := mail.NewPersonalization()
	p.AddTos(mail.NewEmail(quoteName(e.To.Name), e.To.Email.Reveal()))
	// On the personalization: the published document types the message-level
	// member wrongly as a string, and here both it and the service agree.
	p.SetCustomArg(ArgInvite, m.InviteID)
	p.SetCustomArg(ArgAttempt, m.AttemptID)
	p.SetCustomArg(ArgEnv, environmentName(m.Livemode))

	v3 := mail.NewV3Mail()
	v3.SetFrom(mail.NewEmail(quoteName(from.Name), from.Email.Reveal()))
	v3.Subject = e.Subject
	v3.AddPersonalizations(p)
	v3.AddContent(
		mail.NewContent("text/plain", e.Text.Reveal()), // plain first: the API refuses the other order
		mail.NewContent("text/html", e.HTML.Reveal()),
	)
	if !replyTo.IsZero() {
		v3.SetReplyTo(mail.NewEmail("", replyTo.Reveal()))
	}
	v3.SetHeader("Auto-Submitted", "auto-generated") // no out-of-office replies
	// Mail clients fold messages with equal subjects into one thread and hide
	// the repeated part, which is the link; a distinct reference prevents it.
	v3.SetHeader("X-Entity-Ref-ID", m.AttemptID)
	if !e.Unsubscribe.IsZero() {
		v3.SetHeader("List-Unsubscribe", "<"+e.Unsubscribe.Reveal()+">")
		v3.SetHeader("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	v3.AddCategories(category)
	if s.p.IPPool != "" {
		v3.SetIPPoolID(s.p.IPPool)
	}
	v3.SetTrackingSettings(trackingOff())
	return marshalMail(v3)
}

// quoteName puts a name with a comma or a semicolon in quotes: SendGrid takes such
// a name apart, answers 202 and then drops a piece of it as an invalid address.
// Its PHP, Python and C# libraries do the same
// (https://github.com/sendgrid/sendgrid-php/issues/351).
func quoteName(name string) string {
	if !strings.ContainsAny(name, ",;") {
		return name
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// trackingOff says no to everything explicitly: an absent setting falls back to
// the account's, and click tracking would put the bearer link into a third
// party's redirect table and into events.
func trackingOff() *mail.TrackingSettings {
	off := false
	return mail.NewTrackingSettings().
		SetClickTracking(mail.NewClickTrackingSetting().SetEnable(off).SetEnableText(off)).
		SetOpenTracking(mail.NewOpenTrackingSetting().SetEnable(off)).
		SetSubscriptionTracking(mail.NewSubscriptionTrackingSetting().SetEnable(off)).
		SetGoogleAnalytics(mail.NewGaSetting().SetEnable(off))
}

func environmentName(live bool) string {
	if live {
		return EnvLive
	}
	return EnvTest
}

// marshalMail is helpers/mail's GetRequestBody, whose error it only logs.
func marshalMail(v3 *mail.SGMailV3) ([]byte, error) {
	body := mail.GetRequestBody(v3)
	if len(body) == 0 {
		return nil, errNoEmail
	}
	return body, nil
}

package issue

import (
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// paused returns the public error of a pause that concerns a message of an invite that
// p makes; nil where there is none.
func (s *Service) paused(p access.Principal, ch invite.Channel, r invite.Recipient) *invite.Error {
	m := traffic.Message{Place: p.Place, Channel: ch, Address: r.Address(ch)}
	if p.Kind == access.KindKey {
		m.By = p.ID
	}
	if pause, ok := s.p.Pauses.Find(m); ok {
		return explainPause(pause)
	}
	return nil
}

// pausedResend is pausedError for a message of an invite that was made earlier.
// Dispatch counts it to the key that made the invite, whichever of them resends it.
func (s *Service) pausedResend(p access.Principal, r resend) error {
	if err := s.pausedError(p, r.channel, r.content.Recipient); err != nil {
		return err
	}
	pause, ok := s.p.Pauses.Find(traffic.Message{
		Place: p.Place, Channel: r.channel, Address: r.content.Recipient.Address(r.channel), By: r.inv.CreatedBy.String(),
	})
	if !ok || !r.channel.Sends() {
		return nil
	}
	if pause.Scope == traffic.Key {
		return invite.Errorf(invite.CodeKeyPaused,
			"The API key that made this invite is paused, because recipients reported its messages. A lead looks at the reports in the console and resumes it.")
	}
	return explainPause(pause)
}

func explainPause(pause traffic.Pause) *invite.Error {
	what := "Text messages to " + pause.Name
	switch pause.Scope {
	case traffic.Key:
		return invite.Errorf(invite.CodeKeyPaused, "This API key is paused, because recipients reported its messages. A lead looks at the reports in the console and resumes it.")
	case traffic.Prefix:
		what = "Text messages to numbers that begin with " + pause.Name
	case traffic.Country:
	}
	cause := "by staff"
	if pause.Source == traffic.ByFirewall {
		cause = "by the spend firewall, because too few people visited the messages"
	}
	return invite.Errorf(invite.CodeCountryPaused, "%s are paused %s. Use email, or ask a lead to resume them in the console.", what, cause)
}

// pausedError is paused as an error.
func (s *Service) pausedError(p access.Principal, ch invite.Channel, r invite.Recipient) error {
	if e := s.paused(p, ch, r); e != nil {
		return e
	}
	return nil
}

// pauseWarning is what a preview says of pauses; ok is false where there is none.
func (s *Service) pauseWarning(p access.Principal, ch invite.Channel, r invite.Recipient) (w message.Warning, ok bool) {
	if e := s.paused(p, ch, r); e != nil {
		return message.Warning{Code: message.WarnPaused, Detail: "it would be refused now: " + e.Message}, true
	}
	if ch.Sends() && s.p.Pauses.Held(p.Lane(ch)) {
		return message.Warning{Code: message.WarnPaused, Detail: "it would wait: messages by " + string(ch) + " are paused"}, true
	}
	return message.Warning{}, false
}

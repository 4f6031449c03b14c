package issue

import (
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// paused returns the public error of a pause that concerns a message p asks for; nil
// where there is none.
func (s *Service) paused(p access.Principal, ch invite.Channel, r invite.Recipient) *invite.Error {
	m := traffic.Message{Place: p.Place, Channel: ch, Address: r.Address(ch)}
	if p.Kind == access.KindKey {
		m.By = p.ID
	}
	pause, ok := s.p.Pauses.Find(m)
	if !ok {
		return nil
	}
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

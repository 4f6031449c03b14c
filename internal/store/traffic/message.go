package traffic

import "github.com/connectlink/connectlink/internal/invite"

// Message is a message as pauses see it.
type Message struct {
	invite.Place

	Channel invite.Channel
	Address string // of the recipient, by the channel; empty: not known
	By      string // "key_…", the API key that made the invite; another id or none: staff
}

// Concerns reports whether a pause concerns a message.
func (s Subject) Concerns(m Message) bool {
	if s.Place != m.Place {
		return false
	}
	if s.Scope == Key {
		return m.By == s.Name
	}
	if m.Channel.Spec().Field != invite.FieldPhone || m.Address == "" {
		return false
	}
	if s.Scope == Prefix {
		return len(s.Name) > 1 && len(m.Address) >= len(s.Name) && m.Address[:len(s.Name)] == s.Name
	}
	return s.Scope == Country && CountryOf(m.Address) == s.Name
}

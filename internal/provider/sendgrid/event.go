package sendgrid

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// Event is one event of the Event Webhook. Names that are not known yet are
// kept: an unknown event is stored and acknowledged like any other.
type Event struct {
	Name string // "processed", "delivered", "bounce", …
	ID   string // sg_event_id: the same in every copy of this event
	At   time.Time

	// InviteID, AttemptID and Env come back from the custom args. They are empty
	// for late bounces, which reach SendGrid by the return path: those can only
	// be matched by address.
	InviteID, AttemptID, Env string
	// MessageID is sg_message_id, which begins with the X-Message-Id that the send
	// was answered with.
	MessageID string
	Email     secret.Text

	Type           string // of a bounce: "bounce" or "blocked"
	Classification string // of a bounce, SendGrid's class
	Status         string // enhanced status code, "5.1.1"
	Reason         secret.Text
	Response       secret.Text
	Categories     []string
	MachineOpen    bool // an open by a mail client's prefetching

	// Raw is the event as it came, for sealing: it quotes the address and, in
	// clicks, the URL.
	Raw json.RawMessage
}

// ErrNotEvents: the body is not a JSON array.
var ErrNotEvents = errors.New("not a JSON array of events")

// ParseEvents reads a post of the Event Webhook. One odd event does not cost
// the others: what cannot be read of it stays empty, and Raw keeps it.
func ParseEvents(raw []byte) ([]Event, error) {
	var posted []json.RawMessage
	if err := json.Unmarshal(raw, &posted); err != nil || posted == nil {
		return nil, ErrNotEvents
	}
	events := make([]Event, 0, len(posted))
	for _, one := range posted {
		events = append(events, parseEvent(one))
	}
	return events, nil
}

func parseEvent(raw json.RawMessage) Event {
	e := Event{Raw: raw}
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return e
	}
	e.Name = strings.ToLower(readText(m["event"]))
	e.ID = readText(m["sg_event_id"])
	e.MessageID = readText(m["sg_message_id"])
	e.InviteID, e.AttemptID, e.Env = readText(m[ArgInvite]), readText(m[ArgAttempt]), readText(m[ArgEnv])
	e.Email = secret.New(readText(m["email"]))
	e.Type = strings.ToLower(readText(m["type"]))
	e.Classification = readText(m["bounce_classification"])
	e.Status = readText(m["status"])
	e.Reason, e.Response = secret.New(readText(m["reason"])), secret.New(readText(m["response"]))
	e.Categories = readTexts(m["category"])
	e.MachineOpen, _ = strconv.ParseBool(readText(m["sg_machine_open"]))
	if s, err := strconv.ParseFloat(readText(m["timestamp"]), 64); err == nil && s > 0 && s < 1e11 {
		e.At = time.UnixMilli(int64(s * 1000)).UTC()
	}
	return e
}

// readText reads a string, a number or a boolean as text; SendGrid's documents and
// posts disagree on which some members are.
func readText(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return s
	case '{', '[', 'n':
		return ""
	default:
		return string(raw)
	}
}

// readTexts reads a string or an array of them.
func readTexts(raw json.RawMessage) []string {
	if one := readText(raw); one != "" {
		return []string{one}
	}
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) != nil {
		return nil
	}
	var out []string
	for _, one := range many {
		if s := readText(one); s != "" {
			out = append(out, s)
		}
	}
	return out
}

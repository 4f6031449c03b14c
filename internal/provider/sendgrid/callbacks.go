package sendgrid

import (
	"cmp"
	"strings"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
)

// Callbacks reads what SendGrid posts for one project and mode.
type Callbacks struct{ verifier *Verifier }

// NewCallbacks makes Callbacks.
func NewCallbacks(v *Verifier) *Callbacks { return &Callbacks{verifier: v} }

// Verify checks the signature, which covers the body and the time.
func (c *Callbacks) Verify(p provider.Post) error { return c.verifier.Verify(p.Raw, p.Header) }

// Reports reads a post of the Event Webhook.
func (c *Callbacks) Reports(p provider.Post) ([]provider.Report, error) {
	plain, err := Decode(p.Raw, p.Header)
	if err != nil {
		return nil, provider.ErrUnreadable
	}
	events, err := ParseEvents(plain)
	if err != nil {
		return nil, provider.ErrUnreadable
	}
	reports := make([]provider.Report, 0, len(events))
	for _, e := range events {
		reports = append(reports, e.report())
	}
	return reports, nil
}

// Reread reads one event.
func (c *Callbacks) Reread(raw []byte) (provider.Report, error) {
	events, err := ParseEvents(append(append([]byte{'['}, raw...), ']'))
	if err != nil || len(events) != 1 {
		return provider.Report{}, provider.ErrUnreadable
	}
	return events[0].report(), nil
}

// Replies are not taken: answers to mails reach a mailbox.
func (c *Callbacks) Replies(provider.Post) ([]provider.Reply, error) {
	return nil, provider.ErrUnreadable
}

// ReplyAnswer is empty.
func (c *Callbacks) ReplyAnswer() provider.Answer { return provider.Answer{} }

func (e Event) report() provider.Report {
	r := provider.Report{
		// sg_event_id is the same in every copy; an event without one is told from
		// others by all of its bytes.
		Key: e.ID, InviteID: e.InviteID, AttemptID: e.AttemptID, MessageID: xMessageID(e.MessageID), Address: e.Email,
		Channel: invite.Email, Code: e.Code(), Words: secret.New(cmp.Or(e.Reason.Reveal(), e.Response.Reveal())), At: e.At, Raw: e.Raw,
	}
	if r.Key == "" {
		r.Key = "raw " + string(e.Raw)
	}
	if e.AttemptID == "" {
		r.MessageIDs = messagePrefixes(e.MessageID)
	}
	r.Status, r.Reason = e.Fate()
	if e.Name == "dropped" {
		r.ForRecipient = e.FateFor
	}
	// A late bounce travels by the return path, where SendGrid can attach neither
	// custom args nor a message id.
	r.ByAddress = e.InviteID == "" && e.AttemptID == "" && e.MessageID == "" && r.Status.DidNotArrive()
	return r
}

// maxPrefixes bounds what one event's message id may make us look up.
const maxPrefixes = 8

// messagePrefixes are the X-Message-Ids an sg_message_id may begin with: the id
// is followed by a dot, and may hold dots itself, so the event's id must not be cut
// at the first one.
func messagePrefixes(id string) []string {
	if id == "" || len(id) > 500 || strings.ContainsRune(id, 0) {
		return nil
	}
	list := []string{id}
	for i := range len(id) {
		if id[i] == '.' && i > 0 && len(list) < maxPrefixes {
			list = append(list, id[:i])
		}
	}
	return list
}

// xMessageID is the part of an sg_message_id that the send was answered with,
// as far as its form tells.
func xMessageID(id string) string {
	for _, mark := range []string{".recvd", ".filter"} {
		if before, _, ok := strings.Cut(id, mark); ok {
			return before
		}
	}
	before, _, _ := strings.Cut(id, ".")
	return before
}

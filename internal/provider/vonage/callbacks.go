package vonage

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// Callbacks reads what Vonage posts for one project and mode.
type Callbacks struct{ verifier *Verifier }

// NewCallbacks makes Callbacks.
func NewCallbacks(v *Verifier) *Callbacks { return &Callbacks{verifier: v} }

// Verify checks the token, which covers the body and not the URL.
func (c *Callbacks) Verify(p provider.Post) error {
	return c.verifier.Verify(p.Raw, p.Header.Get("Authorization"))
}

// posted is a webhook about a message: a status has a Status, an inbound message a
// Text.
type posted struct {
	MessageUUID string `json:"message_uuid"`
	Channel     string `json:"channel"`
	To          string `json:"to"`
	From        string `json:"from"`
	Timestamp   string `json:"timestamp"`
	Status      string `json:"status"`
	ClientRef   string `json:"client_ref"`
	Text        string `json:"text"`
	Error       struct {
		Type   string          `json:"type"`
		Title  json.RawMessage `json:"title"` // the code: a number, or text
		Detail string          `json:"detail"`
	} `json:"error"`
}

func parse(raw []byte) (posted, error) {
	var p posted
	if json.Unmarshal(raw, &p) != nil || !isID(p.MessageUUID) {
		return posted{}, provider.ErrUnreadable
	}
	return p, nil
}

// isID keeps anything but an identifier from being stored as one.
func isID(s string) bool { return len(s) >= 3 && len(s) <= 64 && wire.Code(s) == s }

// code is the error's, from its title, else from its type.
func (p posted) code() string {
	code := string(bytes.Trim(bytes.TrimSpace(p.Error.Title), `"`))
	if !isNumber("0" + code) { // codes have four digits
		code = ""
	}
	if code == "" {
		_, code, _ = strings.Cut(p.Error.Type, "#")
	}
	return wire.Code(code)
}

// outcome is our status and reason; the status is empty for words that are not known yet.
func (p posted) outcome() (invite.DeliveryStatus, invite.Reason) {
	switch strings.ToLower(p.Status) {
	case "submitted": // handed on to the carrier
		return invite.Sent, ""
	case "delivered", "read":
		return invite.Delivered, ""
	case "rejected":
		if reason, known := reasonOf(p.code()); known {
			return invite.Undelivered, reason
		}
		return invite.Undelivered, invite.ProviderRefused
	case "undeliverable": // the carrier could not be reached
		if reason, known := reasonOf(p.code()); known {
			return invite.Undelivered, reason
		}
		return invite.Undelivered, invite.ProviderDown
	}
	return "", ""
}

// Reports reads a status webhook.
func (c *Callbacks) Reports(p provider.Post) ([]provider.Report, error) {
	r, err := c.Reread(p.Raw)
	if err != nil {
		return nil, err
	}
	return []provider.Report{r}, nil
}

// Reread reads the body of a status webhook. Our ids are in its client_ref.
func (c *Callbacks) Reread(raw []byte) (provider.Report, error) {
	p, err := parse(raw)
	if err != nil || p.Status == "" {
		return provider.Report{}, provider.ErrUnreadable
	}
	r := provider.Report{
		Key: p.MessageUUID + " " + strings.ToLower(p.Status) + " " + p.code(), MessageIDs: []string{p.MessageUUID}, MessageID: p.MessageUUID,
		Address: secret.New(withPlus(p.To)), Channel: invite.SMS, Code: p.code(), Words: secret.New(p.Error.Detail), Raw: raw,
	}
	r.InviteID, r.AttemptID, _ = strings.Cut(p.ClientRef, refMark)
	r.Status, r.Reason = p.outcome()
	if at, err := time.Parse(time.RFC3339, p.Timestamp); err == nil {
		r.At = at.UTC()
	}
	return r, nil
}

// Replies reads an inbound message. One of another channel, or from what is no
// number, is none: Vonage repeats for a day each post that is not answered with 2xx.
func (c *Callbacks) Replies(p provider.Post) ([]provider.Reply, error) {
	in, err := parse(p.Raw)
	if err != nil || in.Status != "" {
		return nil, provider.ErrUnreadable
	}
	if in.Channel != "sms" || !isNumber(bare(in.From)) || in.To == "" || in.MessageUUID == "" {
		return nil, nil
	}
	r := provider.Reply{
		Channel: invite.SMS,
		Key:     in.MessageUUID, From: secret.New(withPlus(in.From)), To: []string{withPlus(in.To)},
		Keyword: provider.KeywordOf(in.Text), Body: secret.New(in.Text), Raw: p.Raw,
	}
	r.LikeStop = r.Keyword == "" && provider.IsLikeStop(in.Text)
	return []provider.Reply{r}, nil
}

// ReplyAnswer is empty: Vonage wants a status from 200 to 205.
func (c *Callbacks) ReplyAnswer() provider.Answer { return provider.Answer{} }

// withPlus writes a number as E.164, and leaves a sender ID in letters.
func withPlus(number string) string {
	if digits := bare(number); isNumber(digits) {
		return "+" + digits
	}
	return number
}

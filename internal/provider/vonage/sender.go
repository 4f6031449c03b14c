package vonage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// Provider is this edge's name in attempts, metrics and errors.
const Provider = "vonage"

// DefaultBaseURL serves all regions.
const DefaultBaseURL = "https://api.nexmo.com"

// Params configures a Sender.
type Params struct {
	BaseURL   string // default DefaultBaseURL
	APIKey    string
	APISecret secret.Text
	From      string // a number, with or without +, or a sender ID in letters
	OneWay    bool   // people cannot reply to the sender
	HTTP      *http.Client
	Now       func() time.Time // default time.Now
	// Settle is how long after a lost answer the absence of a status may be believed.
	// Default 5 min.
	Settle time.Duration
	// ReportingSince gives the time of the last verified status; may be nil.
	ReportingSince func() time.Time
	// Deaf: statuses cannot reach this project, or it has no secret to verify them.
	Deaf bool
}

// Sender sends texts. It is safe for concurrent use.
type Sender struct{ p Params }

// New makes a Sender.
func New(p Params) *Sender {
	if p.BaseURL == "" {
		p.BaseURL = DefaultBaseURL
	}
	p.BaseURL = strings.TrimRight(p.BaseURL, "/")
	if p.HTTP == nil {
		p.HTTP = wire.Client(wire.Params{})
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Settle <= 0 {
		p.Settle = 5 * time.Minute
	}
	return &Sender{p: p}
}

// Provider returns "vonage".
func (s *Sender) Provider() string { return Provider }

// Account is the same for all senders that share limits and credit.
func (s *Sender) Account() string { return Provider + ":" + s.p.APIKey }

// Identity is the number or sender ID that texts come from; a number with +, as
// replies name it.
func (s *Sender) Identity() provider.Identity {
	id := provider.Identity{Sender: s.p.From, OneWay: s.p.OneWay}
	if digits := bare(s.p.From); isNumber(digits) {
		id.Sender = "+" + digits
	}
	return id
}

// reportingFor is how long one verified status proves that statuses reach us.
const reportingFor = time.Hour

// Proof is reporting only while statuses are known to arrive: they are posted to
// the address that the message named, and Vonage cannot be asked whether it
// reached it.
func (s *Sender) Proof() provider.Proof {
	reporting := false
	if s.p.ReportingSince != nil {
		at := s.p.ReportingSince()
		reporting = !at.IsZero() && s.p.Now().Sub(at) < reportingFor
	}
	return provider.Proof{Reporting: reporting && !s.p.Deaf, Deaf: s.p.Deaf, Settle: s.p.Settle}
}

// Find returns provider.ErrCannotFind.
func (s *Sender) Find(context.Context, provider.Sought) (provider.Found, error) {
	return provider.Found{}, provider.ErrCannotFind
}

// Limits of a text: of its characters, and of the time for which it is tried.
// Vonage recommends at least 30 minutes and allows 72 hours. Ten hours are what
// Twilio has: after eleven a message counts as over and is redacted
// (store/ledger).
const (
	maxText = 1000
	minTTL  = 30 * time.Minute
	maxTTL  = 10 * time.Hour
)

var errNoSMS = errors.New("not a text with a recipient, a body of at most 1000 characters and a sender")

// text is the body of a send.
type text struct {
	MessageType string `json:"message_type"`
	Channel     string `json:"channel"`
	To          string `json:"to"`
	From        string `json:"from"`
	Text        string `json:"text"`
	ClientRef   string `json:"client_ref"`
	TTL         int    `json:"ttl,omitempty"`
	WebhookURL  string `json:"webhook_url,omitempty"`
}

func (s *Sender) body(m message.Outgoing) ([]byte, error) {
	if m.SMS == nil || m.SMS.To.IsZero() || m.SMS.Body.IsZero() || s.p.From == "" || utf8.RuneCountInString(m.SMS.Body.Reveal()) > maxText {
		return nil, errNoSMS
	}
	t := text{
		MessageType: "text", Channel: "sms", To: bare(m.SMS.To.Reveal()), From: bare(s.p.From), Text: m.SMS.Body.Reveal(),
		ClientRef: m.InviteID + refMark + m.AttemptID, WebhookURL: m.CallbackURL,
	}
	if m.ValidFor > 0 {
		t.TTL = int(min(max(m.ValidFor, minTTL), maxTTL) / time.Second)
	}
	return json.Marshal(t)
}

// refMark separates our two ids in client_ref.
const refMark = ":"

// bare is a number as Vonage writes it.
func bare(number string) string { return strings.TrimPrefix(strings.TrimSpace(number), "+") }

func isNumber(s string) bool { return len(s) >= 5 && strings.Trim(s, "0123456789") == "" }

// Send hands one text to Vonage. The error is always a *provider.SendError.
func (s *Sender) Send(ctx context.Context, m message.Outgoing) (provider.Acceptance, error) {
	body, err := s.body(m)
	if err != nil {
		return provider.Acceptance{}, classed(&provider.SendError{
			Provider: Provider, Outcome: provider.Refused, Scope: provider.ScopeMessage, ProviderCode: codeUnsendable, Err: err,
		})
	}
	ctx, written := wire.Trace(wire.WithDeadline(ctx, m.LeaseUntil))
	resp, err := s.call(ctx, http.MethodPost, "/v1/messages", body)
	if err != nil && resp.status == 0 {
		return provider.Acceptance{}, s.failed(wire.Classify(written), err)
	}
	if resp.status != http.StatusAccepted {
		return provider.Acceptance{}, s.verdict(resp)
	}
	var taken struct {
		ID string `json:"message_uuid"`
	}
	if json.Unmarshal(resp.body, &taken) != nil || taken.ID == "" {
		// Taken, but its name was lost on the way: a status will tell it.
		e := s.failed(wire.Unknown, err)
		e.HTTPStatus = resp.status
		return provider.Acceptance{}, e
	}
	return provider.Acceptance{ProviderMessageID: taken.ID, HTTPStatus: resp.status}, nil
}

// answer is what came back; status is 0 until a status line was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call makes one request. An answer may come with an error from reading its body.
func (s *Sender) call(ctx context.Context, method, path string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.p.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, errors.New("the base URL of Vonage is not a URL")
	}
	req.SetBasicAuth(s.p.APIKey, s.p.APISecret.Reveal())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", wire.UserAgent())
	resp, err := s.p.HTTP.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: raw}, err
}

func (s *Sender) failed(outcome wire.Outcome, err error) *provider.SendError {
	return classed(&provider.SendError{
		Provider: Provider, Outcome: provider.Outcome(outcome), Scope: provider.ScopeMessage, Err: wire.Strip(err),
	})
}

// Redact asks Vonage to remove the text and the number of a message
// (POST /v1/redact/transaction, as Vonage's client libraries call it). The account
// must have the Redact API. A message that is gone is as good.
func (s *Sender) Redact(ctx context.Context, providerMessageID string) error {
	body, err := json.Marshal(map[string]string{"id": providerMessageID, "product": "messages", "type": "outbound"})
	if err != nil {
		return err
	}
	resp, err := s.call(ctx, http.MethodPost, "/v1/redact/transaction", body)
	switch {
	case resp.status == 0:
		return fmt.Errorf("%s: %w", Provider, wire.Strip(err))
	case resp.status/100 == 2, resp.status == http.StatusNotFound:
		return nil
	}
	return s.verdict(resp)
}

// Remove is Redact: nothing of the record that is left is personal.
func (s *Sender) Remove(ctx context.Context, providerMessageID string) error {
	return s.Redact(ctx, providerMessageID)
}

// Check lists the account's applications, which proves base URL, key and secret.
func (s *Sender) Check(ctx context.Context) error {
	resp, err := s.call(ctx, http.MethodGet, "/v2/applications?page_size=1", nil)
	switch {
	case resp.status == 0:
		return fmt.Errorf("%s: %w", Provider, wire.Strip(err))
	case resp.status == http.StatusOK:
		return nil
	}
	return s.verdict(resp)
}

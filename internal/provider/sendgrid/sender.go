package sendgrid

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sendgrid/rest"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// Provider is this edge's name in attempts, metrics and errors.
const Provider = "sendgrid"

// DefaultBaseURL serves everyone but EU regional subusers.
const DefaultBaseURL = "https://api.sendgrid.com"

// Params configures a Sender.
type Params struct {
	BaseURL string      // default DefaultBaseURL
	APIKey  secret.Text // needs the scope "mail.send" only
	HTTP    *http.Client
	Now     func() time.Time // default time.Now
	// Settle is how long after a lost answer the absence of an event may be
	// believed. Default 5 min: events come in batches, and late.
	Settle time.Duration
	// ReportingSince gives the time of the last verified event as other
	// processes saw it; may be nil. See Proof.
	ReportingSince func() time.Time
	// From and ReplyTo are used where a message names none.
	From    message.Address
	ReplyTo secret.Text
	// IPPool routes over a pool reserved for transactional mail; may be empty.
	IPPool string
}

// Sender sends mail. It is safe for concurrent use.
type Sender struct {
	p         Params
	account   string
	lastEvent atomic.Int64 // Unix nanoseconds, 0 for never
}

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
	sum := sha256.Sum256([]byte("sendgrid account\x00" + p.BaseURL + "\x00" + p.APIKey.Reveal()))
	return &Sender{p: p, account: Provider + ":" + hex.EncodeToString(sum[:6])}
}

// Provider returns "sendgrid".
func (s *Sender) Provider() string { return Provider }

// Identity is empty: replies reach a mailbox.
func (s *Sender) Identity() provider.Identity { return provider.Identity{} }

// Account is the same for all senders that share limits, credits and
// reputation. SendGrid shows no account id to a mail.send key, so it is derived
// from the key.
func (s *Sender) Account() string { return s.account }

// reportingFor is how long one verified event proves that events reach us.
const reportingFor = time.Hour

// SawEvent notes that a verified event came at the given time.
func (s *Sender) SawEvent(at time.Time) {
	n := at.UnixNano()
	for {
		old := s.lastEvent.Load()
		if old >= n || s.lastEvent.CompareAndSwap(old, n) {
			return
		}
	}
}

// Proof says "reporting" only while events are known to arrive: whether the
// account has an event webhook, and whether it reaches us, cannot be asked with
// a mail.send key.
func (s *Sender) Proof() provider.Proof {
	last := s.lastEvent.Load()
	var at time.Time
	if last > 0 {
		at = time.Unix(0, last)
	}
	if s.p.ReportingSince != nil {
		if other := s.p.ReportingSince(); other.After(at) {
			at = other
		}
	}
	reporting := !at.IsZero() && s.p.Now().Sub(at) < reportingFor
	return provider.Proof{Reporting: reporting, Settle: s.p.Settle}
}

// Find implements the sender's question for a lost answer: SendGrid has no way
// to ask it. Evidence comes by events only.
func (s *Sender) Find(context.Context, provider.Sought) (provider.Found, error) {
	return provider.Found{}, provider.ErrCannotFind
}

var errNoEmail = errors.New("not an email with a recipient, a sender, a subject and both parts")

// Send hands one mail to SendGrid. The error is always a *provider.SendError.
func (s *Sender) Send(ctx context.Context, m message.Outgoing) (provider.Acceptance, error) {
	body, err := s.body(m)
	if err != nil {
		return provider.Acceptance{}, classifyError(&provider.SendError{
			Provider: Provider, Outcome: provider.Refused, Scope: provider.ScopeMessage, ProviderCode: "unsendable", Err: err,
		})
	}
	ctx, written := wire.Trace(wire.WithDeadline(ctx, m.LeaseUntil))
	resp, err := s.post(ctx, body)
	switch {
	case resp == nil || resp.StatusCode == 0:
		return provider.Acceptance{}, classifyError(&provider.SendError{
			Provider: Provider, Outcome: provider.Outcome(wire.Classify(written)), Scope: provider.ScopeMessage, Err: wire.Strip(err),
		})
	case resp.StatusCode == http.StatusAccepted:
		// The status line settles it, even if reading the empty body failed.
		return provider.Acceptance{
			ProviderMessageID: http.Header(resp.Headers).Get("X-Message-Id"), HTTPStatus: resp.StatusCode,
		}, nil
	default:
		return provider.Acceptance{}, s.verdict(resp, err)
	}
}

// post sends a body to Mail Send. A non-nil response may come with an error
// from reading its body; rest gives both.
func (s *Sender) post(ctx context.Context, body []byte) (*rest.Response, error) {
	client := rest.Client{HTTPClient: s.p.HTTP}
	return client.SendWithContext(ctx, rest.Request{
		Method:  rest.Post,
		BaseURL: s.p.BaseURL + "/v3/mail/send",
		Headers: map[string]string{
			"Authorization": "Bearer " + s.p.APIKey.Reveal(),
			"Content-Type":  "application/json",
			"Accept":        "application/json",
			"User-Agent":    wire.UserAgent(),
		},
		Body: body,
	})
}

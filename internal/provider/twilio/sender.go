package twilio

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// Provider is this edge's name in attempts, metrics and errors.
const Provider = "twilio"

// DefaultBaseURL is the US region; keys of other regions are refused there.
const DefaultBaseURL = "https://api.twilio.com"

// Params configures a Sender. Credentials are an API key and its secret, or
// else the auth token.
type Params struct {
	BaseURL             string // default DefaultBaseURL
	AccountSID          string
	APIKey              string
	APISecret           secret.Text
	AuthToken           secret.Text
	MessagingServiceSID string // preferred: number pool, opt-outs, pumping protection
	From                string // used without a Messaging Service
	OneWay              bool   // people cannot reply to the sender
	HTTP                *http.Client
	Now                 func() time.Time // default time.Now
	// Settle is how long after a lost answer the list is not yet believed.
	// Default 60 s.
	Settle time.Duration
}

func (p *Params) credentials() (string, secret.Text) {
	if p.APIKey != "" {
		return p.APIKey, p.APISecret
	}
	return p.AccountSID, p.AuthToken
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
		p.Settle = time.Minute
	}
	return &Sender{p: p}
}

// Provider returns "twilio".
func (s *Sender) Provider() string { return Provider }

// Identity is the Messaging Service or the number that texts come from.
func (s *Sender) Identity() provider.Identity {
	id := provider.Identity{Sender: s.p.From, OneWay: s.p.OneWay}
	if s.p.MessagingServiceSID != "" {
		id.Sender = s.p.MessagingServiceSID
	}
	return id
}

// Account is the same for all senders that share limits and credits.
func (s *Sender) Account() string { return Provider + ":" + s.p.AccountSID }

// Proof: the list of messages always shows the accepted ones.
func (s *Sender) Proof() provider.Proof {
	return provider.Proof{Reporting: true, Settle: s.p.Settle}
}

// callbackOverrides asks for five repetitions of a failed callback on any
// failure; by default Twilio makes one, and only if it could not connect. A
// fragment is not sent and not signed.
const callbackOverrides = "#rc=5&rp=all"

// Bounds of ValidityPeriod: below about five seconds Twilio drops texts it could
// have delivered, above ten hours it refuses.
const (
	minValidity = 6
	maxValidity = 36000
)

var errNoSMS = errors.New("not a text with a recipient, a body and a sender")

// Send hands one text to Twilio. The error is always a *provider.SendError.
func (s *Sender) Send(ctx context.Context, m message.Outgoing) (provider.Acceptance, error) {
	params, err := s.params(m)
	if err != nil {
		return provider.Acceptance{}, classifyError(&provider.SendError{
			Provider: Provider, Outcome: provider.Refused, Scope: provider.ScopeMessage, ProviderCode: "unsendable", Err: err,
		})
	}
	ctx, written := wire.Trace(wire.WithDeadline(ctx, m.LeaseUntil))
	api, c := s.begin(ctx)
	got, err := api.CreateMessage(params)
	switch {
	case c.status == 0:
		return provider.Acceptance{}, s.failed(wire.Classify(written), err)
	case errors.Is(err, errAnswered):
		return provider.Acceptance{}, s.verdict(c)
	case err != nil || got == nil || got.Sid == nil || *got.Sid == "":
		// Taken, but its name was lost on the way: the list will tell it.
		e := s.failed(wire.Unknown, err)
		e.HTTPStatus = c.status
		return provider.Acceptance{}, e
	}
	return provider.Acceptance{ProviderMessageID: *got.Sid, HTTPStatus: c.status}, nil
}

func (s *Sender) params(m message.Outgoing) (*openapi.CreateMessageParams, error) {
	if m.SMS == nil || m.SMS.To.IsZero() || m.SMS.Body.IsZero() || s.p.MessagingServiceSID == "" && s.p.From == "" {
		return nil, errNoSMS
	}
	// ShortenUrls is never set: it stores the bearer link for 90 days on a host
	// that tracks clicks, and filters dislike shortened links.
	p := new(openapi.CreateMessageParams).
		SetTo(m.SMS.To.Reveal()).
		SetBody(m.SMS.Body.Reveal()).
		SetSmartEncoded(true)
	if s.p.MessagingServiceSID != "" {
		p.SetMessagingServiceSid(s.p.MessagingServiceSID)
	} else {
		p.SetFrom(s.p.From)
	}
	if m.ValidFor > 0 {
		p.SetValidityPeriod(int(min(max(m.ValidFor/time.Second, minValidity), maxValidity)))
	}
	if m.CallbackURL != "" {
		p.SetStatusCallback(m.CallbackURL + callbackOverrides)
	}
	return p, nil
}

func (s *Sender) failed(outcome wire.Outcome, err error) *provider.SendError {
	return classifyError(&provider.SendError{
		Provider: Provider, Outcome: provider.Outcome(outcome), Scope: provider.ScopeMessage, Err: wire.Strip(err),
	})
}

// verdict reads an answer that is not a success.
func (s *Sender) verdict(c *call) *provider.SendError {
	e := &provider.SendError{
		Provider:   Provider,
		Outcome:    provider.Outcome(wire.ClassifyStatus(c.status)),
		Scope:      provider.ScopeMessage,
		HTTPStatus: c.status,
	}
	if c.fault.Code != 0 {
		e.ProviderCode = strconv.Itoa(c.fault.Code)
	}
	if c.fault.Message != "" {
		e.Detail = secret.New(c.fault.Message)
	}
	if wire.Passing(c.status) {
		e.RetryAfter = wire.RetryAfter(c.header, s.p.Now())
	}
	switch {
	case c.status == http.StatusTooManyRequests, c.fault.Code == codeTooManyRequests && e.Outcome == provider.Refused,
		c.fault.Code == codeQueueFull && e.Outcome == provider.Refused, rateCode(c.fault.Code) && e.Outcome == provider.Refused:
		// Never processed, by Twilio's own word; the same for a sender whose
		// queue is full or whose rate is used up, which answers 400.
		e.Outcome, e.Scope = provider.NotSent, provider.ScopeAccount
	case c.status == http.StatusBadRequest:
		if accountCode(c.fault.Code) || !isKnownCode(c.fault.Code) && namesSender(c.fault.Message) {
			e.Scope = provider.ScopeAccount
		}
	case c.status >= 300 && c.status < 500 && c.status != http.StatusRequestTimeout:
		e.Scope = provider.ScopeAccount
		if messageCode(c.fault.Code) {
			e.Scope = provider.ScopeMessage
		}
	}
	return classifyError(e)
}

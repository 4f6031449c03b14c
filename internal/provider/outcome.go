package provider

import (
	"errors"
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

// Acceptance is a provider's answer that it took a message. It does not mean
// that the message was delivered.
type Acceptance struct {
	ProviderMessageID string
	HTTPStatus        int
}

// Outcome is the knowledge about a call that did not end in an Acceptance.
type Outcome string

const (
	// NotSent: the request did not reach the provider, or it said that it
	// did not process it (429). Safe to try again.
	NotSent Outcome = "not_sent"
	// Refused: the provider answered a definite no to this message.
	Refused Outcome = "refused"
	// Unknown: the request was written and no answer settles what became of
	// it (408, 5xx, EOF, reset, timeout). Never send again before reconciling.
	Unknown Outcome = "unknown"
)

// Scope is whose fault a refusal is, and so what it must stop.
type Scope string

const (
	// ScopeMessage: this message or its recipient.
	ScopeMessage Scope = "message"
	// ScopeAccount: the provider account (credentials, credits, sender not
	// verified): every message would meet it.
	ScopeAccount Scope = "account"
)

// SendError is the only error a sender's Send returns.
type SendError struct {
	Provider     string
	Outcome      Outcome
	Scope        Scope
	HTTPStatus   int           // 0 when no answer was read
	Reason       invite.Reason // our class, given by the vendor's package; empty: see ReasonOf
	ProviderCode string        // the provider's own code, e.g. "21610"; kept raw
	Detail       secret.Text   // the provider's words: they may quote the address
	RetryAfter   time.Duration // 0 when the provider did not say
	Err          error         // transport cause, stripped of URLs
}

// ReasonOf returns the error's reason. Where the vendor's package gave none, outcome
// and scope decide; none of these reasons blames the recipient.
func (e *SendError) ReasonOf() invite.Reason {
	switch {
	case e.Reason != "":
		return e.Reason
	case e.Outcome == Unknown:
		return invite.OutcomeUnknown
	case e.Outcome == NotSent:
		return invite.ProviderDown
	case e.Scope == ScopeAccount:
		return invite.ProviderAccount
	}
	return invite.ProviderRefused
}

// Error names provider, outcome, and code or network cause, never the provider's
// words.
func (e *SendError) Error() string {
	if cause, words := e.network(); cause != "" {
		return fmt.Sprintf("%s: %s: %s (%s)", e.Provider, e.Outcome, words, cause)
	}
	return fmt.Sprintf("%s: %s (http %d, code %q)", e.Provider, e.Outcome, e.HTTPStatus, e.ProviderCode)
}

// Cause names what went wrong with the connection, as a stable word such as
// "certificate_expired"; empty when the provider answered.
func (e *SendError) Cause() string {
	cause, _ := e.network()
	return cause
}

func (e *SendError) network() (cause, words string) {
	var fault interface {
		Cause() string
		Words() string
	}
	if e.HTTPStatus != 0 || e.ProviderCode != "" || e.Err == nil || !errors.As(e.Err, &fault) {
		return "", ""
	}
	return fault.Cause(), fault.Words()
}

// Unwrap gives the transport's cause.
func (e *SendError) Unwrap() error { return e.Err }

// Proof is what a sender can prove about a message whose answer was lost.
type Proof struct {
	// Reporting: the provider tells, by list or by events, what it took.
	// A sender that is not reporting is blind: its unknown outcomes are held.
	Reporting bool
	// Deaf: what the provider reports cannot be verified or cannot reach us, whatever
	// other senders of the same account hear. Silence then proves nothing.
	Deaf bool
	// Settle is how long after the call "not found" may be believed.
	Settle time.Duration
}

// Sought describes a message whose answer was lost.
type Sought struct {
	AttemptID string
	To        secret.Text
	Body      secret.Text // SMS text, matched against what the provider lists
	StartedAt time.Time
}

// Found is what a provider knows of a sought message.
type Found struct {
	Taken             bool
	ProviderMessageID string
	Status            string // the provider's own status word
}

// ErrCannotFind is returned by Find of a sender that has no way to ask.
var ErrCannotFind = errors.New("this provider cannot be asked what it took")

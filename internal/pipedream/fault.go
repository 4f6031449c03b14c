package pipedream

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/connectlink/connectlink/internal/wire"
)

// Kind is what an error means to the caller. Pipedream publishes no statuses for
// most failures, so the class of the status decides, never its text.
type Kind string

const (
	// Passing: network, 408, 429, 5xx. Try again later.
	Passing Kind = "passing"
	// Lasting: any other refusal. The same call will be refused again.
	Lasting Kind = "lasting"
	// NotFound: 404.
	NotFound Kind = "not_found"
	// Unauthorized: 401, after the access token was renewed.
	Unauthorized Kind = "unauthorized"
)

// ErrNotFound matches every Error of kind NotFound.
var ErrNotFound = errors.New("not found at Pipedream")

// Error is what every method of Client returns. It prints neither URL nor body:
// both may carry a connect token.
type Error struct {
	Op         string
	Status     int    // 0 when no answer was read
	Code       string // Pipedream's code, or one of ours: breaker_open, bad_answer, link_host_not_allowed
	RetryAfter time.Duration
	Kind       Kind
	err        error // transport cause
}

// Error implements error.
func (e *Error) Error() string {
	s := fmt.Sprintf("pipedream: %s: %s", e.Op, e.Kind)
	if e.Status != 0 {
		s += fmt.Sprintf(" (http %d)", e.Status)
	}
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.err != nil {
		s += ": " + e.err.Error()
	}
	return s
}

// Unwrap gives the transport's cause.
func (e *Error) Unwrap() error { return e.err }

// Is makes errors.Is(err, ErrNotFound) work.
func (e *Error) Is(target error) bool { return target == ErrNotFound && e.Kind == NotFound }

// refusal reads an answer that is not a success.
func (c *Client) refusal(op string, resp *http.Response, raw []byte) *Error {
	e := &Error{Op: op, Status: resp.StatusCode, Kind: Lasting}
	switch {
	case wire.Passing(resp.StatusCode):
		e.Kind = Passing
		e.RetryAfter = wire.RetryAfter(resp.Header, c.p.Now())
	case resp.StatusCode == http.StatusNotFound:
		e.Kind = NotFound
	case resp.StatusCode == http.StatusUnauthorized:
		e.Kind = Unauthorized
	}
	var body struct {
		Code json.RawMessage `json:"code"`
	}
	if wire.IsJSON(resp.Header) && json.Unmarshal(raw, &body) == nil {
		var code string
		_ = json.Unmarshal(body.Code, &code)
		e.Code = wire.Code(code)
	}
	return e
}

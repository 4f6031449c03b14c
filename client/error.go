package client

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is a failure that the service reported. [errors.Is] compares its code
// with an [ErrorCode].
type Error struct {
	Problem

	// RetryAfter is the pause that the service asked for; 0 for none.
	RetryAfter time.Duration
}

// Error returns the code, what happened, every faulty field and the request's id.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "connectlink: %s: %s", e.Code, e.Detail)
	if e.Errors != nil {
		for _, f := range *e.Errors {
			fmt.Fprintf(&b, "; %s: %s", f.Pointer, f.Detail)
		}
	}
	fmt.Fprintf(&b, " (%s)", e.RequestID)
	return b.String()
}

// Is reports whether target is the error's code.
func (e *Error) Is(target error) bool {
	code, ok := target.(ErrorCode) //nolint:errorlint // a code wraps nothing
	return ok && code == e.Code
}

// Error makes a code a target of [errors.Is].
func (c ErrorCode) Error() string { return string(c) }

// StatusError is a response that did not come from the service itself, for
// example from a proxy in front of it.
type StatusError struct {
	Status    int
	RequestID string // empty if the response has none

	// RetryAfter is the pause that the response asked for; 0 for none.
	RetryAfter time.Duration
}

// Error names the status.
func (e *StatusError) Error() string {
	return fmt.Sprintf("connectlink: the response %d is not a problem document of the service", e.Status)
}

// readError makes an error of a response that is not a success.
func readError(resp *http.Response, body []byte, now time.Time) error {
	pause := parseRetryAfter(resp.Header.Get("Retry-After"), now)
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var p Problem
	if kind != "application/problem+json" || json.Unmarshal(body, &p) != nil || p.Code == "" {
		return &StatusError{Status: resp.StatusCode, RequestID: resp.Header.Get("Request-Id"), RetryAfter: pause}
	}
	return &Error{Problem: p, RetryAfter: pause}
}

// parseRetryAfter reads seconds or an HTTP date (RFC 9110, section 10.2.3); 0
// for anything else and for the past.
func parseRetryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(header, 10, 32); err == nil {
		return max(time.Duration(seconds)*time.Second, 0)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return max(at.Sub(now), 0)
}

package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxResponse bounds how much of a response is read, in bytes.
const maxResponse = 32 << 20

// Pauses between attempts for which the service asks for none.
const (
	firstPause = 500 * time.Millisecond
	maxPause   = 8 * time.Second
)

// Option changes one request.
type Option func(*request)

// WithIdempotencyKey sets the idempotency key of a request that takes one. Use it to
// repeat the request safely after a restart; without it the client chooses a
// random key, and repeats are safe for the duration of one call only.
func WithIdempotencyKey(key string) Option {
	return func(r *request) { r.idempotencyKey = key }
}

// request is one call of the API, which may take several attempts.
type request struct {
	method, path string
	id           string // takes the place of {id} in path
	query        url.Values
	body         any  // nil for none
	idempotent   bool // repeating it without a key has no further effect
	takesKey     bool // an Idempotency-Key makes repeating it safe

	idempotencyKey string
}

// send sends a request until it is answered for good, and decodes the response into
// out; a nil out is for responses without a body. Errors: *Error, *StatusError, and those of the transport and of ctx.
func (c *Client) send(ctx context.Context, r request, out any, options []Option) error {
	for _, o := range options {
		o(&r)
	}
	if err := r.fillID(); err != nil {
		return err
	}
	if r.takesKey && r.idempotencyKey == "" {
		r.idempotencyKey = rand.Text()
	}
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("connectlink: encode the request: %w", err)
		}
	}
	for attempt := 1; ; attempt++ {
		err := c.attempt(ctx, r, body, out)
		if err == nil || attempt >= c.maxAttempts || ctx.Err() != nil {
			return err
		}
		pause, ok := r.pauseBefore(err, attempt)
		if !ok {
			return err
		}
		if deadline, bounded := ctx.Deadline(); bounded && time.Until(deadline) <= pause {
			return err // the failure says more than the deadline that would follow
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// fillID puts the id into the path. An empty id, or one with a slash, would lead
// to another operation.
func (r *request) fillID() error {
	if !strings.Contains(r.path, "{id}") {
		return nil
	}
	if r.id == "" || strings.Trim(strings.ToLower(r.id), "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return fmt.Errorf("connectlink: %q is not an id", r.id)
	}
	r.path = strings.ReplaceAll(r.path, "{id}", r.id)
	return nil
}

// pauseBefore reports whether another attempt is safe and may succeed, and how
// long to pause before it.
func (r request) pauseBefore(err error, attempt int) (time.Duration, bool) {
	var problem *Error
	var status *StatusError
	asked := time.Duration(0)
	switch {
	case errors.As(err, &problem):
		if !problem.Retryable {
			return 0, false
		}
		asked = problem.RetryAfter
	case errors.As(err, &status):
		// A proxy's answer: the service may have received the request.
		temporary := status.Status == http.StatusTooManyRequests || status.Status >= http.StatusBadGateway
		if !temporary || !r.idempotent && !r.takesKey {
			return 0, false
		}
		asked = status.RetryAfter
	default:
		var transport *transportError
		if !errors.As(err, &transport) || !r.idempotent && !r.takesKey {
			return 0, false
		}
	}
	if asked > 0 {
		return asked, true
	}
	pause := min(firstPause<<(attempt-1), maxPause)
	return pause/2 + mathrand.N(pause/2), true //nolint:gosec // jitter is no secret
}

// transportError is a request without a response. It does not show the URL.
type transportError struct{ err error }

func (e *transportError) Error() string { return "connectlink: send the request: " + e.err.Error() }
func (e *transportError) Unwrap() error { return e.err }

func (c *Client) attempt(ctx context.Context, r request, body []byte, out any) error {
	u := c.base.JoinPath(r.path)
	u.RawQuery = r.query.Encode()
	var payload io.Reader
	if body != nil {
		payload = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), payload)
	if err != nil {
		return fmt.Errorf("connectlink: make the request: %w", err)
	}
	c.authorize(req)
	req.Header.Set("User-Agent", c.userAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", r.idempotencyKey)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var withURL *url.Error
		if errors.As(err, &withURL) {
			err = withURL.Err // the URL of a request may contain an address
		}
		return &transportError{err}
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return &transportError{err}
	}
	if len(raw) > maxResponse {
		return fmt.Errorf("connectlink: the response is longer than %d bytes", maxResponse)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return readError(resp, raw, time.Now())
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("connectlink: read the response: %w", err)
	}
	return nil
}

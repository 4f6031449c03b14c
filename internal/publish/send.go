package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/trace"
	"github.com/connectlink/connectlink/internal/wire"
)

// keptAnswer is how much of an endpoint's answer is kept, in bytes.
const keptAnswer = 1 << 10

// parcel is one event on its way to one URL.
type parcel struct {
	url     string
	secrets []string // each signs; the current one first
	private bool     // the URL may lead to a private address
	id      invite.EventID
	body    []byte
}

// answer is what an endpoint answered.
type answer struct {
	status     int    // of HTTP; 0: none came
	failure    string // why none came; names neither URL nor secret
	cause      string // why none came, as a word of package wire
	retryAfter time.Duration
	body       []byte // the first kilobyte
	at         time.Time
	took       time.Duration
}

func (a answer) ok() bool   { return a.status >= 200 && a.status <= 299 }
func (a answer) gone() bool { return a.status == http.StatusGone }

// outcome is one of three words, for metrics.
func (a answer) outcome() string {
	switch {
	case a.ok():
		return "taken"
	case a.status == 0:
		return "no_answer"
	}
	return "refused"
}

// fault is a word for what went wrong; empty for an event that was taken.
func (a answer) fault() string {
	switch {
	case a.ok():
		return ""
	case a.status != 0:
		return fmt.Sprintf("status_%d", a.status)
	}
	return a.cause
}

// send posts an event, signed with each secret as Standard Webhooks say: receivers
// accept a post if one of its signatures is theirs.
func (c *Courier) send(ctx context.Context, p parcel) answer {
	now := c.p.Now()
	got := answer{at: now}
	req, err := NewRequest(ctx, p.url, p.secrets, p.id.String(), p.body, now)
	if err != nil {
		got.failure, got.cause = err.Error(), "endpoint_unusable"
		return got
	}
	trace.Inject(ctx, req.Header)
	to := c.http
	if c.p.AllowPrivate || p.private {
		to = c.private
	}
	begun := time.Now()
	resp, err := to.Do(req)
	if err != nil {
		got.took, got.failure, got.cause = time.Since(begun), failureOf(err), causeOf(err)
		return got
	}
	defer func() { _ = resp.Body.Close() }()
	got.status = resp.StatusCode
	// What cannot be read of an answer does not change what it says.
	got.body, _ = io.ReadAll(io.LimitReader(resp.Body, keptAnswer))
	got.took = time.Since(begun)
	if got.status == http.StatusTooManyRequests || got.status == http.StatusServiceUnavailable {
		got.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), now)
	}
	return got
}

// NewRequest is the post of an event to a URL, signed with each secret. Errors name
// neither URL nor secret.
func NewRequest(ctx context.Context, url string, secrets []string, id string, body []byte, now time.Time) (*http.Request, error) {
	signatures := make([]string, 0, len(secrets))
	for _, s := range secrets {
		signer, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			return nil, fmt.Errorf("the secret of the webhook is not one: want whsec_ and base64")
		}
		signature, err := signer.Sign(id, now, body)
		if err != nil {
			return nil, fmt.Errorf("event %s cannot be signed", id)
		}
		signatures = append(signatures, signature)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the URL of the webhook cannot be called")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", wire.UserAgent())
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(now.Unix()))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return req, nil
}

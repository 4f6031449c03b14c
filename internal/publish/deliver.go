package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/wire"
)

// Params are what a Courier needs.
type Params struct {
	DB      postgres.DB
	Box     *seal.Box
	Project func(id string) (config.Project, bool)
	// AllowPrivate lets events of all projects go to loopback and private
	// addresses: on a laptop, where the product runs beside us.
	AllowPrivate bool
	Now          func() time.Time
}

// Courier delivers events.
type Courier struct {
	p       Params
	http    *http.Client // to public addresses
	private *http.Client // to any
}

// NewCourier makes a Courier.
func NewCourier(p Params) *Courier {
	return &Courier{p: p, http: newClient(false), private: newClient(true)}
}

// body is what a product receives.
type body struct {
	ID        invite.EventID `json:"id"`
	Type      string         `json:"type"`
	CreatedAt time.Time      `json:"created_at"`
	Livemode  bool           `json:"livemode"`
	Data      data           `json:"data"`
}

type data struct {
	Invite resource.Invite `json:"invite"`
}

// ErrGone: the endpoint no longer exists; trying again is pointless.
var ErrGone = errors.New("nobody to tell")

// Deliver posts one event. createdAt is when it was enqueued. Any answer but
// 2xx, and none, is an *AttemptError. ErrGone is not worth another attempt.
func (c *Courier) Deliver(ctx context.Context, j job.Publish, createdAt time.Time) error {
	inv, err := find.Any(ctx, c.p.DB, j.InviteID)
	if errors.Is(err, find.ErrNotFound) {
		return ErrGone
	}
	if err != nil {
		return err
	}
	project, ok := c.p.Project(inv.Project)
	if !ok || project.Webhook == nil {
		return ErrGone
	}
	raw, err := c.bodyOf(j, inv, createdAt)
	if err != nil {
		return err
	}
	return c.post(ctx, project.Webhook, j, raw)
}

// bodyOf returns the event's body as it was stored when the event happened.
// Personal data is removed from it after the person was erased, and a job of an
// earlier version stored none: those get the invite's current state.
func (c *Courier) bodyOf(j job.Publish, inv find.Invite, createdAt time.Time) ([]byte, error) {
	if j.Body == nil || inv.ErasedAt != nil {
		return encodeBody(c.p.Box, j, inv, createdAt)
	}
	raw, err := c.p.Box.Open(j.Body, sealedAs(j))
	if err != nil {
		return nil, fmt.Errorf("open event %s: %w", j.EventID, err)
	}
	return raw, nil
}

func encodeBody(box *seal.Box, j job.Publish, inv find.Invite, createdAt time.Time) ([]byte, error) {
	shown, err := resource.Present(box, inv, resource.Links{})
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(body{
		ID: j.EventID, Type: j.Type, CreatedAt: createdAt.UTC(), Livemode: inv.Live, Data: data{shown},
	})
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", j.EventID, err)
	}
	return raw, nil
}

func (c *Courier) post(ctx context.Context, hook *config.Webhook, j job.Publish, raw []byte) error {
	signer, err := standardwebhooks.NewWebhook(hook.Secret.Reveal())
	if err != nil {
		return errors.New("the project's webhook secret is not one: want whsec_ and base64")
	}
	now := c.p.Now()
	signature, err := signer.Sign(j.EventID.String(), now, raw)
	if err != nil {
		return fmt.Errorf("sign event %s: %w", j.EventID, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(raw))
	if err != nil {
		return errors.New("the project's webhook URL cannot be called")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", wire.UserAgent())
	req.Header.Set(standardwebhooks.HeaderWebhookID, j.EventID.String())
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(now.Unix()))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	to := c.http
	if c.p.AllowPrivate || hook.AllowPrivate {
		to = c.private
	}
	resp, err := to.Do(req)
	if err != nil {
		return &AttemptError{EventID: j.EventID, Err: unwrapURL(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		failed := &AttemptError{EventID: j.EventID, Status: resp.StatusCode}
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
			failed.RetryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), now)
		}
		return failed
	}
	return nil
}

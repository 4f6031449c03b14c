package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
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
	log     *Log
	http    *http.Client // to public addresses
	private *http.Client // to any
}

// NewCourier makes a Courier.
func NewCourier(p Params) *Courier {
	return &Courier{p: p, log: NewLog(p.DB, p.Box), http: newClient(false), private: newClient(true)}
}

// DeleteOld deletes public events that are older than Retention.
func (c *Courier) DeleteOld(ctx context.Context) error { return c.log.DeleteOld(ctx, c.p.Now()) }

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
	raw, err := c.bodyOf(ctx, j, inv, createdAt)
	if err != nil {
		return err
	}
	return c.post(ctx, project.Webhook, j, raw)
}

// bodyOf returns the bytes of the event in the log. A job of an earlier version has
// them itself, or none: those get the invite's current state.
func (c *Courier) bodyOf(ctx context.Context, j job.Publish, inv find.Invite, createdAt time.Time) ([]byte, error) {
	logged, err := find.AnyPublicEvent(ctx, c.p.DB, j.EventID)
	switch {
	case err == nil:
		return c.log.open(ctx, logged)
	case !errors.Is(err, find.ErrNotFound):
		return nil, err
	case j.Body == nil || inv.ErasedAt != nil:
		return encode(c.p.Box, j.EventID, ledger.Announcement{Type: invite.PublicType(j.Type), Sequence: j.Version}, createdAt, inv)
	}
	raw, err := c.p.Box.Open(j.Body, seal.AD{Column: "river_job.publish", ID: j.EventID.UUID()})
	if err != nil {
		return nil, fmt.Errorf("open event %s: %w", j.EventID, err)
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

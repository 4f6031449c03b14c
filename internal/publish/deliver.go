package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/endpoint"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Params are what a Courier needs.
type Params struct {
	DB      postgres.DB
	Box     *seal.Box
	Project func(id string) (config.Project, bool)
	// AllowPrivate lets events of all projects go to loopback and private
	// addresses: on a laptop, where the product runs beside us.
	AllowPrivate bool
	// Resolver resolves the names of webhooks; nil is that of the machine.
	Resolver *net.Resolver
	Now      func() time.Time
}

// Courier posts events.
type Courier struct {
	p       Params
	log     *Log
	http    *http.Client // to public addresses
	private *http.Client // to any
}

// NewCourier makes a Courier.
func NewCourier(p Params) *Courier {
	return &Courier{p: p, log: NewLog(p.DB, p.Box), http: newClient(false, p.Resolver), private: newClient(true, p.Resolver)}
}

// DeleteOld deletes public events that are older than Retention.
func (c *Courier) DeleteOld(ctx context.Context) error { return c.log.DeleteOld(ctx, c.p.Now()) }

// ErrGone: there is no webhook for the event; trying again is pointless.
var ErrGone = errors.New("the event has no webhook")

// HandOver takes on a job of a version that posted the events of the configuration's
// webhook by jobs. An event of the log is queued for the endpoint that the webhook is
// now, unless it is queued or was taken already. One from before the log is posted:
// any answer but 2xx, and none, is an *AttemptError, and ErrGone is not worth another
// attempt. createdAt is when the job was enqueued.
func (c *Courier) HandOver(ctx context.Context, j job.Publish, createdAt time.Time) error {
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
	_, err = find.AnyPublicEvent(ctx, c.p.DB, j.EventID)
	if errors.Is(err, find.ErrNotFound) {
		raw, err := c.bodyOf(j, inv, createdAt)
		if err != nil {
			return err
		}
		return c.post(ctx, project.Webhook, j, raw)
	}
	if err != nil {
		return err
	}
	hook, found, err := endpoint.FindConfigured(ctx, c.p.DB, inv.Place)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("hand over event %s: the webhook of project %s is not stored yet", j.EventID, inv.Project)
	}
	_, err = endpoint.Requeue(ctx, c.p.DB, []invite.EndpointID{hook.ID}, []invite.EventID{j.EventID}, true)
	return err
}

// bodyOf returns the bytes of an event from before the log. Its job has them itself, or
// none: those get the invite's current state.
func (c *Courier) bodyOf(j job.Publish, inv find.Invite, createdAt time.Time) ([]byte, error) {
	if j.Body == nil || inv.ErasedAt != nil {
		return encode(c.p.Box, j.EventID, ledger.Announcement{Type: invite.PublicType(j.Type), Sequence: j.Version}, createdAt, inv)
	}
	raw, err := c.p.Box.Open(j.Body, seal.AD{Column: "river_job.publish", ID: j.EventID.UUID()})
	if err != nil {
		return nil, fmt.Errorf("open event %s: %w", j.EventID, err)
	}
	return raw, nil
}

// post posts one event to a webhook of the configuration.
func (c *Courier) post(ctx context.Context, hook *config.Webhook, j job.Publish, raw []byte) error {
	got := c.send(ctx, parcel{url: hook.URL, secrets: []string{hook.Secret.Reveal()}, private: hook.AllowPrivate, id: j.EventID, body: raw})
	switch {
	case got.ok():
		return nil
	case got.status == 0:
		return &AttemptError{EventID: j.EventID, Err: errors.New(got.failure)}
	}
	return &AttemptError{EventID: j.EventID, Status: got.status, RetryAfter: got.retryAfter}
}

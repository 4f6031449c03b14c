package publish

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Maximum tries of one event. With River's growing pauses the last one comes
// after about three days.
const maxTries = 16

// Inserter puts jobs into River's queue.
type Inserter interface {
	InsertTx(ctx context.Context, tx pgx.Tx, args river.JobArgs, opts *river.InsertOpts) (*rivertype.JobInsertResult, error)
}

// Outbox enqueues events for the products that asked for them.
type Outbox struct {
	jobs    Inserter
	box     *seal.Box
	project func(id string) (config.Project, bool)
}

// NewOutbox makes an Outbox.
func NewOutbox(jobs Inserter, box *seal.Box, project func(id string) (config.Project, bool)) *Outbox {
	return &Outbox{jobs: jobs, box: box, project: project}
}

// Enqueue turns the effects of events into jobs of the same transaction. Each job
// carries what will be posted, made from the invite as it is in this transaction:
// one made when it is sent would tell of later events under this event's name.
func (o *Outbox) Enqueue(ctx context.Context, tx pgx.Tx, a ledger.Applied) error {
	project, ok := o.project(a.Project)
	if !ok || project.Webhook == nil {
		return nil
	}
	for _, effect := range a.Effects {
		name, ok := eventName(effect)
		if !ok {
			continue
		}
		args := job.Publish{EventID: invite.New[invite.EventID](), InviteID: a.ID, Type: name, Version: a.State.Version}
		var err error
		if args.Body, err = o.snapshot(ctx, tx, args); err != nil {
			return fmt.Errorf("enqueue %s of invite %s: %w", name, a.ID, err)
		}
		_, err = o.jobs.InsertTx(ctx, tx, args, &river.InsertOpts{MaxAttempts: maxTries, Queue: job.EventsQueue(a.Project)})
		if err != nil {
			return fmt.Errorf("enqueue %s of invite %s: %w", name, a.ID, err)
		}
	}
	return nil
}

// snapshot is the sealed body of an event.
func (o *Outbox) snapshot(ctx context.Context, tx pgx.Tx, j job.Publish) ([]byte, error) {
	inv, err := find.Any(ctx, tx, j.InviteID)
	if err != nil {
		return nil, err
	}
	raw, err := encodeBody(o.box, j, inv, inv.Now)
	if err != nil {
		return nil, err
	}
	return o.box.Seal(raw, sealedAs(j))
}

// sealedAs binds a body to its event.
func sealedAs(j job.Publish) seal.AD {
	return seal.AD{Column: "river_job.publish", ID: j.EventID.UUID()}
}

func eventName(e invite.Effect) (string, bool) {
	switch e {
	case invite.EffectPublishConnected:
		return "invite.connected", true
	case invite.EffectPublishConnectFailed:
		return "invite.connect_failed", true
	case invite.EffectPublishDeliveryFailed:
		return "invite.delivery_failed", true
	case invite.EffectPublishExpired:
		return "invite.expired", true
	case invite.EffectPublishReported:
		return "invite.reported", true
	case invite.EffectWipe:
	}
	return "", false
}

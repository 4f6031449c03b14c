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
	project func(id string) (config.Project, bool)
}

// NewOutbox makes an Outbox.
func NewOutbox(jobs Inserter, project func(id string) (config.Project, bool)) *Outbox {
	return &Outbox{jobs: jobs, project: project}
}

// Enqueue turns the effects of events into jobs of the same transaction.
func (o *Outbox) Enqueue(ctx context.Context, tx pgx.Tx, a ledger.Applied) error {
	project, ok := o.project(a.ProjectID)
	if !ok || project.Webhook == nil {
		return nil
	}
	for _, effect := range a.Effects {
		name, ok := published(effect)
		if !ok {
			continue
		}
		_, err := o.jobs.InsertTx(ctx, tx, job.Publish{
			EventID: invite.New[invite.EventID](), InviteID: a.ID, Type: name, Version: a.State.Version,
		}, &river.InsertOpts{MaxAttempts: maxTries, Queue: job.EventsQueue(a.ProjectID)})
		if err != nil {
			return fmt.Errorf("enqueue %s of invite %s: %w", name, a.ID, err)
		}
	}
	return nil
}

func published(e invite.Effect) (string, bool) {
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

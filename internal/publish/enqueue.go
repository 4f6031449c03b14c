package publish

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/endpoint"
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

// Outbox stores public events and enqueues them for the products that asked for them.
type Outbox struct {
	jobs    Inserter
	box     *seal.Box
	project func(id string) (config.Project, bool)
	wake    func() // may be nil
}

// NewOutbox makes an Outbox.
func NewOutbox(jobs Inserter, box *seal.Box, project func(id string) (config.Project, bool)) *Outbox {
	return &Outbox{jobs: jobs, box: box, project: project}
}

// configuredTypes are the events that a webhook of the configuration receives. They
// have been the same since there are webhooks: its receivers know no others.
func configuredTypes() []invite.PublicType {
	return []invite.PublicType{"invite.connected", "invite.connect_failed", "invite.delivery_failed", "invite.expired", "invite.reported"}
}

// Enqueue stores the public events of applied batches in the log, in the transaction
// that caused them, and a job for each that a webhook receives. An event is stored
// with the invite as it is in this transaction, as the bytes that every delivery and
// every read return. It costs three round trips for any number of events.
func (o *Outbox) Enqueue(ctx context.Context, tx pgx.Tx, applied ...ledger.Applied) error {
	var ids []invite.ID
	for _, a := range applied {
		if len(a.Public) > 0 {
			ids = append(ids, a.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	invites, err := find.ListAny(ctx, tx, ids)
	if err != nil {
		return err
	}
	var rows []ledger.PublicEvent
	for _, a := range applied {
		for _, public := range a.Public {
			row, err := snapshot(o.box, public, invites[a.ID])
			if err != nil {
				return fmt.Errorf("publish %s of invite %s: %w", public.Type, a.ID, err)
			}
			rows = append(rows, row)
		}
	}
	if err := ledger.InsertPublicEvents(ctx, tx, rows); err != nil {
		return err
	}
	waiting, err := endpoint.InsertDeliveries(ctx, tx, fresh(rows))
	if err != nil {
		return err
	}
	if waiting && o.wake != nil {
		postgres.AfterCommit(tx, o.wake)
	}
	return o.enqueueJobs(ctx, tx, rows)
}

// WakeBy sets the function that wakes the Runner of this process after a commit that
// queued events for endpoints. Other processes look for themselves.
func (o *Outbox) WakeBy(wake func()) { o.wake = wake }

// enqueueJobs inserts a job for each event that its project's webhook receives.
func (o *Outbox) enqueueJobs(ctx context.Context, tx pgx.Tx, rows []ledger.PublicEvent) error {
	for _, row := range rows {
		project, ok := o.project(row.Project)
		if !ok || project.Webhook == nil || !slices.Contains(configuredTypes(), row.Type) {
			continue
		}
		args := job.Publish{EventID: row.ID, InviteID: row.InviteID, Type: string(row.Type), Version: row.Sequence}
		_, err := o.jobs.InsertTx(ctx, tx, args, &river.InsertOpts{MaxAttempts: maxTries, Queue: job.EventsQueue(row.Project)})
		if err != nil {
			return fmt.Errorf("enqueue %s of invite %s: %w", row.Type, row.InviteID, err)
		}
	}
	return nil
}

package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/endpoint"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Outbox stores public events and queues them for the endpoints that receive them.
type Outbox struct {
	box  *seal.Box
	wake func() // may be nil
}

// NewOutbox makes an Outbox.
func NewOutbox(box *seal.Box) *Outbox { return &Outbox{box: box} }

// Enqueue stores the public events of applied batches in the log, in the transaction
// that caused them, and queues each for the endpoints that receive it. An event is stored
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
	return o.store(ctx, tx, rows)
}

// store stores events and wakes the Runner of this process where an endpoint receives one.
func (o *Outbox) store(ctx context.Context, tx pgx.Tx, rows []ledger.PublicEvent) error {
	waiting, err := storeEvents(ctx, tx, rows)
	if err == nil && waiting && o.wake != nil {
		postgres.AfterCommit(tx, o.wake)
	}
	return err
}

// storeEvents stores events in the log and queues each for the endpoints that receive
// it; waiting reports whether there is one.
func storeEvents(ctx context.Context, tx pgx.Tx, rows []ledger.PublicEvent) (waiting bool, err error) {
	if err := ledger.InsertPublicEvents(ctx, tx, rows); err != nil {
		return false, err
	}
	return endpoint.InsertDeliveries(ctx, tx, fresh(rows))
}

// sealEvent is the row of an event about no invite.
func sealEvent(box *seal.Box, id invite.EventID, kind invite.PublicType, place invite.Place, raw []byte, at time.Time) (ledger.PublicEvent, error) {
	sealed, err := box.Seal(raw, sealedBody(id))
	if err != nil {
		return ledger.PublicEvent{}, fmt.Errorf("seal event %s: %w", id, err)
	}
	return ledger.PublicEvent{Announcement: ledger.Announcement{Type: kind}, Place: place, ID: id, Body: sealed, At: at}, nil
}

// WakeBy sets the function that wakes the Runner of this process after a commit that
// queued events for endpoints. Other processes look for themselves.
func (o *Outbox) WakeBy(wake func()) { o.wake = wake }

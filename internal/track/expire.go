package track

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const expiredAtOnce = 100

// Expire ends every overdue invite, in batches, and returns their number:
// open ones expire, failed ones keep their status, and the links and codes of
// both are wiped.
func (t *Tracker) Expire(ctx context.Context) (int, error) {
	total := 0
	for {
		n := 0
		err := t.inTx(ctx, func(tx pgx.Tx) error {
			var err error
			n, err = t.expire(ctx, tx)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n < expiredAtOnce {
			return total, nil
		}
	}
}

func (t *Tracker) expire(ctx context.Context, tx pgx.Tx) (int, error) {
	overdue, err := ledger.LockOverdue(ctx, tx, expiredAtOnce)
	if err != nil || len(overdue) == 0 {
		return 0, err
	}
	var batches []ledger.Batch
	var over []invite.ID
	for _, o := range overdue {
		if !o.Status.Open() {
			over = append(over, o.ID)
			continue
		}
		batches = append(batches, ledger.Batch{ID: o.ID, Events: []invite.Event{{
			Type: invite.EventExpired, Actor: invite.Actor{Kind: invite.ActorSystem},
		}}})
	}
	if len(over) > 0 {
		if err := ledger.SetWiped(ctx, tx, over); err != nil {
			return 0, err
		}
	}
	if len(batches) > 0 {
		applied, err := ledger.AppendAll(ctx, tx, t.p.Box, batches)
		if err != nil {
			return 0, err
		}
		if err := t.p.Publish(ctx, tx, applied...); err != nil {
			return 0, err
		}
	}
	return len(overdue), nil
}

// Retention: callbacks serve support, guards outlive every provider's retries
// (24 hours) by far, and idempotency keys are promised for a day.
const (
	keepCallbacks   = 30 * 24 * time.Hour
	keepSeen        = 8 * 24 * time.Hour
	keepIdempotency = 48 * time.Hour

	releasedAtOnce = 1000
)

// ReleaseOld deletes expired temporary records, in batches of their own.
func (t *Tracker) ReleaseOld(ctx context.Context) error {
	kept := ledger.Kept{Callbacks: keepCallbacks, Seen: keepSeen, Idempotency: keepIdempotency}
	for {
		more, err := ledger.DeleteOld(ctx, t.p.DB, kept, releasedAtOnce)
		if err != nil || !more {
			return err
		}
	}
}

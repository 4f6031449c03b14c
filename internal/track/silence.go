package track

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const silentAtOnce = 100

// Silence marks accepted messages without a delivery report for long with
// the reason no_receipt. Their status stays, because it is true, and any
// later report replaces the reason. It returns their number.
func (t *Tracker) Silence(ctx context.Context) (int, error) {
	total := 0
	for {
		silent, err := ledger.ListSilent(ctx, t.p.DB, t.p.Silence, silentAtOnce)
		if err != nil || len(silent) == 0 {
			return total, err
		}
		n := 0
		err = t.inTx(ctx, func(tx pgx.Tx) error {
			n, err = t.noReceipts(ctx, tx, silent)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("note missing receipts: %w", err)
		}
		// Fewer than listed: another process has some, or reports came meanwhile.
		if total += n; n < len(silent) || n < silentAtOnce {
			return total, nil
		}
	}
}

func (t *Tracker) noReceipts(ctx context.Context, tx pgx.Tx, silent []ledger.Silent) (int, error) {
	ids := make([]invite.ID, 0, len(silent))
	for _, s := range silent {
		ids = append(ids, s.InviteID)
	}
	locked, err := ledger.LockAll(ctx, tx, ids)
	if err != nil {
		return 0, err
	}
	var batches []ledger.Batch
	for _, l := range locked {
		for _, d := range l.State.Deliveries {
			listed := slices.Contains(silent, ledger.Silent{InviteID: l.ID, DeliveryID: d.ID})
			if !listed || d.Reason != "" || (d.Status != invite.Accepted && d.Status != invite.Sent) {
				continue // a receipt came since it was listed
			}
			batches = append(batches, ledger.Batch{ID: l.ID, Events: []invite.Event{{
				Type: invite.EventDeliveryNoReceipt, Actor: invite.Actor{Kind: invite.ActorSystem}, DeliveryID: d.ID,
				Data: invite.Data{Reason: invite.NoReceipt, Provider: d.Provider, Channel: d.Channel},
			}}})
		}
	}
	if len(batches) == 0 {
		return 0, nil
	}
	applied, err := ledger.AppendAll(ctx, tx, t.p.Box, batches)
	if err != nil {
		return 0, err
	}
	if err := t.p.Publish(ctx, tx, applied...); err != nil {
		return 0, err
	}
	return len(batches), nil
}

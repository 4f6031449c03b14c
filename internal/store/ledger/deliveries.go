package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// InsertDelivery puts one more message of a locked invite into the queue, due
// now, and counts its uses; a *LimitError refuses it. The caller appends the event
// "delivery.queued" after it.
func InsertDelivery(ctx context.Context, tx pgx.Tx, id invite.ID, d Delivery, uses []Use) error {
	if err := CountUses(ctx, tx, id, uses); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO deliveries (invite_id, id, number, project_id, livemode, channel, kind, status, lane, next_at, created_at, updated_at)
		SELECT id, $2, $3, project_id, livemode, $4, $5, 'queued', $6, now(), now(), now() FROM invites WHERE id = $1`,
		id, d.ID, d.Number, string(d.Channel), d.Kind, d.Lane)
	if err != nil {
		return fmt.Errorf("insert delivery %s: %w", d.ID, postgres.Translate(err))
	}
	return nil
}

// InsertCode adds an invite link's code; delivery is zero for channel link.
func InsertCode(ctx context.Context, tx pgx.Tx, id invite.ID, delivery invite.DeliveryID, c Code) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO codes (invite_id, id, delivery_id, digest, code, created_at) VALUES ($1, $2, $3, $4, $5, now())`,
		id, c.ID, delivery, c.Digest, c.Sealed)
	if err != nil {
		return fmt.Errorf("insert code of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// RetireCodes makes an invite's earlier links show that they were cancelled:
// they went to an address that was corrected since, as did passcodes.
func RetireCodes(ctx context.Context, tx pgx.Tx, id invite.ID) error {
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE codes SET retired_at = now(), code = NULL WHERE invite_id = $1 AND retired_at IS NULL`, id)
	batch.Queue(endPasscodes, []invite.ID{id})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("retire codes of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

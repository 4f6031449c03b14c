package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// InsertDelivery puts one more message of a locked invite into the queue, due
// now. The caller appends the event "delivery.queued" after it.
func InsertDelivery(ctx context.Context, tx pgx.Tx, id invite.ID, d Delivery) error {
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

// SetContent replaces an invite's sealed content and its search terms.
func SetContent(ctx context.Context, tx pgx.Tx, id invite.ID, content []byte, terms [][]byte) error {
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE invites SET content = $2, updated_at = now() WHERE id = $1`, id, content)
	batch.Queue(`DELETE FROM search_terms WHERE invite_id = $1`, id)
	batch.Queue(`INSERT INTO search_terms (hash, invite_id) SELECT h, $1 FROM unnest($2::bytea[]) h ON CONFLICT DO NOTHING`, id, terms)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("set content of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetReopened undoes the mark of a wiped invite: a resend gives it secrets again.
func SetReopened(ctx context.Context, tx pgx.Tx, id invite.ID) error {
	_, err := tx.Exec(ctx, `UPDATE invites SET wiped_at = NULL WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("reopen invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetAccountName stores the connected account's name, sealed.
func SetAccountName(ctx context.Context, tx pgx.Tx, id invite.ID, sealed []byte) error {
	_, err := tx.Exec(ctx, `UPDATE invites SET account_name = $2 WHERE id = $1 AND erased_at IS NULL`, id, sealed)
	if err != nil {
		return fmt.Errorf("set account name of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// Guard marks one callback as seen; false means that a copy came before. It
// is part of the transaction that acts on the callback, so that a crash
// between the two cannot lose it.
func Guard(ctx context.Context, tx pgx.Tx, source string, key []byte) (bool, error) {
	tag, err := tx.Exec(ctx, `INSERT INTO seen (source, key) VALUES ($1, $2) ON CONFLICT DO NOTHING`, source, key)
	if err != nil {
		return false, fmt.Errorf("guard a callback of %s: %w", source, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// SetOverdue moves an invite's end to now, as if its time had run out.
func SetOverdue(ctx context.Context, tx pgx.Tx, id invite.ID) error {
	_, err := tx.Exec(ctx, `UPDATE invites SET expires_at = least(expires_at, now()), gives_up_at = least(gives_up_at, now()) WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("move the end of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

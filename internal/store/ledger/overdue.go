package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Overdue is an invite whose time is over and whose secrets are still there.
type Overdue struct {
	ID     invite.ID     `db:"id"`
	Status invite.Status `db:"status"`
}

// LockOverdue locks up to n overdue invites, in the order of their ids, and
// skips locked ones: they come in the next round.
func LockOverdue(ctx context.Context, tx pgx.Tx, n int) ([]Overdue, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id, status FROM invites
		WHERE id IN (SELECT id FROM invites WHERE gives_up_at <= now() AND wiped_at IS NULL ORDER BY gives_up_at LIMIT $1)
			AND gives_up_at <= now() AND wiped_at IS NULL
		ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Overdue])
	if err != nil {
		return nil, fmt.Errorf("lock overdue invites: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetWiped wipes links and codes of invites that ended without an event of
// their own. Digests stay, so that old links show the right page.
func SetWiped(ctx context.Context, tx pgx.Tx, ids []invite.ID) error {
	batch := &pgx.Batch{}
	queueWipe(batch, ids)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("wipe %d invites: %w", len(ids), postgres.Translate(err))
	}
	return nil
}

// queueWipe erases the secrets of ended invites, and records the text messages
// to redact at providers.
func queueWipe(batch *pgx.Batch, ids []invite.ID) {
	batch.Queue(`UPDATE connect_links SET url = NULL WHERE invite_id = ANY($1) AND url IS NOT NULL`, ids)
	batch.Queue(`UPDATE codes SET code = NULL WHERE invite_id = ANY($1) AND code IS NOT NULL`, ids)
	batch.Queue(endPasscodes, ids)
	batch.Queue(`UPDATE invites SET wiped_at = now() WHERE id = ANY($1)`, ids)
	batch.Queue(insertRedactions+` ON CONFLICT DO NOTHING`, ids, redactAfter.Seconds(), false)
}

// Kept are the retention times of temporary records.
type Kept struct {
	Callbacks, Seen, Idempotency time.Duration
}

// DeleteOld removes up to n rows of each kind that are past their time. More
// says that a further call would find work.
func DeleteOld(ctx context.Context, db postgres.DB, k Kept, n int) (more bool, err error) {
	for _, t := range []struct {
		table, column string
		keep          time.Duration
	}{{"callbacks", "received_at", k.Callbacks}, {"seen", "seen_at", k.Seen}, {"idempotency", "created_at", k.Idempotency},
		{"client_tokens", "expires_at", 0}} {
		tag, err := db.Exec(ctx, fmt.Sprintf(`
			DELETE FROM %[1]s WHERE ctid = ANY(ARRAY(
				SELECT ctid FROM %[1]s WHERE %[2]s < now() - make_interval(secs => $1) LIMIT $2))`, t.table, t.column), t.keep.Seconds(), n)
		if err != nil {
			return false, fmt.Errorf("delete old %s: %w", t.table, postgres.Translate(err))
		}
		more = more || tag.RowsAffected() == int64(n)
	}
	// Completed redactions are kept as long as callbacks, for inquiries;
	// abandoned ones as long as the provider keeps its record.
	tag, err := db.Exec(ctx, `
		DELETE FROM redactions WHERE ctid = ANY(ARRAY(
			SELECT ctid FROM redactions WHERE next_at IS NULL
				AND created_at < now() - make_interval(secs => least($1::float8, $2::float8))
				AND created_at < now() - make_interval(secs => CASE WHEN gave_up_at IS NULL THEN $1::float8 ELSE $2::float8 END) LIMIT $3))`,
		k.Callbacks.Seconds(), providersKeep.Seconds(), n)
	if err != nil {
		return false, fmt.Errorf("delete old redactions: %w", postgres.Translate(err))
	}
	return more || tag.RowsAffected() == int64(n), nil
}

// SetOverdue moves an invite's end to now, as if its time had run out.
func SetOverdue(ctx context.Context, tx pgx.Tx, id invite.ID) error {
	_, err := tx.Exec(ctx, `UPDATE invites SET expires_at = least(expires_at, now()), gives_up_at = least(gives_up_at, now()) WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("move the end of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

package recovery

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// SetRestored marks the queued deliveries of live mode that may have been sent after the
// earlier time, ends their leases, and returns their number. Those of invites that are
// scheduled for later are left out: no process sent them.
func SetRestored(ctx context.Context, tx pgx.Tx) (int, error) {
	tag, err := tx.Exec(ctx, `
		UPDATE deliveries d SET restored_at = now(), next_at = now(), lease_token = lease_token + 1, lease_owner = NULL
		FROM invites i
		WHERE i.id = d.invite_id AND d.livemode AND d.next_at IS NOT NULL AND coalesce(i.send_at, '-infinity') <= now()`)
	if err != nil {
		return 0, fmt.Errorf("mark deliveries after a restore: %w", postgres.Translate(err))
	}
	return int(tag.RowsAffected()), nil
}

// Automatic is an invite with automatic messages to come that may have been sent.
type Automatic struct {
	ID       invite.ID `db:"id"`
	Fallback bool      `db:"fallback"` // to the other channel, at any time
	Reminder bool      `db:"reminder"` // that was due before now
	Reminded int       `db:"reminded"`
}

// ListAutomatic returns up to n invites of live mode in the order of their ids, beginning
// behind after. The zero id begins at the first.
//
// A fallback is listed also before it is due: a report of a failure that was taken after
// the earlier time and is not repeated may have called for it.
func ListAutomatic(ctx context.Context, db postgres.DB, after invite.ID, n int) ([]Automatic, error) {
	rows, _ := db.Query(ctx, `
		SELECT id, fallback_channel <> '' AS fallback, coalesce(remind_at <= now(), false) AS reminder, reminded
		FROM invites
		WHERE ($1::uuid IS NULL OR id > $1) AND livemode AND (fallback_channel <> '' OR remind_at <= now()) AND coalesce(send_at, '-infinity') <= now()
			AND status IN ('pending', 'scheduled', 'active', 'failed')
		ORDER BY id LIMIT $2`, after, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Automatic])
	if err != nil {
		return nil, fmt.Errorf("list automatic messages after a restore: %w", postgres.Translate(err))
	}
	return list, nil
}

// Restore is a restore that was declared, with the number of messages that may have been
// sent after the earlier time.
type Restore struct {
	DeclaredAt time.Time `db:"declared_at"`
	Deliveries int       `db:"deliveries"` // that were queued
	Reminders  int       `db:"reminders"`
	Fallbacks  int       `db:"fallbacks"`
}

// Insert records a restore.
func Insert(ctx context.Context, tx pgx.Tx, r Restore) error {
	_, err := tx.Exec(ctx, `INSERT INTO restores (id, deliveries, reminders, fallbacks) VALUES (gen_random_uuid(), $1, $2, $3)`,
		r.Deliveries, r.Reminders, r.Fallbacks)
	if err != nil {
		return fmt.Errorf("record a restore: %w", postgres.Translate(err))
	}
	return nil
}

// Progress is the last restore and what became of its queued deliveries.
type Progress struct {
	Restore

	Open int `db:"open"` // that are still queued
	Held int `db:"held"` // whose outcome is unknown, for a person
}

// FindProgress returns the last restore that was declared, if any.
func FindProgress(ctx context.Context, db postgres.DB) (Progress, bool, error) {
	rows, _ := db.Query(ctx, `
		SELECT r.declared_at, r.deliveries, r.reminders, r.fallbacks,
			(SELECT count(*)::int FROM deliveries d WHERE d.next_at IS NOT NULL AND d.restored_at IS NOT NULL) AS open,
			(SELECT count(*)::int FROM deliveries d WHERE d.status = 'unknown' AND d.restored_at IS NOT NULL) AS held
		FROM restores r ORDER BY r.declared_at DESC LIMIT 1`)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Progress])
	if err != nil {
		return Progress{}, false, fmt.Errorf("find the last restore: %w", postgres.Translate(err))
	}
	if len(list) == 0 {
		return Progress{}, false, nil
	}
	return list[0], true, nil
}

// CountDispatchers returns how many processes that send are connected.
func CountDispatchers(ctx context.Context, db postgres.DB) (int, error) {
	var n int
	err := db.QueryRow(ctx, `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'connectlink dispatch'`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the processes that send: %w", postgres.Translate(err))
	}
	return n, nil
}

package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Days before the end of a key at which staff and the product are warned.
const (
	FirstWarning = 30
	LastWarning  = 7
)

// toldOf is the warning that a new key that ends at $9 does not need: its maker knows
// its life.
const toldOf = `CASE WHEN $9::timestamptz < now() + interval '7 days' THEN 7 WHEN $9::timestamptz < now() + interval '30 days' THEN 30 END`

// LockKey locks a key and returns it. Errors: ErrNotFound.
func LockKey(ctx context.Context, tx pgx.Tx, id invite.KeyID) (Key, error) {
	rows, _ := tx.Query(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1 FOR NO KEY UPDATE`, id)
	k, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Key])
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, fmt.Errorf("lock key %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Key{}, fmt.Errorf("lock key %s: %w", id, postgres.Translate(err))
	}
	return k, nil
}

// SetKeyEnd ends a key some time from now, unless it ends sooner, and returns the end.
// No warning is raised, because the key has a replacement.
func SetKeyEnd(ctx context.Context, tx pgx.Tx, id invite.KeyID, in time.Duration) (time.Time, error) {
	var at time.Time
	err := tx.QueryRow(ctx, `
		UPDATE api_keys SET expires_at = least(expires_at, now() + make_interval(secs => $2)), end_told = 0
		WHERE id = $1 RETURNING expires_at`, id, in.Seconds()).Scan(&at)
	if err != nil {
		return at, fmt.Errorf("set the end of key %s: %w", id, postgres.Translate(err))
	}
	return at, nil
}

// EndingKey is a key that ends soon, with the warning that is due.
type EndingKey struct {
	invite.Place

	ID        invite.KeyID `db:"id"`
	Name      string       `db:"name"`
	Hint      string       `db:"hint"`
	CreatedAt time.Time    `db:"created_at"`
	ExpiresAt time.Time    `db:"expires_at"`
	Days      int          `db:"days"` // FirstWarning or LastWarning
}

const endingColumns = `id, project_id, livemode, name, hint, created_at, expires_at,
	CASE WHEN expires_at < now() + interval '7 days' THEN 7 ELSE 30 END AS days`

// isEnding is the condition of keys that end within the first warning's time and have
// no replacement.
const isEnding = `revoked_at IS NULL AND expires_at > now() AND expires_at < now() + interval '30 days' AND coalesce(end_told, 1) > 0`

// LockUntoldKeys locks up to n keys whose next warning was not raised yet.
func LockUntoldKeys(ctx context.Context, tx pgx.Tx, n int) ([]EndingKey, error) {
	rows, _ := tx.Query(ctx, `
		SELECT `+endingColumns+` FROM api_keys
		WHERE `+isEnding+` AND (end_told IS NULL OR expires_at < now() + interval '7 days' AND end_told > 7)
		ORDER BY expires_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[EndingKey])
	if err != nil {
		return nil, fmt.Errorf("lock keys that end: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetEndTold records that the warning of a locked key was raised.
func SetEndTold(ctx context.Context, tx pgx.Tx, k EndingKey) error {
	if _, err := tx.Exec(ctx, `UPDATE api_keys SET end_told = $2 WHERE id = $1`, k.ID, k.Days); err != nil {
		return fmt.Errorf("record the warning of key %s: %w", k.ID, postgres.Translate(err))
	}
	return nil
}

// ListEndingKeys returns the keys of a project and mode that end within 30 days and
// have no replacement, the first to end first.
func ListEndingKeys(ctx context.Context, db postgres.DB, place invite.Place, n int) ([]EndingKey, error) {
	rows, _ := db.Query(ctx, `SELECT `+endingColumns+` FROM api_keys WHERE project_id = $1 AND livemode = $2 AND `+isEnding+`
		ORDER BY expires_at LIMIT $3`, place.Project, place.Live, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[EndingKey])
	if err != nil {
		return nil, fmt.Errorf("list keys that end: %w", postgres.Translate(err))
	}
	return list, nil
}

// CountEndingKeys counts the keys of all projects that end within so many days and have
// no replacement.
func CountEndingKeys(ctx context.Context, db postgres.DB, days int) (int, error) {
	var n int
	if err := db.QueryRow(ctx, `SELECT count(*) FROM api_keys WHERE `+isEnding+` AND expires_at < now() + make_interval(days => $1)`, days).Scan(&n); err != nil {
		return 0, fmt.Errorf("count keys that end: %w", postgres.Translate(err))
	}
	return n, nil
}

package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

const (
	// maxFailures in a row begin a lock of 30 seconds, which each further failure
	// doubles, up to an hour.
	maxFailures = 5
	// failuresKept is longer than the longest lock.
	failuresKept = 2 * time.Hour
	// oldDropped is how many old rows one failure or single use removes at most, so
	// that they go faster than they come.
	oldDropped = 100
)

// lockInterval is the SQL of the lock that a number of failures leads to, or null.
func lockInterval(failures string) string {
	return fmt.Sprintf(`CASE WHEN %[1]s >= %[2]d THEN now() + least(interval '30 seconds' * 2 ^ (least(%[1]s, 20) - %[2]d), interval '1 hour') END`, failures, maxFailures)
}

// FindSignInLock returns for how long one who tries is locked; ok is false if
// they are not.
func FindSignInLock(ctx context.Context, db postgres.DB, by seal.Hash) (left time.Duration, ok bool, err error) {
	var seconds float64
	err = db.QueryRow(ctx, `SELECT extract(epoch FROM locked_until - now())::float8 FROM sign_in_failures
		WHERE tried_by = $1 AND locked_until > now()`, by).Scan(&seconds)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("find lock of a sign-in: %w", postgres.Translate(err))
	}
	return time.Duration(seconds * float64(time.Second)), true, nil
}

// AddSignInFailure counts a failed sign-in. counted is false if a lock began
// meanwhile: then the try was one too many, and is not counted.
func AddSignInFailure(ctx context.Context, tx pgx.Tx, by seal.Hash) (counted bool, err error) {
	if _, err := tx.Exec(ctx, postgres.KeyBound); err != nil {
		return false, fmt.Errorf("count a failed sign-in: %w", postgres.Translate(err))
	}
	_, err = tx.Exec(ctx, `DELETE FROM sign_in_failures WHERE tried_by IN (
		SELECT tried_by FROM sign_in_failures WHERE updated_at < now() - make_interval(secs => $1) ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		failuresKept.Seconds(), oldDropped)
	if err != nil {
		return false, fmt.Errorf("drop old failures of sign-ins: %w", postgres.Translate(err))
	}
	tag, err := tx.Exec(ctx, `INSERT INTO sign_in_failures AS f (tried_by, failures) VALUES ($1, 1)
		ON CONFLICT (tried_by) DO UPDATE SET failures = f.failures + 1, updated_at = now(), locked_until = `+lockInterval("f.failures + 1")+`
		WHERE f.locked_until IS NULL OR f.locked_until <= now()`, by)
	if err != nil {
		return false, fmt.Errorf("count a failed sign-in: %w", postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// DeleteSignInFailures forgets the failures of one who signed in. ok is false if
// they are locked, which a sign-in does not end.
func DeleteSignInFailures(ctx context.Context, tx pgx.Tx, by seal.Hash) (ok bool, err error) {
	var locked bool
	err = tx.QueryRow(ctx, `SELECT coalesce(locked_until > now(), false) FROM sign_in_failures WHERE tried_by = $1 FOR UPDATE`, by).Scan(&locked)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("find failures of a sign-in: %w", postgres.Translate(err))
	case locked:
		return false, nil
	}
	if _, err := tx.Exec(ctx, `DELETE FROM sign_in_failures WHERE tried_by = $1`, by); err != nil {
		return false, fmt.Errorf("forget failures of a sign-in: %w", postgres.Translate(err))
	}
	return true, nil
}

// refusalsWithin is the time for which refusals of a subject are counted together.
const refusalsWithin = time.Hour

// AddRefusal counts a refused sign-in for a subject, and returns how many there were since
// the first of this hour. It drops some old counts.
func AddRefusal(ctx context.Context, tx pgx.Tx, subject seal.Hash) (n int, err error) {
	if _, err := tx.Exec(ctx, postgres.KeyBound); err != nil {
		return 0, fmt.Errorf("count a refused sign-in: %w", postgres.Translate(err))
	}
	_, err = tx.Exec(ctx, `DELETE FROM refused_sign_ins WHERE subject IN (
		SELECT subject FROM refused_sign_ins WHERE began_at < now() - make_interval(secs => $1) ORDER BY began_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		refusalsWithin.Seconds(), oldDropped)
	if err != nil {
		return 0, fmt.Errorf("drop old counts of refused sign-ins: %w", postgres.Translate(err))
	}
	err = tx.QueryRow(ctx, `INSERT INTO refused_sign_ins AS r (subject, refusals) VALUES ($1, 1)
		ON CONFLICT (subject) DO UPDATE SET
			refusals = CASE WHEN r.began_at < now() - make_interval(secs => $2) THEN 1 ELSE least(r.refusals, 1000000000) + 1 END,
			began_at = CASE WHEN r.began_at < now() - make_interval(secs => $2) THEN now() ELSE r.began_at END
		RETURNING refusals`, subject, refusalsWithin.Seconds()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count a refused sign-in: %w", postgres.Translate(err))
	}
	return n, nil
}

// InsertSingleUse records that something was used, and drops some expired records.
// first is false if it was used before.
func InsertSingleUse(ctx context.Context, tx pgx.Tx, digest []byte, lasts time.Duration) (first bool, err error) {
	_, err = tx.Exec(ctx, `DELETE FROM single_uses WHERE digest IN (
		SELECT digest FROM single_uses WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`, oldDropped)
	if err != nil {
		return false, fmt.Errorf("drop old single uses: %w", postgres.Translate(err))
	}
	tag, err := tx.Exec(ctx, `INSERT INTO single_uses (digest, expires_at) VALUES ($1, now() + make_interval(secs => $2)) ON CONFLICT DO NOTHING`,
		digest, lasts.Seconds())
	if err != nil {
		return false, fmt.Errorf("record a single use: %w", postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

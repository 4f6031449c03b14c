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

// TOTP is an account's second factor, as stored.
type TOTP struct {
	Secret   []byte        `db:"secret"` // sealed
	LastStep int64         `db:"last_step"`
	Step     int64         `db:"step"`   // of now, by the database's clock
	Locked   time.Duration `db:"locked"` // for how long it takes no code yet
}

// totpStep is the seconds of a step (RFC 6238).
const totpStep = 30

// LockTOTP returns an account's second factor and locks it; ok is false if it
// has none.
func LockTOTP(ctx context.Context, tx pgx.Tx, id invite.StaffID) (t TOTP, ok bool, err error) {
	var locked float64
	err = tx.QueryRow(ctx, fmt.Sprintf(`SELECT secret, last_step, floor(extract(epoch FROM now()) / %d)::bigint,
		coalesce(greatest(extract(epoch FROM locked_until - now()), 0), 0)::float8 FROM staff_totp WHERE staff_id = $1 FOR UPDATE`, totpStep), id).
		Scan(&t.Secret, &t.LastStep, &t.Step, &locked)
	if errors.Is(err, pgx.ErrNoRows) {
		return TOTP{}, false, nil
	}
	if err != nil {
		return TOTP{}, false, fmt.Errorf("lock second factor of staff %s: %w", id, postgres.Translate(err))
	}
	t.Locked = time.Duration(locked * float64(time.Second))
	return t, true, nil
}

// HasTOTP reports whether an account has a second factor.
func HasTOTP(ctx context.Context, db postgres.DB, id invite.StaffID) (ok bool, err error) {
	if err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM staff_totp WHERE staff_id = $1)`, id).Scan(&ok); err != nil {
		return false, fmt.Errorf("find second factor of staff %s: %w", id, postgres.Translate(err))
	}
	return ok, nil
}

// TOTPStep returns the step of a time.
func TOTPStep(t time.Time) int64 { return t.Unix() / totpStep }

// InsertTOTP stores a second factor; false means that the account has one.
func InsertTOTP(ctx context.Context, tx pgx.Tx, id invite.StaffID, sealed []byte, step int64) (bool, error) {
	tag, err := tx.Exec(ctx, `INSERT INTO staff_totp (staff_id, secret, last_step) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, id, sealed, step)
	if err != nil {
		return false, fmt.Errorf("insert second factor of staff %s: %w", id, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// SetTOTPStep records the last code taken, and forgets earlier failures.
func SetTOTPStep(ctx context.Context, tx pgx.Tx, id invite.StaffID, step int64) error {
	_, err := tx.Exec(ctx, `UPDATE staff_totp SET last_step = greatest(last_step, $2), failures = 0, locked_until = NULL WHERE staff_id = $1`, id, step)
	if err != nil {
		return fmt.Errorf("record a code of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// AddTOTPFailure counts a wrong code. Only a person with the password can bring
// one, so it locks the account's codes for all.
func AddTOTPFailure(ctx context.Context, tx pgx.Tx, id invite.StaffID) error {
	_, err := tx.Exec(ctx, `UPDATE staff_totp SET failures = failures + 1, locked_until = `+lockInterval("failures + 1")+` WHERE staff_id = $1`, id)
	if err != nil {
		return fmt.Errorf("count a wrong code of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// DeleteTOTP removes an account's second factor with its recovery codes; false
// means that it had none.
func DeleteTOTP(ctx context.Context, tx pgx.Tx, id invite.StaffID) (bool, error) {
	_, err := tx.Exec(ctx, `DELETE FROM staff_recovery_codes WHERE staff_id = $1`, id)
	if err != nil {
		return false, fmt.Errorf("delete recovery codes of staff %s: %w", id, postgres.Translate(err))
	}
	tag, err := tx.Exec(ctx, `DELETE FROM staff_totp WHERE staff_id = $1`, id)
	if err != nil {
		return false, fmt.Errorf("delete second factor of staff %s: %w", id, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// SetFactorReset records that an account's second factor is reset: tickets of sign-ins that
// began before set up no other one.
func SetFactorReset(ctx context.Context, tx pgx.Tx, id invite.StaffID) error {
	// The statement's time: of a transaction that waited for the account's row, now() may be
	// before a ticket that is to be void.
	if _, err := tx.Exec(ctx, `UPDATE staff SET factor_reset_at = clock_timestamp() WHERE id = $1`, id); err != nil {
		return fmt.Errorf("record the reset of a second factor of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// ReplaceRecoveryCodes stores the digests of an account's recovery codes in place of
// those it had.
func ReplaceRecoveryCodes(ctx context.Context, tx pgx.Tx, id invite.StaffID, digests [][]byte) error {
	_, err := tx.Exec(ctx, `DELETE FROM staff_recovery_codes WHERE staff_id = $1`, id)
	if err == nil {
		_, err = tx.Exec(ctx, `INSERT INTO staff_recovery_codes (staff_id, digest) SELECT $1, unnest($2::bytea[])`, id, digests)
	}
	if err != nil {
		return fmt.Errorf("replace recovery codes of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetRecoveryCodeUsed uses a recovery code up; false means that it is unknown or
// used.
func SetRecoveryCodeUsed(ctx context.Context, tx pgx.Tx, id invite.StaffID, digest []byte) (bool, error) {
	tag, err := tx.Exec(ctx, `UPDATE staff_recovery_codes SET used_at = now() WHERE staff_id = $1 AND digest = $2 AND used_at IS NULL`, id, digest)
	if err != nil {
		return false, fmt.Errorf("use a recovery code of staff %s: %w", id, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// CountRecoveryCodes returns how many recovery codes of an account are unused.
func CountRecoveryCodes(ctx context.Context, db postgres.DB, id invite.StaffID) (n int, err error) {
	if err := db.QueryRow(ctx, `SELECT count(*) FROM staff_recovery_codes WHERE staff_id = $1 AND used_at IS NULL`, id).Scan(&n); err != nil {
		return 0, fmt.Errorf("count recovery codes of staff %s: %w", id, postgres.Translate(err))
	}
	return n, nil
}

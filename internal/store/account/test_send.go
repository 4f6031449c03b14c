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

// testSendsLast is how long the result of a test send is kept; limits reach no further
// back.
const testSendsLast = 24 * time.Hour

// TestSend is a message that a member of staff sent to their own address.
type TestSend struct {
	ID       invite.TestSendID `db:"id"`
	StaffID  invite.StaffID    `db:"staff_id"`
	Form     []byte            `db:"form"` // digest of the key of the form that was posted
	Provider string            `db:"provider"`
	// Outcome is accepted, refused, not_sent or unknown; empty while the provider is called,
	// or where the process ended in between.
	Outcome string        `db:"outcome"`
	Reason  invite.Reason `db:"reason"`
}

// FindTestSend returns the test send that a form of a member of staff made.
func FindTestSend(ctx context.Context, db postgres.DB, staff invite.StaffID, form []byte) (t TestSend, found bool, err error) {
	rows, _ := db.Query(ctx, `SELECT id, staff_id, form, provider, outcome, reason FROM test_sends WHERE staff_id = $1 AND form = $2`, staff, form)
	t, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[TestSend])
	if errors.Is(err, pgx.ErrNoRows) {
		return TestSend{}, false, nil
	}
	if err != nil {
		return TestSend{}, false, fmt.Errorf("find test send of staff %s: %w", staff, postgres.Translate(err))
	}
	return t, true, nil
}

// ListTestSendAges returns how long ago the test sends of a member of staff were within the
// last day, the latest first.
func ListTestSendAges(ctx context.Context, db postgres.DB, staff invite.StaffID) ([]time.Duration, error) {
	rows, _ := db.Query(ctx, `SELECT extract(epoch FROM clock_timestamp() - started_at)::float8 FROM test_sends
		WHERE staff_id = $1 AND started_at > clock_timestamp() - make_interval(secs => $2) ORDER BY started_at DESC`, staff, testSendsLast.Seconds())
	ages, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (time.Duration, error) {
		var seconds float64
		err := r.Scan(&seconds)
		return time.Duration(seconds * float64(time.Second)), err
	})
	if err != nil {
		return nil, fmt.Errorf("list test sends of staff %s: %w", staff, postgres.Translate(err))
	}
	return ages, nil
}

// InsertTestSend stores a test send before the provider is called, and deletes the person's
// older ones.
func InsertTestSend(ctx context.Context, tx pgx.Tx, t TestSend) error {
	_, err := tx.Exec(ctx, `DELETE FROM test_sends WHERE staff_id = $1 AND started_at <= clock_timestamp() - make_interval(secs => $2)`, t.StaffID, testSendsLast.Seconds())
	if err == nil {
		_, err = tx.Exec(ctx, `INSERT INTO test_sends (id, staff_id, form, provider) VALUES ($1, $2, $3, $4)`, t.ID, t.StaffID, t.Form, t.Provider)
	}
	if err != nil {
		return fmt.Errorf("insert test send %s: %w", t.ID, postgres.Translate(err))
	}
	return nil
}

// SetTestSendOutcome records the outcome of a test send.
func SetTestSendOutcome(ctx context.Context, db postgres.DB, t TestSend) error {
	_, err := db.Exec(ctx, `UPDATE test_sends SET outcome = $2, reason = $3 WHERE id = $1`, t.ID, t.Outcome, t.Reason)
	if err != nil {
		return fmt.Errorf("record test send %s: %w", t.ID, postgres.Translate(err))
	}
	return nil
}

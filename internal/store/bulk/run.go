package bulk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// SetConfirmed starts a locked draft.
func SetConfirmed(ctx context.Context, tx pgx.Tx, a Act) error {
	return setAct(ctx, tx, a, `UPDATE bulk_acts SET state = 'running', confirmed_at = now(), due_at = now() WHERE project_id = $1 AND livemode = $2 AND id = $3`)
}

// SetStopped stops a locked act: the items that were not begun are over. by is zero for the service.
func SetStopped(ctx context.Context, tx pgx.Tx, a Act, by invite.StaffID) error {
	if err := setAct(ctx, tx, a, `UPDATE bulk_acts SET state = 'stopped', ended_at = now(), stopped_by = $4, due_at = NULL, lease_until = NULL
		WHERE project_id = $1 AND livemode = $2 AND id = $3`, by); err != nil {
		return err
	}
	return setAct(ctx, tx, a, `UPDATE bulk_items SET state = 'stopped', reason = '', address = NULL, over_at = now()
		WHERE project_id = $1 AND livemode = $2 AND bulk_id = $3 AND state = 'waiting'`)
}

func setAct(ctx context.Context, db postgres.DB, a Act, sql string, args ...any) error {
	if _, err := db.Exec(ctx, sql, append([]any{a.Project, a.Live, a.ID}, args...)...); err != nil {
		return fmt.Errorf("set bulk act %s: %w", a.ID, postgres.Translate(err))
	}
	return nil
}

// Claim leases the act that is due the longest. ok is false where none is due.
func Claim(ctx context.Context, db postgres.DB, lease time.Duration) (a Act, ok bool, err error) {
	rows, _ := db.Query(ctx, `UPDATE bulk_acts SET lease_until = now() + make_interval(secs => $1)
		WHERE (project_id, livemode, id) = (SELECT project_id, livemode, id FROM bulk_acts
			WHERE state = 'running' AND due_at <= now() AND (lease_until IS NULL OR lease_until < now())
			ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING `+columns, lease.Seconds())
	a, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Act])
	if errors.Is(err, pgx.ErrNoRows) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("claim a bulk act: %w", postgres.Translate(err))
	}
	return a, true, nil
}

// IsAtWork reports whether the person of an act still has a role in its project that may act.
func IsAtWork(ctx context.Context, db postgres.DB, a Act) (ok bool, err error) {
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM staff s JOIN staff_roles r ON r.staff_id = s.id
		WHERE s.id = $1 AND s.disabled_at IS NULL AND r.project_id IN ($2, '*') AND r.role <> $3)`, a.StaffID, a.Project, string(access.RoleViewer)).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("find the person of bulk act %s: %w", a.ID, postgres.Translate(err))
	}
	return ok, nil
}

// ListDue returns up to n items of an act that wait and are due, in their order.
func ListDue(ctx context.Context, db postgres.DB, a Act, n int) ([]Item, error) {
	rows, _ := db.Query(ctx, `SELECT `+itemColumns+` FROM bulk_items
		WHERE project_id = $1 AND livemode = $2 AND bulk_id = $3 AND state = 'waiting' AND next_at <= now() ORDER BY number LIMIT $4`,
		a.Project, a.Live, a.ID, n)
	return collectItems(rows, a.ID)
}

// SetItemDone ends an item, in the transaction that changes its invite. It reports false
// if the item does not wait any more: another process did it, or the act was stopped.
func SetItemDone(ctx context.Context, tx pgx.Tx, a Act, number int) (bool, error) {
	return setItem(ctx, tx, a, number, `state = 'done', reason = '', address = NULL, over_at = now()`)
}

// SetItemOver ends an item that changed nothing. It reports false as SetItemDone does.
func SetItemOver(ctx context.Context, db postgres.DB, a Act, number int, state ItemState, reason string) (bool, error) {
	return setItem(ctx, db, a, number, `state = $5, reason = $6, address = NULL, over_at = now()`, string(state), reason)
}

// SetItemLater puts an item off, for a reason that will pass.
func SetItemLater(ctx context.Context, db postgres.DB, a Act, number int, reason string, after time.Duration) (bool, error) {
	return setItem(ctx, db, a, number, `reason = $5, next_at = now() + make_interval(secs => $6)`, reason, after.Seconds())
}

func setItem(ctx context.Context, db postgres.DB, a Act, number int, set string, args ...any) (bool, error) {
	tag, err := db.Exec(ctx, `UPDATE bulk_items SET `+set+` WHERE project_id = $1 AND livemode = $2 AND bulk_id = $3 AND number = $4 AND state = 'waiting'`,
		append([]any{a.Project, a.Live, a.ID, number}, args...)...)
	if err != nil {
		return false, fmt.Errorf("set item %d of bulk act %s: %w", number, a.ID, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// Release ends the lease of an act. It is due again with its next item, and finished
// where none waits.
func Release(ctx context.Context, db postgres.DB, a Act) error {
	return setAct(ctx, db, a, `UPDATE bulk_acts SET lease_until = NULL, due_at = w.next_at,
			state = CASE WHEN w.next_at IS NULL THEN 'finished' ELSE state END, ended_at = CASE WHEN w.next_at IS NULL THEN now() END
		FROM (SELECT min(next_at) AS next_at FROM bulk_items WHERE project_id = $1 AND livemode = $2 AND bulk_id = $3 AND state = 'waiting') w
		WHERE project_id = $1 AND livemode = $2 AND id = $3 AND state = 'running'`)
}

// StopAll stops every act, after the database was restored to an earlier time: items that wait in
// it may be done.
func StopAll(ctx context.Context, tx pgx.Tx) error {
	for _, sql := range []string{
		`UPDATE bulk_items i SET state = 'stopped', reason = '', address = NULL, over_at = now()
		FROM bulk_acts a WHERE a.state = 'running'
			AND i.project_id = a.project_id AND i.livemode = a.livemode AND i.bulk_id = a.id AND i.state = 'waiting'`,
		`UPDATE bulk_acts SET state = 'stopped', ended_at = now(), due_at = NULL, lease_until = NULL WHERE state = 'running'`,
		`DELETE FROM bulk_acts WHERE state = 'draft'`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("stop all bulk acts: %w", postgres.Translate(err))
		}
	}
	return nil
}

package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// ReminderDue is an invite with a reminder that may be due.
type ReminderDue struct {
	Due
	Reminders int `db:"reminders"` // that were asked for
	Reminded  int `db:"reminded"`  // that were sent
	// Last is how the latest message stands; nil when there is none.
	Last *invite.DeliveryStatus `db:"last"`
}

// LockReminders locks up to n invites whose reminder is due, in the order of
// their ids, and skips locked ones.
func LockReminders(ctx context.Context, tx pgx.Tx, n int) ([]ReminderDue, error) {
	rows, _ := tx.Query(ctx, `
		SELECT i.id, i.project_id, i.livemode, i.status, i.progress, i.channel, i.content, i.user_hash, i.expires_in_s, i.valid_for_s, i.gives_up_at,
			i.reminders, i.reminded, (SELECT count(*) FROM deliveries WHERE invite_id = i.id) AS messages,
			(SELECT d.status FROM deliveries d WHERE d.invite_id = i.id AND d.kind <> 'passcode' ORDER BY d.number DESC LIMIT 1) AS last, now() AS now
		FROM invites i
		WHERE i.id IN (SELECT id FROM invites WHERE remind_at <= now() ORDER BY remind_at LIMIT $1) AND i.remind_at <= now()
		ORDER BY i.id FOR NO KEY UPDATE OF i SKIP LOCKED`, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[ReminderDue])
	if err != nil {
		return nil, fmt.Errorf("lock due reminders: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetReminder records how many reminders were sent, and plans the next look
// after a while; nil: there is none any more.
func SetReminder(ctx context.Context, tx pgx.Tx, id invite.ID, reminded int, next *time.Duration) error {
	var after *float64
	if next != nil {
		secs := next.Seconds()
		after = &secs
	}
	_, err := tx.Exec(ctx, `UPDATE invites SET reminded = $2, remind_at = now() + make_interval(secs => $3) WHERE id = $1`, id, reminded, after)
	if err != nil {
		return fmt.Errorf("plan the reminder of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

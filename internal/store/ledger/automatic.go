package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// Due is an invite with a due automatic message, a fallback or a reminder.
type Due struct {
	invite.Place

	ID         invite.ID       `db:"id"`
	Status     invite.Status   `db:"status"`
	Progress   invite.Progress `db:"progress"`
	Channel    invite.Channel  `db:"channel"` // of that message
	Content    []byte          `db:"content"` // sealed; nil once erased
	UserHash   seal.Hash       `db:"user_hash"`
	ExpiresInS int32           `db:"expires_in_s"`
	ValidForS  *int32          `db:"valid_for_s"`
	GivesUpAt  time.Time       `db:"gives_up_at"` // the invite's end, or until when its link is waited for
	Messages   int             `db:"messages"`    // deliveries so far
	Now        time.Time       `db:"now"`
}

// LockFallbacks locks up to n invites whose fallback is due, in the order of
// their ids, and skips locked ones.
func LockFallbacks(ctx context.Context, tx pgx.Tx, n int) ([]Due, error) {
	rows, _ := tx.Query(ctx, `
		SELECT i.id, i.project_id, i.livemode, i.status, i.progress, i.fallback_channel AS channel, i.content, i.user_hash, i.expires_in_s, i.valid_for_s, i.gives_up_at,
			(SELECT count(*) FROM deliveries WHERE invite_id = i.id) AS messages, now() AS now
		FROM invites i
		WHERE i.id IN (SELECT id FROM invites WHERE fallback_at <= now() ORDER BY fallback_at LIMIT $1) AND i.fallback_at <= now()
		ORDER BY i.id FOR NO KEY UPDATE OF i SKIP LOCKED`, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Due])
	if err != nil {
		return nil, fmt.Errorf("lock due fallbacks: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetFallbackLater looks at a fallback again after the given time.
func SetFallbackLater(ctx context.Context, tx pgx.Tx, id invite.ID, after time.Duration) error {
	_, err := tx.Exec(ctx, `UPDATE invites SET fallback_at = now() + make_interval(secs => $2) WHERE id = $1`, id, after.Seconds())
	if err != nil {
		return fmt.Errorf("put off the fallback of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

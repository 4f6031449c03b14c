package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// ReconnectDue is an invite whose account is unhealthy and is to be connected again.
type ReconnectDue struct {
	Connection
	CreatedBy invite.KeyID `db:"created_by"` // of the invite
}

// LockReconnect locks one invite for whose account an invite to connect it again is
// due; ok is false when there is none that no other process has. SetReconnectTaken
// tells whether it is still due.
func LockReconnect(ctx context.Context, tx pgx.Tx) (d ReconnectDue, ok bool, err error) {
	rows, _ := tx.Query(ctx, `
		SELECT `+connectionColumns+`, i.created_by FROM connections c JOIN invites i ON i.id = c.invite_id
		WHERE c.reconnect_at <= now() AND c.status = 'unhealthy' ORDER BY c.reconnect_at LIMIT 1 FOR NO KEY UPDATE OF i SKIP LOCKED`)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[ReconnectDue])
	if err != nil {
		return d, false, fmt.Errorf("lock a due reconnection: %w", postgres.Translate(err))
	}
	if len(list) == 0 {
		return d, false, nil
	}
	return list[0], true, nil
}

// SetReconnectTaken marks that the invite of an unhealthy account is made, or is not
// to be, and reports whether it was still due.
func SetReconnectTaken(ctx context.Context, tx pgx.Tx, c Connection) (bool, error) {
	tag, err := tx.Exec(ctx, `
		UPDATE connections c SET reconnect_at = NULL
		WHERE `+connectionKey+` AND c.invite_id = $5 AND c.status = 'unhealthy' AND c.reconnect_at <= now()`,
		c.Project, c.Live, c.Environment, c.AccountID, c.InviteID)
	if err != nil {
		return false, fmt.Errorf("take the reconnection of invite %s: %w", c.InviteID, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// SetReconnectLater makes the invite of an unhealthy account due after d.
func SetReconnectLater(ctx context.Context, tx pgx.Tx, c Connection, d time.Duration) error {
	_, err := tx.Exec(ctx, `UPDATE connections c SET reconnect_at = now() + make_interval(secs => $5) WHERE `+connectionKey+` AND c.status = 'unhealthy'`,
		c.Project, c.Live, c.Environment, c.AccountID, d.Seconds())
	if err != nil {
		return fmt.Errorf("put off the reconnection of invite %s: %w", c.InviteID, postgres.Translate(err))
	}
	return nil
}

// CountReconnects counts the invites to reconnect that an external user got within a
// while, over all apps. LockPerson keeps others from making more meanwhile.
func CountReconnects(ctx context.Context, tx pgx.Tx, box *seal.Box, place invite.Place, externalUserID string, while time.Duration) (int, error) {
	var n int
	err := tx.QueryRow(ctx, `
		SELECT count(*) FROM (SELECT kind, created_at, project_id, livemode FROM invites WHERE user_hash = ANY($1) OFFSET 0) i
		WHERE i.kind = 'reconnect' AND i.created_at > now() - make_interval(secs => $2) AND i.project_id = $3 AND i.livemode = $4`,
		userid.Hashes(box, place, externalUserID), while.Seconds(), place.Project, place.Live).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count reconnections of a user: %w", postgres.Translate(err))
	}
	return n, nil
}

package find

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// unsent finds the open invites of a key of which no message was sent:
// scheduled, waiting for a link, or queued. Both look-ups use partial
// indexes, so they read neither sent nor ended invites.
const unsent = `
	FROM invites i
	WHERE i.id IN (
			SELECT id FROM invites WHERE project_id = $1 AND livemode = $2 AND status IN ('scheduled', 'pending')
			UNION
			SELECT invite_id FROM deliveries WHERE next_at IS NOT NULL AND status = 'queued' AND project_id = $1 AND livemode = $2)
		AND i.created_by = $3 AND i.status IN ('scheduled', 'pending', 'active')
		AND NOT EXISTS (SELECT FROM deliveries d WHERE d.invite_id = i.id AND d.status <> 'queued')`

// ListUnsent lists up to n unsent invites of a key, in the order of their ids, from after on.
func ListUnsent(ctx context.Context, db postgres.DB, place invite.Place, key invite.KeyID, after invite.ID, n int) ([]invite.ID, error) {
	rows, _ := db.Query(ctx, `SELECT i.id`+unsent+` AND ($4::uuid IS NULL OR i.id > $4) ORDER BY i.id LIMIT $5`, place.Project, place.Live, key, after, n)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[invite.ID])
	if err != nil {
		return nil, fmt.Errorf("list unsent invites of key %s: %w", key, postgres.Translate(err))
	}
	return ids, nil
}

// CountUnsent counts the unsent invites of a key.
func CountUnsent(ctx context.Context, db postgres.DB, place invite.Place, key invite.KeyID) (int, error) {
	var n int
	if err := db.QueryRow(ctx, `SELECT count(*)`+unsent, place.Project, place.Live, key).Scan(&n); err != nil {
		return 0, fmt.Errorf("count unsent invites of key %s: %w", key, postgres.Translate(err))
	}
	return n, nil
}

package find

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Opened reads when invites were first opened by a person; those that were not are
// left out. Acts of scanners and preview robots do not count.
func Opened(ctx context.Context, db postgres.DB, ids []invite.ID) (map[invite.ID]time.Time, error) {
	opened := make(map[invite.ID]time.Time, len(ids))
	rows, _ := db.Query(ctx, `SELECT invite_id, min(occurred_at) FROM events
		WHERE invite_id = ANY($1) AND (type = $2 OR type = ANY($3) AND coalesce(data ->> 'looks_like', $4) = $4)
		GROUP BY invite_id`, ids, invite.EventConnectFailed, []invite.EventType{invite.EventVisited, invite.EventVerifyRequested, invite.EventContinued},
		invite.LooksLikePerson)
	var id invite.ID
	var at time.Time
	_, err := pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		opened[id] = at
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read when %d invites were opened: %w", len(ids), postgres.Translate(err))
	}
	return opened, nil
}

package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Silence is how long a kind of message may go without any word on its arrival.
type Silence struct {
	Livemode bool
	Channel  invite.Channel
	After    time.Duration
}

// Silent is a message that was taken, and of which nothing was heard for long.
type Silent struct {
	InviteID   invite.ID         `db:"invite_id"`
	DeliveryID invite.DeliveryID `db:"id"`
}

// ListSilent returns up to n messages of each kind whose silence has lasted.
// Nothing is locked: the caller looks again under the invites' locks.
func ListSilent(ctx context.Context, db postgres.DB, kinds []Silence, n int) ([]Silent, error) {
	modes, channels, after := make([]bool, len(kinds)), make([]string, len(kinds)), make([]float64, len(kinds))
	for i, k := range kinds {
		modes[i], channels[i], after[i] = k.Livemode, string(k.Channel), k.After.Seconds()
	}
	rows, _ := db.Query(ctx, `
		SELECT d.invite_id, d.id
		FROM unnest($1::boolean[], $2::text[], $3::float8[]) AS k(livemode, channel, after)
		CROSS JOIN LATERAL (
			SELECT invite_id, id FROM deliveries
			WHERE status IN ('accepted', 'sent') AND reason = '' AND livemode = k.livemode AND channel = k.channel
				AND updated_at <= now() - make_interval(secs => k.after)
			ORDER BY updated_at LIMIT $4) d`, modes, channels, after, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Silent])
	if err != nil {
		return nil, fmt.Errorf("list silent deliveries: %w", postgres.Translate(err))
	}
	return list, nil
}

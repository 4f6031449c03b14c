package find

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// ReasonCount is how many invites failed for a reason.
type ReasonCount struct {
	Reason invite.Reason `db:"reason"`
	N      int           `db:"n"`
	Least  bool          `db:"least"` // only the latest failures were counted
}

// ReasonCap is how many failures are looked at for their reasons: each costs two look-ups.
const ReasonCap = 150

// CountReasons counts the invites that failed since a time by the reason of their latest
// message, the most frequent first. The filters FailedAfter and Reason list the same
// invites. Of more than ReasonCap failures the latest are counted, and least is true: there
// can be more of each.
func CountReasons(ctx context.Context, db postgres.DB, place invite.Place, since time.Time) (list []ReasonCount, least bool, err error) {
	rows, _ := db.Query(ctx, fmt.Sprintf(`
		WITH latest AS MATERIALIZED (
			SELECT invite_id FROM events e WHERE project_id = $1 AND livemode = $2 AND type IN (%s) AND occurred_at > $3
				AND NOT EXISTS (SELECT FROM deliveries d WHERE d.invite_id = e.invite_id AND d.id = e.delivery_id AND d.kind = 'passcode')
			ORDER BY occurred_at DESC LIMIT %d
		)
		SELECT reason, count(*)::int AS n, (SELECT count(*) FROM latest) > %d AS least FROM (
			SELECT coalesce((SELECT reason FROM deliveries WHERE invite_id = one.id AND kind <> 'passcode' ORDER BY number DESC LIMIT 1), '') AS reason
			FROM (SELECT DISTINCT invite_id AS id FROM latest) one
			CROSS JOIN LATERAL (SELECT status FROM invites WHERE id = one.id AND project_id = $1 AND livemode = $2 OFFSET 0) i WHERE i.status = $4
		) f GROUP BY reason ORDER BY n DESC, reason`, notArrived, ReasonCap+1, ReasonCap), place.Project, place.Live, since, invite.Failed)
	list, err = pgx.CollectRows(rows, pgx.RowToStructByName[ReasonCount])
	if err != nil {
		return nil, false, fmt.Errorf("count reasons of failures: %w", postgres.Translate(err))
	}
	return list, len(list) > 0 && list[0].Least, nil
}

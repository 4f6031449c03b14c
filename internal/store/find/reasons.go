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
}

// CountReasons counts the invites that failed since a time by the reason of their latest
// message, the most frequent first. The filters FailedAfter and Reason list the same
// invites. Of more than CountCap the newest are counted, and least is true: there can be
// more of each.
func CountReasons(ctx context.Context, db postgres.DB, place invite.Place, since time.Time) (list []ReasonCount, least bool, err error) {
	l := listing{f: Filter{Place: place, FailedAfter: since}}
	source, key := l.source()
	rows, _ := db.Query(ctx, fmt.Sprintf(`
		SELECT reason, count(*)::int AS n FROM (
			SELECT coalesce((SELECT reason FROM deliveries WHERE invite_id = i.id AND kind <> 'passcode' ORDER BY number DESC LIMIT 1), '') AS reason
			FROM %s WHERE %s ORDER BY %s DESC LIMIT %d
		) f GROUP BY reason ORDER BY n DESC, reason`, source, l.where(), key, CountCap+1), l.args...)
	list, err = pgx.CollectRows(rows, pgx.RowToStructByName[ReasonCount])
	if err != nil {
		return nil, false, fmt.Errorf("count reasons of failures: %w", postgres.Translate(err))
	}
	total := 0
	for _, r := range list {
		total += r.N
	}
	return list, total > CountCap, nil
}

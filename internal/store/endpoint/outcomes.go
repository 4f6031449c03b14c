package endpoint

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Bounds of ListOutcomes.
const (
	endpointsAsked = 10 // the newest that are not disabled
	postsAsked     = 20 // the latest of each stretch and endpoint
)

// Outcomes are posts of one stretch of time.
type Outcomes struct {
	Taken  int `db:"taken"` // answered 2xx
	Failed int `db:"failed"`
}

// ListOutcomes returns how the latest posts to the endpoints of a project and mode went in
// each stretch between two successive ids. The cost does not grow with the traffic: of a
// stretch the latest posts are judged. ok is false where there is no endpoint.
func ListOutcomes(ctx context.Context, db postgres.DB, at invite.Place, bounds []invite.EventID) (list []Outcomes, ok bool, err error) {
	if len(bounds) < 2 {
		return nil, false, nil
	}
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM webhook_endpoints WHERE project_id = $1 AND livemode = $2 AND disabled_at IS NULL)`, at.Project, at.Live).Scan(&ok)
	if err != nil || !ok {
		return nil, false, postgres.Translate(err)
	}
	rows, _ := db.Query(ctx, fmt.Sprintf(`
		WITH asked AS MATERIALIZED (
			SELECT id FROM webhook_endpoints WHERE project_id = $1 AND livemode = $2 AND disabled_at IS NULL ORDER BY id DESC LIMIT %d
		)
		SELECT p.taken, p.failed FROM unnest($3::uuid[], $4::uuid[]) WITH ORDINALITY AS s(low, high, n) CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE a.status BETWEEN 200 AND 299)::int AS taken, count(*) FILTER (WHERE a.status NOT BETWEEN 200 AND 299)::int AS failed
			FROM asked w CROSS JOIN LATERAL (
				SELECT status FROM webhook_attempts WHERE endpoint_id = w.id AND id >= s.low AND id < s.high ORDER BY id DESC LIMIT %d
			) a
		) p ORDER BY s.n`, endpointsAsked, postsAsked), at.Project, at.Live, bounds[:len(bounds)-1], bounds[1:])
	list, err = pgx.CollectRows(rows, pgx.RowToStructByName[Outcomes])
	if err != nil {
		return nil, true, fmt.Errorf("list outcomes of posts of %s: %w", at.Project, postgres.Translate(err))
	}
	return list, true, nil
}

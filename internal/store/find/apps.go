package find

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// appsFrom is how many of the newest invites are looked through for their apps.
const appsFrom = 500

// Apps are those that the newest invites of a project and mode were for, the
// most frequent first.
func Apps(ctx context.Context, db postgres.DB, place invite.Place) ([]invite.App, error) {
	rows, _ := db.Query(ctx, `
		SELECT app_slug, max(app_name) FROM (
			SELECT app_slug, app_name FROM invites WHERE project_id = $1 AND livemode = $2 ORDER BY id DESC LIMIT $3
		) latest GROUP BY app_slug ORDER BY count(*) DESC, app_slug`, place.Project, place.Live, appsFrom)
	apps, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a invite.App, err error) {
		err = row.Scan(&a.Slug, &a.Name)
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("list apps of project %s: %w", place.Project, postgres.Translate(err))
	}
	return apps, nil
}

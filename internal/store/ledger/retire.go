package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
)

// ListEndedProjects names the projects that have invites that ended, also those
// that are not configured any more. It leaps from one to the next in the index.
func ListEndedProjects(ctx context.Context, db postgres.DB) ([]string, error) {
	rows, _ := db.Query(ctx, `
		WITH RECURSIVE p AS (
			(SELECT project_id FROM invites WHERE wiped_at IS NOT NULL ORDER BY project_id LIMIT 1)
			UNION ALL
			SELECT (SELECT i.project_id FROM invites i WHERE i.wiped_at IS NOT NULL AND i.project_id > p.project_id ORDER BY i.project_id LIMIT 1)
			FROM p WHERE p.project_id IS NOT NULL
		) SELECT project_id FROM p WHERE project_id IS NOT NULL`)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list projects with ended invites: %w", postgres.Translate(err))
	}
	return list, nil
}

// deleteEnded is one batch of retention. Locked invites are skipped and come
// in the next round; all rows of an invite are keyed by it.
const deleteEnded = `
	WITH old AS (
		SELECT id FROM invites WHERE project_id = $1 AND wiped_at < now() - make_interval(secs => $2)
		ORDER BY wiped_at LIMIT $3 FOR UPDATE SKIP LOCKED
	), reports AS (
		DELETE FROM callbacks WHERE invite_id = ANY(ARRAY(SELECT id FROM old))
	)
	DELETE FROM invites WHERE id = ANY(ARRAY(SELECT id FROM old))`

// DeleteEnded deletes up to n invites of a project that ended longer than keep
// ago, with all their rows. It returns their number.
func DeleteEnded(ctx context.Context, db postgres.DB, project string, keep time.Duration, n int) (int, error) {
	tag, err := db.Exec(ctx, deleteEnded, project, keep.Seconds(), n)
	if err != nil {
		return 0, fmt.Errorf("delete ended invites: %w", postgres.Translate(err))
	}
	return int(tag.RowsAffected()), nil
}

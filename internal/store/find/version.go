package find

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Versions reads the present versions of invites; those that are gone are left out.
func Versions(ctx context.Context, db postgres.DB, ids []invite.ID) (map[invite.ID]int, error) {
	versions := make(map[invite.ID]int, len(ids))
	rows, _ := db.Query(ctx, `SELECT id, seq FROM invites WHERE id = ANY($1)`, ids)
	var id invite.ID
	var version int
	_, err := pgx.ForEachRow(rows, []any{&id, &version}, func() error {
		versions[id] = version
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read versions of %d invites: %w", len(ids), postgres.Translate(err))
	}
	return versions, nil
}

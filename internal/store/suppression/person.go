package suppression

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// ListPerson returns the blocks of a scope's project, lifted ones too, that
// came from the invites or are about the addresses that keys are of.
func ListPerson(ctx context.Context, db postgres.DB, s Scope, ids []invite.ID, keys []seal.Hash) ([]Row, error) {
	rows, _ := db.Query(ctx, `
		SELECT `+rowColumns+` FROM suppressions WHERE project_id = $1 AND livemode = $2 AND id IN (
			SELECT id FROM suppressions WHERE invite_id = ANY($3)
			UNION SELECT id FROM suppressions WHERE hash = ANY($4) AND lifted_at IS NULL
			UNION SELECT id FROM suppressions WHERE hash = ANY($4) AND lifted_at IS NOT NULL)
		ORDER BY id`, s.Project, s.Live, ids, keys)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Row])
	if err != nil {
		return nil, fmt.Errorf("list suppressions of a person: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetErased erases addresses and words of the suppressions that ListPerson
// finds. Their hashes remain. It returns their number.
func SetErased(ctx context.Context, tx pgx.Tx, s Scope, ids []invite.ID, keys []seal.Hash) (int, error) {
	list, err := ListPerson(ctx, tx, s, ids, keys)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	found := make([]invite.SuppressionID, len(list))
	for i, r := range list {
		found[i] = r.ID
	}
	if _, err := tx.Exec(ctx, `UPDATE suppressions SET address = NULL, note = NULL, lift_note = NULL WHERE id = ANY($1)`, found); err != nil {
		return 0, fmt.Errorf("erase %d suppressions: %w", len(found), postgres.Translate(err))
	}
	return len(found), nil
}

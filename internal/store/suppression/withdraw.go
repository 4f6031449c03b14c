package suppression

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// SetWithdrawn lifts the block under one of the keys that the page of an invite added since a
// time, and no other one of the address: its recipient took the report back.
func SetWithdrawn(ctx context.Context, tx pgx.Tx, keys []seal.Hash, id invite.ID, since time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE suppressions SET lifted_at = now(), lifted_by = 'recipient'
		WHERE hash = ANY($1) AND lifted_at IS NULL AND kind = $2 AND source = $3 AND invite_id = $4 AND created_at >= $5`,
		keys, string(invite.NotMe), FromPage, id, since)
	if err != nil {
		return fmt.Errorf("lift the suppression of a withdrawn report: %w", postgres.Translate(err))
	}
	return nil
}

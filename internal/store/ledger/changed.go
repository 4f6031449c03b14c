package ledger

import (
	"context"
	"fmt"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// ChangedSince reports whether an event after a version changed an invite; mere
// views do not count.
func ChangedSince(ctx context.Context, db postgres.DB, id invite.ID, version int) (bool, error) {
	var changed bool
	err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM events WHERE invite_id = $1 AND seq > $2 AND type <> ALL ($3))`,
		id, version, []string{string(invite.EventFetched), string(invite.EventCopied)}).Scan(&changed)
	if err != nil {
		return false, fmt.Errorf("look for changes of invite %s: %w", id, postgres.Translate(err))
	}
	return changed, nil
}

package ledger

import (
	"context"
	"fmt"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// ChangedSince reports whether an event after a version changed an invite, or a
// message of it is being sent; mere views do not count. Beginning to send is no
// event. A call lasts seconds, so an attempt that is open for longer does not count.
func ChangedSince(ctx context.Context, db postgres.DB, id invite.ID, version int) (bool, error) {
	var changed bool
	err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM events WHERE invite_id = $1 AND seq > $2 AND type <> ALL ($3))
		OR EXISTS (SELECT FROM attempts WHERE invite_id = $1 AND after_seq >= $2 AND outcome = 'open' AND started_at > now() - interval '15 seconds')`,
		id, version, []string{string(invite.EventFetched), string(invite.EventCopied)}).Scan(&changed)
	if err != nil {
		return false, fmt.Errorf("look for changes of invite %s: %w", id, postgres.Translate(err))
	}
	return changed, nil
}

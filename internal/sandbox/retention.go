package sandbox

import (
	"context"
	"fmt"
	"time"
)

// forgetAtOnce bounds one statement of retention.
const forgetAtOnce = 1000

// forget deletes expired rows: messages with their events and people, dead
// tokens, old scripts, webhooks without a message. Accounts stay: a connection
// made in test mode does not expire.
func (s *Sandbox) forget(ctx context.Context) (n int, err error) {
	now := s.now()
	for _, q := range []struct {
		sql    string
		before time.Time
	}{
		{`DELETE FROM sandbox.messages WHERE ctid = ANY(ARRAY(SELECT ctid FROM sandbox.messages WHERE created_at < $1 ORDER BY id LIMIT $2))`, now.Add(-s.keep)},
		{`DELETE FROM sandbox.events WHERE ctid = ANY(ARRAY(SELECT ctid FROM sandbox.events WHERE message_id IS NULL AND happened_at < $1 LIMIT $2))`, now.Add(-s.keep)},
		// Posted by an earlier version, which kept them.
		{`UPDATE sandbox.events SET payload = NULL WHERE ctid = ANY(ARRAY(SELECT ctid FROM sandbox.events
			WHERE message_id IS NULL AND due_at IS NULL AND payload IS NOT NULL AND happened_at < $1 LIMIT $2))`, now},
		{`DELETE FROM sandbox.connect_tokens WHERE ctid = ANY(ARRAY(SELECT ctid FROM sandbox.connect_tokens WHERE expires_at < $1 LIMIT $2))`, now.Add(-24 * time.Hour)},
		{`DELETE FROM sandbox.scripts WHERE ctid = ANY(ARRAY(SELECT ctid FROM sandbox.scripts WHERE since < $1 LIMIT $2))`, now.Add(-s.keep)},
	} {
		tag, err := s.db.Exec(ctx, q.sql, q.before, forgetAtOnce)
		if err != nil {
			return n, fmt.Errorf("forget old sandbox rows: %w", err)
		}
		n += int(tag.RowsAffected())
	}
	return n, nil
}

package sandbox

import (
	"context"
	"fmt"
)

// Erase erases the messages of invites, and ends the pending steps of
// scripted people. The rows stay, empty, because they are counted.
func (s *Sandbox) Erase(ctx context.Context, inviteIDs []string) error {
	_, err := s.db.Exec(ctx, `
		WITH gone AS (
			UPDATE sandbox.messages SET content = NULL, deleted_at = coalesce(deleted_at, $2), due_at = NULL
			WHERE invite_id = ANY($1) RETURNING id
		), walks AS (
			DELETE FROM sandbox.journeys WHERE message_id IN (SELECT id FROM gone)
		)
		UPDATE sandbox.events SET payload = NULL, due_at = NULL WHERE message_id IN (SELECT id FROM gone)`, inviteIDs, s.now())
	if err != nil {
		return fmt.Errorf("erase the sandbox's messages of %d invites: %w", len(inviteIDs), err)
	}
	return nil
}

package sandbox

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Erase erases the messages of invites, ends the pending steps of scripted people, and
// deletes connect tokens, by their digests, and accounts. The rows of messages stay, empty,
// because they are counted; in place of the hash of an address is that of none.
func (s *Sandbox) Erase(ctx context.Context, inviteIDs []string, tokens [][]byte, accounts []string) error {
	ids := make([]uuid.UUID, 0, len(accounts))
	for _, a := range accounts {
		if id, ok := parseAccountID(a); ok {
			ids = append(ids, id)
		}
	}
	var b pgx.Batch
	b.Queue(`
		WITH gone AS (
			UPDATE sandbox.messages SET content = NULL, to_hash = $3, deleted_at = coalesce(deleted_at, $2), due_at = NULL
			WHERE invite_id = ANY($1) RETURNING id
		), walks AS (
			DELETE FROM sandbox.journeys WHERE message_id IN (SELECT id FROM gone)
		)
		UPDATE sandbox.events SET payload = NULL, due_at = NULL WHERE message_id IN (SELECT id FROM gone)`, inviteIDs, s.now(), s.box.Hash(addressHash, ""))
	b.Queue(`DELETE FROM sandbox.connect_tokens WHERE digest = ANY($1)`, tokens)
	b.Queue(`DELETE FROM sandbox.accounts WHERE id = ANY($1)`, ids)
	if err := s.db.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("erase what the sandbox keeps of %d invites: %w", len(inviteIDs), err)
	}
	return nil
}

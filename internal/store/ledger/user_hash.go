package ledger

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// UnhashedUser is an invite whose user has no hash under the primary key.
type UnhashedUser struct {
	userid.Columns
	invite.Place

	ID invite.ID `db:"id"`
}

// LockUnhashedUsers locks up to n invites whose user has no hash under the key
// with this id: those without a hash first, among them the open ones, because
// each creation of an invite may compare their users; then those hashed under
// another key. Invites that others hold, and those in but, are skipped.
func LockUnhashedUsers(ctx context.Context, tx pgx.Tx, key uint32, but []invite.ID, n int) ([]UnhashedUser, error) {
	lo := binary.BigEndian.AppendUint32(nil, key)
	var hi []byte // null, which no hash is above, for the last key id
	if key+1 != 0 {
		hi = binary.BigEndian.AppendUint32(nil, key+1)
	}
	for _, q := range []struct {
		where string
		args  []any
	}{
		{`user_hash IS NULL AND wiped_at IS NULL`, nil},
		{`user_hash IS NULL`, nil},
		{`user_hash < $3`, []any{lo}},
		{`user_hash >= $3`, []any{hi}},
	} {
		rows, _ := tx.Query(ctx, `SELECT id, project_id, livemode, external_user_id, sealed_user_id
			FROM invites WHERE `+q.where+` AND id <> ALL($2) LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`, append([]any{n, but}, q.args...)...)
		list, err := pgx.CollectRows(rows, pgx.RowToStructByName[UnhashedUser])
		if err != nil {
			return nil, fmt.Errorf("lock invites without a user's hash: %w", postgres.Translate(err))
		}
		if len(list) > 0 {
			return list, nil
		}
	}
	return nil, nil
}

// SetUserHashes writes the hashes of locked invites, and the placeholders of
// sealed ones, which are made of them.
func SetUserHashes(ctx context.Context, tx pgx.Tx, ids []invite.ID, hashes []seal.Hash) error {
	placeholders := make([]string, len(hashes))
	for i, h := range hashes {
		placeholders[i] = userid.Placeholder(h)
	}
	_, err := tx.Exec(ctx, `
		UPDATE invites i SET user_hash = h.hash,
			external_user_id = CASE WHEN i.sealed_user_id IS NULL THEN i.external_user_id ELSE h.placeholder END
		FROM unnest($1::uuid[], $2::bytea[], $3::text[]) h(id, hash, placeholder) WHERE i.id = h.id AND i.id = ANY($1)`, ids, hashes, placeholders)
	if err != nil {
		return fmt.Errorf("set hashes of %d users: %w", len(ids), postgres.Translate(err))
	}
	return nil
}

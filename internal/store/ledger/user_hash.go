package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
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

// LockPerson serialises what may exist only once for one external user and
// app of a project, until the transaction ends.
//
// The lock's key is a keyed hash. A lock is taken for each live key: processes
// between two steps of a key rotation have different primary keys, and share one.
func LockPerson(ctx context.Context, tx pgx.Tx, box *seal.Box, place invite.Place, externalUserID, app string) error {
	var keys []int64
	for _, h := range box.Hashes(contact.TermUserLock, place.Project, strconv.FormatBool(place.Live), externalUserID, app) {
		keys = append(keys, int64(binary.BigEndian.Uint64(h[len(h)-8:])))
	}
	slices.Sort(keys) // the same order in every process
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) k`, keys); err != nil {
		return fmt.Errorf("lock person: %w", postgres.Translate(err))
	}
	return nil
}

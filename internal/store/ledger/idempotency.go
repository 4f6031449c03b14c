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
)

// Answered is what an earlier request with an Idempotency-Key came to.
type Answered struct {
	InviteID invite.ID
	BodyMAC  []byte
	Outcome  Outcome
}

const findAnswered = `SELECT invite_id, body_mac, status FROM idempotency WHERE key_id = $1 AND route = $2 AND key_hash = $3`

// AskAnswered looks up the earlier answer to an Idempotency-Key as part of a
// batch: out and found are set, if there is one, when
// its results are read.
func AskAnswered(batch *pgx.Batch, key invite.KeyID, route string, keyHash []byte, out *Answered, found *bool) {
	batch.Queue(findAnswered, key, route, keyHash).Query(func(rows pgx.Rows) error {
		var a Answered
		var number int32
		_, err := pgx.ForEachRow(rows, []any{&a.InviteID, &a.BodyMAC, &number}, func() (err error) {
			a.Outcome, err = outcomeOf(number)
			*out, *found = a, true
			return err
		})
		return err
	})
}

// InsertAnswered remembers the answer to an Idempotency-Key in the transaction
// that makes it true; false means that a twin was first.
func InsertAnswered(ctx context.Context, tx pgx.Tx, key invite.KeyID, id invite.ID, i Idempotency) (bool, error) {
	number, err := i.Outcome.number()
	if err != nil {
		return false, fmt.Errorf("remember an idempotency key: %w", err)
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO idempotency (key_id, route, key_hash, body_mac, invite_id, status) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT DO NOTHING`, key, i.Route, i.KeyHash, i.BodyMAC, id, number)
	if err != nil {
		return false, fmt.Errorf("remember an idempotency key: %w", postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
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

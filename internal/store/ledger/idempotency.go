package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
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

package suppression

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// ListPerson returns the blocks of a scope's project, lifted ones too, that
// came from the invites or are about the addresses that keys are of.
func ListPerson(ctx context.Context, db postgres.DB, s Scope, ids []invite.ID, keys []seal.Hash) ([]Row, error) {
	rows, _ := db.Query(ctx, `
		SELECT `+rowColumns+` FROM suppressions WHERE project_id = $1 AND livemode = $2 AND id IN (
			SELECT id FROM suppressions WHERE invite_id = ANY($3)
			UNION SELECT id FROM suppressions WHERE hash = ANY($4) AND lifted_at IS NULL
			UNION SELECT id FROM suppressions WHERE hash = ANY($4) AND lifted_at IS NOT NULL)
		ORDER BY id`, s.Project, s.Live, ids, keys)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Row])
	if err != nil {
		return nil, fmt.Errorf("list suppressions of a person: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetErased erases addresses and words of the suppressions that ListPerson
// finds. Their hashes remain, and the sealed digests by which hashes can be renewed.
// It returns their number.
func SetErased(ctx context.Context, tx pgx.Tx, box *seal.Box, s Scope, ids []invite.ID, keys []seal.Hash) (int, error) {
	list, err := ListPerson(ctx, tx, s, ids, keys)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	batch := &pgx.Batch{}
	for _, r := range list {
		seed, err := sealSeed(box, r)
		if err != nil {
			return 0, err
		}
		batch.Queue(`UPDATE suppressions SET address = NULL, note = NULL, lift_note = NULL, seed = coalesce($2, seed) WHERE id = $1`, r.ID, seed)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return 0, fmt.Errorf("erase %d suppressions: %w", len(list), postgres.Translate(err))
	}
	return len(list), nil
}

// sealSeed returns the seed of a row that is about to lose its address; nil without an
// address that can be opened.
func sealSeed(box *seal.Box, r Row) ([]byte, error) {
	address, err := Open(box, r.ID, "suppressions.address", r.Address)
	if err != nil || address.IsZero() {
		return nil, nil //nolint:nilerr // an address that no key opens must not hold up the erasure
	}
	seed, err := box.Seal(inputOf(r.Place, r.Channel, r.Kind, r.Sender, address.Reveal()).seed(), seal.AD{Column: "suppressions.seed", ID: r.ID.UUID()})
	if err != nil {
		return nil, fmt.Errorf("seal the seed of suppression %s: %w", r.ID, err)
	}
	return seed, nil
}

package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// SetContent replaces an invite's sealed content and its search terms.
func SetContent(ctx context.Context, tx pgx.Tx, id invite.ID, content []byte, terms [][]byte) error {
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE invites SET content = $2, updated_at = now() WHERE id = $1`, id, content)
	batch.Queue(`DELETE FROM search_terms WHERE invite_id = $1`, id)
	batch.Queue(`INSERT INTO search_terms (hash, invite_id) SELECT h, $1 FROM unnest($2::bytea[]) h ON CONFLICT DO NOTHING`, id, terms)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("set content of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetAccountName stores the connected account's name, sealed.
func SetAccountName(ctx context.Context, tx pgx.Tx, id invite.ID, sealed []byte) error {
	_, err := tx.Exec(ctx, `UPDATE invites SET account_name = $2 WHERE id = $1 AND erased_at IS NULL`, id, sealed)
	if err != nil {
		return fmt.Errorf("set account name of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// GetContent reads the personal data of an invite, sealed; nil once erased.
// Errors: ErrNotFound.
func GetContent(ctx context.Context, db postgres.DB, id invite.ID) ([]byte, error) {
	var sealed []byte
	err := db.QueryRow(ctx, `SELECT content FROM invites WHERE id = $1`, id).Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("get content of invite %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("get content of invite %s: %w", id, postgres.Translate(err))
	}
	return sealed, nil
}

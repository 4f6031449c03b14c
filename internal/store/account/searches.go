package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// searchKept is how long a search can be looked at again.
const searchKept = 30 * time.Minute

// InsertSearch keeps the sealed text of a session's search, and clears old ones.
func InsertSearch(ctx context.Context, tx pgx.Tx, session invite.SessionID, id uuid.UUID, text []byte) error {
	_, err := DeleteSearches(ctx, tx, true)
	if err == nil {
		_, err = tx.Exec(ctx, `INSERT INTO staff_searches (id, session_id, text) VALUES ($1, $2, $3)`, id, session, text)
	}
	if err != nil {
		return fmt.Errorf("keep a search of session %s: %w", session, postgres.Translate(err))
	}
	return nil
}

// DeleteSearches deletes the texts of searches: of all with old = false, since any of them
// can name a person who is erased, and people search again; else of those whose time is over.
// It returns how many. A row that another transaction is deleting is left to that one.
func DeleteSearches(ctx context.Context, db postgres.DB, old bool) (int64, error) {
	tag, err := db.Exec(ctx, `DELETE FROM staff_searches WHERE id = ANY(ARRAY(
		SELECT id FROM staff_searches WHERE NOT $1 OR created_at < now() - make_interval(secs => $2) FOR UPDATE SKIP LOCKED))`, old, searchKept.Seconds())
	if err != nil {
		return 0, fmt.Errorf("delete searches: %w", postgres.Translate(err))
	}
	return tag.RowsAffected(), nil
}

// FindSearch returns the sealed text of one search of a session, or of its latest
// when id is zero; found is false when it is over, or of another session.
func FindSearch(ctx context.Context, db postgres.DB, session invite.SessionID, id uuid.UUID) (of uuid.UUID, text []byte, found bool, err error) {
	err = db.QueryRow(ctx, `SELECT id, text FROM staff_searches
		WHERE session_id = $1 AND ($2::uuid = '00000000-0000-0000-0000-000000000000' OR id = $2) AND created_at > now() - make_interval(secs => $3)
		ORDER BY created_at DESC, id DESC LIMIT 1`, session, id, searchKept.Seconds()).Scan(&of, &text)
	if errors.Is(err, pgx.ErrNoRows) {
		return of, nil, false, nil
	}
	if err != nil {
		return of, nil, false, fmt.Errorf("find a search of session %s: %w", session, postgres.Translate(err))
	}
	return of, text, true, nil
}

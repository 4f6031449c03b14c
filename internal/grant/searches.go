package grant

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
)

const columnSearch = "staff_searches.text"

// KeepSearch keeps what a session searches for, for some minutes, and returns the
// handle by which its page is found again: addresses and numbers have no place in
// a URL.
func (s *Staff) KeepSearch(ctx context.Context, session invite.SessionID, text string) (handle string, err error) {
	id := uuid.New()
	sealed, err := s.box.Seal([]byte(text), seal.AD{Column: columnSearch, ID: id})
	if err != nil {
		return "", fmt.Errorf("seal a search of session %s: %w", session, err)
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error { return account.InsertSearch(ctx, tx, session, id, sealed) })
	return id.String(), err
}

// Search returns what a session searched for; found is false once that is over,
// and for another session's handle.
func (s *Staff) Search(ctx context.Context, session invite.SessionID, handle string) (text string, found bool, err error) {
	id, err := uuid.Parse(handle)
	if err != nil || id == uuid.Nil {
		return "", false, nil
	}
	return s.searched(ctx, session, id)
}

// LatestSearch returns what a session searched for last, within some minutes.
func (s *Staff) LatestSearch(ctx context.Context, session invite.SessionID) (text string, found bool, err error) {
	return s.searched(ctx, session, uuid.Nil)
}

func (s *Staff) searched(ctx context.Context, session invite.SessionID, id uuid.UUID) (string, bool, error) {
	of, sealed, found, err := account.FindSearch(ctx, s.db, session, id)
	if err != nil || !found {
		return "", false, err
	}
	text, err := s.box.Open(sealed, seal.AD{Column: columnSearch, ID: of})
	if err != nil {
		return "", false, nil //nolint:nilerr // sealed with a key that is gone: it can be typed again
	}
	return string(text), true, nil
}

package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Renewable is what a renewal by the recipient needs of an invite beside its
// state.
type Renewable struct {
	Content   []byte // sealed; nil once erased
	LinkType  invite.LinkType
	ExpiresIn time.Duration
	ValidFor  time.Duration // 0: the invite ends with its token
}

// GetRenewable reads what a renewal needs. Errors: ErrNotFound.
func GetRenewable(ctx context.Context, db postgres.DB, id invite.ID) (Renewable, error) {
	var r Renewable
	var expiresIn int32
	var validFor *int32
	err := db.QueryRow(ctx, `SELECT content, link_type, expires_in_s, valid_for_s FROM invites WHERE id = $1`, id).
		Scan(&r.Content, &r.LinkType, &expiresIn, &validFor)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, fmt.Errorf("get invite %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return r, fmt.Errorf("get invite %s: %w", id, postgres.Translate(err))
	}
	r.ExpiresIn = time.Duration(expiresIn) * time.Second
	if validFor != nil {
		r.ValidFor = time.Duration(*validFor) * time.Second
	}
	return r, nil
}

// LatestOf follows an invite's replacements to the one that stands now, which
// is the invite itself where it was never replaced.
func LatestOf(ctx context.Context, db postgres.DB, id invite.ID) (invite.ID, error) {
	// The bound is for a circle, which nothing makes.
	var last invite.ID
	err := db.QueryRow(ctx, `
		WITH RECURSIVE chain AS (
			SELECT id, replaced_by, 0 AS n FROM invites WHERE id = $1
			UNION ALL
			SELECT i.id, i.replaced_by, n + 1 FROM chain JOIN invites i ON i.id = chain.replaced_by WHERE n < 100
		) SELECT id FROM chain ORDER BY n DESC LIMIT 1`, id).Scan(&last)
	if errors.Is(err, pgx.ErrNoRows) {
		return last, fmt.Errorf("follow invite %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return last, fmt.Errorf("follow invite %s: %w", id, postgres.Translate(err))
	}
	return last, nil
}

// CountRenewals counts the renewals of a locked invite within a day, and
// within the last while.
func CountRenewals(ctx context.Context, tx pgx.Tx, id invite.ID, while time.Duration) (day, lately int, err error) {
	err = tx.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE created_at > now() - make_interval(secs => $3))
		FROM events WHERE invite_id = $1 AND type = $2 AND created_at > now() - interval '1 day'`,
		id, string(invite.EventRenewed), while.Seconds()).Scan(&day, &lately)
	if err != nil {
		return 0, 0, fmt.Errorf("count renewals of invite %s: %w", id, postgres.Translate(err))
	}
	return day, lately, nil
}

package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// Candidate is an invite for which an account may have appeared.
type Candidate struct {
	userid.Columns
	invite.Place

	ID          invite.ID      `db:"id"`
	Environment string         `db:"environment"`
	Status      invite.Status  `db:"status"`
	AppSlug     string         `db:"app_slug"`
	OAuthAppID  string         `db:"oauth_app_id"`
	AccountID   string         `db:"account_id"`
	ConnectedAt *time.Time     `db:"connected_at"`
	Kind        invite.Purpose `db:"kind"`
	// ReconnectAccount is the account that it reconnects; empty: a new one is connected.
	ReconnectAccount string `db:"reconnect_account"`
	// FirstOut is when a connect link of the invite first left our hands; null
	// before that. LinkFrom is when its first link was minted.
	FirstOut *time.Time `db:"first_handed_out_at"`
	LastOut  *time.Time `db:"last_handed_out_at"`
	LinkFrom *time.Time `db:"link_from"`
	// PollAt is the time up to which a claim holds; SetPolled needs it back.
	PollAt *time.Time `db:"poll_at"`
	Now    time.Time  `db:"now"`
}

const candidateColumns = `i.id, i.project_id, i.livemode, i.environment, i.status, i.external_user_id, i.sealed_user_id, i.app_slug, i.oauth_app_id,
	i.account_id, i.connected_at, i.kind, i.reconnect_account, i.first_handed_out_at, i.last_handed_out_at,
	(SELECT min(l.minted_at) FROM connect_links l WHERE l.invite_id = i.id) AS link_from, i.poll_at, now() AS now`

// pollHold is how long a claimed poll belongs to its claimer. A process that
// dies gives its polls back by it.
const pollHold = "1 minute"

// ClaimPolls takes up to n invites whose poll is due. Several processes never
// get the same one: what one has locked the others skip, and what it has
// claimed is due again only after a minute.
func ClaimPolls(ctx context.Context, db postgres.DB, n int) ([]Candidate, error) {
	rows, _ := db.Query(ctx, `
		WITH due AS (
			SELECT id FROM invites WHERE poll_at <= now() ORDER BY poll_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
		)
		UPDATE invites i SET poll_at = now() + interval '`+pollHold+`' FROM due WHERE i.id = due.id RETURNING `+candidateColumns, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Candidate])
	if err != nil {
		return nil, fmt.Errorf("claim polls: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetPolled plans the next poll of a claimed candidate: one, two and five
// minutes later, then every fifteen, the last at poll_until. A hand-out that
// came meanwhile has planned its own, which stands; so says the result.
func SetPolled(ctx context.Context, db postgres.DB, c Candidate) (bool, error) {
	tag, err := db.Exec(ctx, `
		UPDATE invites SET poll_count = poll_count + 1,
			poll_at = CASE WHEN now() < poll_until THEN least(poll_until, now() + CASE poll_count
				WHEN 0 THEN interval '1 minute' WHEN 1 THEN interval '2 minutes' WHEN 2 THEN interval '5 minutes'
				ELSE interval '15 minutes' END) END
		WHERE id = $1 AND poll_at = $2`, c.ID, c.PollAt)
	if err != nil {
		return false, fmt.Errorf("plan poll of invite %s: %w", c.ID, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// SetPollLater gives a claimed candidate back unpolled, to be due after d.
func SetPollLater(ctx context.Context, db postgres.DB, c Candidate, d time.Duration) error {
	_, err := db.Exec(ctx, `UPDATE invites SET poll_at = now() + make_interval(secs => $3) WHERE id = $1 AND poll_at = $2`,
		c.ID, c.PollAt, d.Seconds())
	if err != nil {
		return fmt.Errorf("put off poll of invite %s: %w", c.ID, postgres.Translate(err))
	}
	return nil
}

// SetPollEnd stops the polling of an invite: its account was found.
func SetPollEnd(ctx context.Context, tx pgx.Tx, id invite.ID) error {
	_, err := tx.Exec(ctx, `UPDATE invites SET poll_at = NULL WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("end polling of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// GetCandidate reads one invite for a confirmation. Errors: ErrNotFound.
func GetCandidate(ctx context.Context, db postgres.DB, id invite.ID) (Candidate, error) {
	rows, _ := db.Query(ctx, `SELECT `+candidateColumns+` FROM invites i WHERE i.id = $1`, id)
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Candidate])
	if errors.Is(err, pgx.ErrNoRows) {
		return Candidate{}, fmt.Errorf("get invite %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Candidate{}, fmt.Errorf("get invite %s: %w", id, postgres.Translate(err))
	}
	return c, nil
}

// LockRivals locks every invite to which an account of the candidate's user
// and app could belong, the candidate among them, in the order of their ids:
// those whose link was handed out and is still looked after, and those that
// have this account already.
func LockRivals(ctx context.Context, tx pgx.Tx, box *seal.Box, c Candidate, accountID string) ([]Candidate, error) {
	user, err := c.OpenUser(box, c.ID)
	if err != nil {
		return nil, err
	}
	unhashed, err := listUnhashed(ctx, tx, c, user, accountID)
	if err != nil {
		return nil, err
	}
	// Who comes into question is found first and locked then: a lock taken
	// while sorting by another index would not be in the order of ids.
	rows, _ := tx.Query(ctx, `
		SELECT `+candidateColumns+` FROM invites i WHERE i.id = ANY(ARRAY(
			SELECT id FROM ((SELECT * FROM invites WHERE user_hash = ANY($7) OFFSET 0) UNION ALL (SELECT * FROM invites WHERE id = ANY($8) OFFSET 0)) u
				WHERE project_id = $2 AND livemode = $3 AND app_slug = $4 AND environment = $5 AND (account_id = $6 OR (first_handed_out_at IS NOT NULL AND poll_until > now() - interval '1 day'))
			UNION SELECT $1::uuid))
		ORDER BY i.id FOR NO KEY UPDATE OF i`,
		c.ID, c.Project, c.Live, c.AppSlug, c.Environment, accountID,
		userid.Hashes(box, c.Place, user), unhashed)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Candidate])
	if err != nil {
		return nil, fmt.Errorf("lock invites beside %s: %w", c.ID, postgres.Translate(err))
	}
	return list, nil
}

// listUnhashed returns the ids of the rivals of the candidate, stored by an
// earlier version, that are the user's and have no hash yet: their ids of users
// are compared here, because a parameter of a statement may be logged.
func listUnhashed(ctx context.Context, tx pgx.Tx, c Candidate, user, accountID string) ([]invite.ID, error) {
	rows, _ := tx.Query(ctx, `SELECT id, external_user_id FROM invites
		WHERE project_id = $1 AND livemode = $2 AND user_hash IS NULL AND app_slug = $3 AND environment = $4
			AND (account_id = $5 OR (first_handed_out_at IS NOT NULL AND poll_until > now() - interval '1 day'))`,
		c.Project, c.Live, c.AppSlug, c.Environment, accountID)
	var list []invite.ID
	var id invite.ID
	var other string
	_, err := pgx.ForEachRow(rows, []any{&id, &other}, func() error {
		if other == user {
			list = append(list, id)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read users of invites without a hash: %w", postgres.Translate(err))
	}
	return list, nil
}

// Now is the database's clock at this moment.
func Now(ctx context.Context, db postgres.DB) (time.Time, error) {
	var now time.Time
	if err := db.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", postgres.Translate(err))
	}
	return now, nil
}

package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Client is what a client token says of its holder.
type Client struct {
	invite.Place

	InviteID    invite.ID    `db:"invite_id"`
	KeyID       invite.KeyID `db:"key_id"` // the key that asked for the token
	Environment string       `db:"environment"`
	ExpiresAt   time.Time    `db:"expires_at"`
}

// maxClients is how many tokens of one invite work at a time; a new one on top
// of them takes the place of the oldest.
const maxClients = 20

// Held is what stands in the way of a client token, or the token's end.
type Held struct {
	Exists    bool // the invite, for this project and mode
	Status    invite.Status
	ExpiresAt *time.Time // of the token; nil when none was made because the invite is over
}

// InsertClient stores a client token for one invite of a project and mode,
// unless the invite is over. The token ends with the invite, and no later than
// most from now. Tokens that ended go, and so does the oldest of too many.
func InsertClient(ctx context.Context, db postgres.DB, place invite.Place, id invite.ID, key invite.KeyID, digest []byte, most time.Duration) (Held, error) {
	var h Held
	err := db.QueryRow(ctx, `
		WITH i AS (
			SELECT id, status, gives_up_at FROM invites WHERE id = $1 AND project_id = $2 AND livemode = $3
		), gone AS (
			DELETE FROM client_tokens WHERE digest IN (
				SELECT digest FROM client_tokens WHERE invite_id = (SELECT id FROM i)
				ORDER BY expires_at > now() DESC, created_at DESC, digest OFFSET $7)
		), made AS (
			INSERT INTO client_tokens (digest, invite_id, key_id, expires_at)
			SELECT $4, id, $5, least(gives_up_at, now() + make_interval(secs => $6)) FROM i
			WHERE status IN ('scheduled', 'pending', 'active', 'failed') AND gives_up_at > now()
			RETURNING expires_at
		)
		SELECT EXISTS (SELECT FROM i), coalesce((SELECT status FROM i), ''), (SELECT expires_at FROM made)`,
		id, place.Project, place.Live, digest, key, most.Seconds(), maxClients-1).Scan(&h.Exists, &h.Status, &h.ExpiresAt)
	if err != nil {
		return Held{}, fmt.Errorf("insert client token of invite %s: %w", id, postgres.Translate(err))
	}
	return h, nil
}

// FindClient returns what a client token stands for, by its digest; ok is
// false when there is none, it has ended, or the key that asked for it no
// longer works.
func FindClient(ctx context.Context, db postgres.DB, digest []byte) (Client, bool, error) {
	rows, _ := db.Query(ctx, `
		SELECT t.invite_id, t.key_id, i.project_id, i.livemode, i.environment, t.expires_at
		FROM client_tokens t JOIN invites i ON i.id = t.invite_id JOIN api_keys k ON k.id = t.key_id
		WHERE t.digest = $1 AND t.expires_at > now() AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())`, digest)
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Client])
	if errors.Is(err, pgx.ErrNoRows) {
		return Client{}, false, nil
	}
	if err != nil {
		return Client{}, false, fmt.Errorf("find client token: %w", postgres.Translate(err))
	}
	return c, true, nil
}

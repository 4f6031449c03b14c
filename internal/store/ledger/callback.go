package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Callback is what a provider posted, sealed.
type Callback struct {
	ID       [16]byte
	Provider string    // pipedream, sendgrid, twilio
	InviteID invite.ID // zero while it matches nothing
	Body     []byte
}

// InsertCallbacks keeps callbacks as they came, but for those about a person
// who was erased.
func InsertCallbacks(ctx context.Context, tx pgx.Tx, list []Callback) error {
	ids, providers := make([][16]byte, len(list)), make([]string, len(list))
	invites, bodies := make([]invite.ID, len(list)), make([][]byte, len(list))
	for i, c := range list {
		ids[i], providers[i], invites[i], bodies[i] = c.ID, c.Provider, c.InviteID, c.Body
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO callbacks (id, provider, invite_id, body)
		SELECT t.id, t.provider, t.invite_id, t.body FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bytea[]) AS t(id, provider, invite_id, body)
		WHERE NOT EXISTS (SELECT FROM invites i WHERE i.id = t.invite_id AND i.erased_at IS NOT NULL)`,
		ids, providers, invites, bodies)
	if err != nil {
		return fmt.Errorf("keep %d callbacks: %w", len(list), postgres.Translate(err))
	}
	return nil
}

// GuardAll is Guard for many callbacks: it returns the keys that were not seen
// before. Keys must be sorted, so that two posts of the same callbacks cannot
// wait for each other.
func GuardAll(ctx context.Context, tx pgx.Tx, source string, keys [][]byte) ([][]byte, error) {
	rows, _ := tx.Query(ctx, `
		INSERT INTO seen (source, key) SELECT $1, k FROM unnest($2::bytea[]) WITH ORDINALITY AS u(k, n) ORDER BY n
		ON CONFLICT DO NOTHING RETURNING key`, source, keys)
	fresh, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("guard %d callbacks of %s: %w", len(keys), source, postgres.Translate(err))
	}
	return fresh, nil
}

// Attempt is the call to a provider that a callback speaks of.
type Attempt struct {
	ID                invite.AttemptID  `db:"id"`
	InviteID          invite.ID         `db:"invite_id"`
	DeliveryID        invite.DeliveryID `db:"delivery_id"`
	ProviderMessageID string            `db:"provider_message_id"`
}

// FindAttempts returns the attempts of one project and mode that have one of
// the ids or one of the provider's message ids; those that do not exist are
// left out. Invites must be named along with ids: attempts are keyed by them.
func FindAttempts(ctx context.Context, db postgres.DB, place invite.Place, provider string,
	invites []invite.ID, ids []invite.AttemptID, messageIDs []string,
) ([]Attempt, error) {
	rows, _ := db.Query(ctx, `
		SELECT a.id, a.invite_id, a.delivery_id, a.provider_message_id
		FROM unnest($4::uuid[], $5::uuid[]) AS want(invite_id, id)
		JOIN attempts a ON a.invite_id = want.invite_id AND a.id = want.id
		JOIN invites i ON i.id = a.invite_id
		WHERE i.project_id = $1 AND i.livemode = $2 AND a.provider = $3
		UNION
		SELECT a.id, a.invite_id, a.delivery_id, a.provider_message_id
		FROM attempts a JOIN invites i ON i.id = a.invite_id
		WHERE a.provider_message_id = ANY($6::text[]) AND a.provider_message_id <> '' AND i.project_id = $1 AND i.livemode = $2 AND a.provider = $3`,
		place.Project, place.Live, provider, invites, ids, messageIDs)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Attempt])
	if err != nil {
		return nil, fmt.Errorf("find attempts: %w", postgres.Translate(err))
	}
	return list, nil
}

// Taken is a provider's own word that it took an attempt's message.
type Taken struct {
	InviteID          invite.ID
	AttemptID         invite.AttemptID
	ProviderMessageID string // empty when the callback does not say
}

// SetTaken records that report on attempts with an unknown outcome: it settles
// a lost answer before the message is sent again. The caller holds the locks
// of their invites.
func SetTaken(ctx context.Context, tx pgx.Tx, list []Taken) error {
	invites, ids, messages := make([]invite.ID, len(list)), make([]invite.AttemptID, len(list)), make([]string, len(list))
	for i, t := range list {
		invites[i], ids[i], messages[i] = t.InviteID, t.AttemptID, t.ProviderMessageID
	}
	_, err := tx.Exec(ctx, `
		UPDATE attempts a SET
			outcome = CASE WHEN a.outcome IN ('open', 'unknown') THEN 'accepted' ELSE a.outcome END,
			finished_at = coalesce(a.finished_at, now()),
			provider_message_id = CASE WHEN a.provider_message_id = '' THEN t.message ELSE a.provider_message_id END
		FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS t(invite_id, id, message)
		WHERE a.invite_id = t.invite_id AND a.id = t.id
			AND (a.outcome IN ('open', 'unknown') OR (a.provider_message_id = '' AND t.message <> ''))`,
		invites, ids, messages)
	if err != nil {
		return fmt.Errorf("settle %d attempts: %w", len(list), postgres.Translate(err))
	}
	return nil
}

// Guard marks one callback as seen; false means that a copy came before. It
// is part of the transaction that acts on the callback, so that a crash
// between the two cannot lose it.
func Guard(ctx context.Context, tx pgx.Tx, source string, key []byte) (bool, error) {
	tag, err := tx.Exec(ctx, `INSERT INTO seen (source, key) VALUES ($1, $2) ON CONFLICT DO NOTHING`, source, key)
	if err != nil {
		return false, fmt.Errorf("guard a callback of %s: %w", source, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

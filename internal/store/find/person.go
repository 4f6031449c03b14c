package find

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Attempt is one call to a provider as stored.
type Attempt struct {
	ID                invite.AttemptID  `db:"id"`
	DeliveryID        invite.DeliveryID `db:"delivery_id"`
	Number            int               `db:"number"`
	Provider          string            `db:"provider"`
	Outcome           string            `db:"outcome"`
	ProviderMessageID string            `db:"provider_message_id"`
	ProviderCode      string            `db:"provider_code"`
	Detail            []byte            `db:"detail"` // sealed
	StartedAt         time.Time         `db:"started_at"`
	FinishedAt        *time.Time        `db:"finished_at"`
}

// Attempts reads the calls that were made for an invite, oldest first. The
// caller has made sure that the invite is the asker's.
func Attempts(ctx context.Context, db postgres.DB, id invite.ID) ([]Attempt, error) {
	rows, _ := db.Query(ctx, `
		SELECT id, delivery_id, number, provider, outcome, provider_message_id, provider_code, detail, started_at, finished_at
		FROM attempts WHERE invite_id = $1 ORDER BY started_at, id`, id)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Attempt])
	if err != nil {
		return nil, fmt.Errorf("list attempts of invite %s: %w", id, postgres.Translate(err))
	}
	return list, nil
}

// Callback is what a provider posted, as stored.
type Callback struct {
	ID         [16]byte  `db:"id"`
	Provider   string    `db:"provider"`
	ReceivedAt time.Time `db:"received_at"`
	Body       []byte    `db:"body"` // sealed
}

// Callbacks reads up to n of the posts about an invite, oldest first. The
// caller has made sure that the invite is the requester's.
func Callbacks(ctx context.Context, db postgres.DB, id invite.ID, n int) ([]Callback, error) {
	rows, _ := db.Query(ctx, `SELECT id, provider, received_at, body FROM callbacks WHERE invite_id = $1 ORDER BY received_at, id LIMIT $2`, id, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Callback])
	if err != nil {
		return nil, fmt.Errorf("list callbacks of invite %s: %w", id, postgres.Translate(err))
	}
	return list, nil
}

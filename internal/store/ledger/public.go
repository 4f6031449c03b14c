package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// PublicEvent is a row of the log of events that products are told of.
type PublicEvent struct {
	Announcement
	invite.Place

	ID       invite.EventID
	InviteID invite.ID
	Body     []byte // sealed
	At       time.Time
}

// NewPublic is the public event of a new invite, which one statement stores with it.
type NewPublic struct {
	ID   invite.EventID
	Body []byte // sealed
}

// InsertPublicEvents stores public events in the transaction that caused them.
func InsertPublicEvents(ctx context.Context, tx pgx.Tx, events []PublicEvent) error {
	n := len(events)
	ids, invites := make([]invite.EventID, n), make([]invite.ID, n)
	projects, types := make([]string, n), make([]string, n)
	live, bodies := make([]bool, n), make([][]byte, n)
	sequences, at := make([]int32, n), make([]time.Time, n)
	for i, e := range events {
		ids[i], invites[i], projects[i], types[i] = e.ID, e.InviteID, e.Project, string(e.Type)
		live[i], bodies[i], sequences[i], at[i] = e.Live, e.Body, int32(e.Sequence), e.At
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO public_events (id, project_id, livemode, type, invite_id, sequence, body, created_at)
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::text[], $5::uuid[], $6::int[], $7::bytea[], $8::timestamptz[])`,
		ids, projects, live, types, invites, sequences, bodies, at)
	if err != nil {
		return fmt.Errorf("insert %d public events: %w", n, postgres.Translate(err))
	}
	return nil
}

// DeletePublicEvents deletes up to n public events that were written before at, and
// returns their number. It goes along the primary key, which begins with the time.
func DeletePublicEvents(ctx context.Context, db postgres.DB, at time.Time, n int) (int, error) {
	tag, err := db.Exec(ctx, `
		DELETE FROM public_events WHERE id = ANY(ARRAY(SELECT id FROM public_events WHERE id < $1 ORDER BY id LIMIT $2))`,
		invite.From[invite.EventID](at), n)
	if err != nil {
		return 0, fmt.Errorf("delete old public events: %w", postgres.Translate(err))
	}
	return int(tag.RowsAffected()), nil
}

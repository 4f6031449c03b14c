package counts

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Kind is the value that is compared with a threshold.
type Kind string

// The kinds of excursions.
const (
	BounceRate      Kind = "bounce_rate"      // percent of messages whose outcome is known
	QueueAge        Kind = "queue_age"        // seconds
	ConnectFailures Kind = "connect_failures" // percent of attempts to connect
)

// Excursion is a time over a threshold.
type Excursion struct {
	Kind      Kind      `db:"kind"`
	Value     float64   `db:"value"` // when it was raised
	Threshold float64   `db:"threshold"`
	RaisedAt  time.Time `db:"raised_at"`
}

// ListOpen returns the excursions that go on, the latest first.
func ListOpen(ctx context.Context, db postgres.DB, at invite.Place) ([]Excursion, error) {
	rows, _ := db.Query(ctx, `SELECT kind, value, threshold, raised_at FROM excursions
		WHERE project_id = $1 AND livemode = $2 AND resolved_at IS NULL ORDER BY raised_at DESC, kind`, at.Project, at.Live)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Excursion])
	if err != nil {
		return nil, fmt.Errorf("list excursions of %s: %w", at.Project, postgres.Translate(err))
	}
	return list, nil
}

// InsertExcursion begins an excursion; ok is false where one of the kind goes on.
func InsertExcursion(ctx context.Context, tx pgx.Tx, at invite.Place, e Excursion) (ok bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO excursions (id, project_id, livemode, kind, value, threshold) VALUES (gen_random_uuid(), $1, $2, $3, $4, $5)
		ON CONFLICT (project_id, livemode, kind) WHERE resolved_at IS NULL DO NOTHING`, at.Project, at.Live, e.Kind, e.Value, e.Threshold)
	if err != nil {
		return false, fmt.Errorf("begin an excursion of %s: %w", at.Project, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// SetResolved ends the excursion of a kind; ok is false where none goes on.
func SetResolved(ctx context.Context, tx pgx.Tx, at invite.Place, kind Kind) (ok bool, err error) {
	tag, err := tx.Exec(ctx, `UPDATE excursions SET resolved_at = now() WHERE project_id = $1 AND livemode = $2 AND kind = $3 AND resolved_at IS NULL`, at.Project, at.Live, kind)
	if err != nil {
		return false, fmt.Errorf("end an excursion of %s: %w", at.Project, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

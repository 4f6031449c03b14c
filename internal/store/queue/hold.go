package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// LaneStatus is a lane as the console shows it: the number of waiting
// deliveries, and whether staff paused it.
type LaneStatus struct {
	Lane    invite.Lane `db:"lane"`
	Due     int         `db:"due"`    // up to a limit
	Oldest  *time.Time  `db:"oldest"` // of the due ones
	HeldAt  *time.Time  `db:"held_at"`
	HeldBy  string      `db:"held_by"`
	HeldWhy string      `db:"held_why"`
}

// dueCounted is where counting what waits stops.
const dueCounted = 1000

// ListLanesOf reads the lanes of a project, by name.
func ListLanesOf(ctx context.Context, db postgres.DB, project string) ([]LaneStatus, error) {
	rows, _ := db.Query(ctx, `
		SELECT l.lane, count(d.next_at)::int AS due, min(d.next_at) AS oldest, l.held_at, l.held_by, l.held_why
		FROM lanes l LEFT JOIN LATERAL (
			SELECT next_at FROM deliveries d WHERE d.lane = l.lane AND d.next_at <= now() ORDER BY d.next_at LIMIT $2
		) d ON true
		WHERE starts_with(l.lane, $1 || '/') GROUP BY l.lane ORDER BY l.lane`, project, dueCounted)
	lanes, err := pgx.CollectRows(rows, pgx.RowToStructByName[LaneStatus])
	if err != nil {
		return nil, fmt.Errorf("list lanes of %s: %w", project, postgres.Translate(err))
	}
	return lanes, nil
}

// ListHeld reads the lanes of a project that are stopped by hand.
func ListHeld(ctx context.Context, db postgres.DB, project string) ([]LaneStatus, error) {
	rows, _ := db.Query(ctx, `SELECT lane, 0 AS due, NULL::timestamptz AS oldest, held_at, held_by, held_why FROM lanes
		WHERE held_at IS NOT NULL AND starts_with(lane, $1 || '/') ORDER BY lane`, project)
	lanes, err := pgx.CollectRows(rows, pgx.RowToStructByName[LaneStatus])
	if err != nil {
		return nil, fmt.Errorf("list held lanes of %s: %w", project, postgres.Translate(err))
	}
	return lanes, nil
}

// ListAllHeld reads the lanes of every project that are stopped by hand.
func ListAllHeld(ctx context.Context, db postgres.DB) ([]invite.Lane, error) {
	rows, _ := db.Query(ctx, `SELECT lane FROM lanes WHERE held_at IS NOT NULL`)
	lanes, err := pgx.CollectRows(rows, pgx.RowTo[invite.Lane])
	if err != nil {
		return nil, fmt.Errorf("list held lanes: %w", postgres.Translate(err))
	}
	return lanes, nil
}

// SetPausedDue makes due what waits in a lane with this reason: a pause of a country
// or a key ended; n at most. It returns their number. Deliveries that another pause
// concerns are given back at once.
func SetPausedDue(ctx context.Context, tx pgx.Tx, lane invite.Lane, reason string, n int) (int, error) {
	tag, err := tx.Exec(ctx, `
		WITH waiting AS (
			SELECT invite_id, id FROM deliveries
			WHERE lane = $1 AND next_at > now() AND lease_owner IS NULL AND status IN ('queued', 'sending') AND reason = $2
			ORDER BY next_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
		)
		UPDATE deliveries d SET next_at = now() FROM waiting w WHERE d.invite_id = w.invite_id AND d.id = w.id`, lane, reason, n)
	if err != nil {
		return 0, fmt.Errorf("make paused deliveries of lane %s due: %w", lane, postgres.Translate(err))
	}
	return int(tag.RowsAffected()), nil
}

// PauseLane pauses a lane; false means that it was paused before. Deliveries in
// progress are finished; waiting ones stay.
func PauseLane(ctx context.Context, tx pgx.Tx, lane invite.Lane, by, why string) (bool, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO lanes (lane, held_at, held_by, held_why) VALUES ($1, now(), $2, $3)
		ON CONFLICT (lane) DO UPDATE SET held_at = now(), held_by = EXCLUDED.held_by, held_why = EXCLUDED.held_why
		WHERE lanes.held_at IS NULL`, lane, by, why)
	if err != nil {
		return false, fmt.Errorf("hold lane %s: %w", lane, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// ResumeLane lets a lane go on; false means that it was not stopped.
func ResumeLane(ctx context.Context, tx pgx.Tx, lane invite.Lane) (bool, error) {
	tag, err := tx.Exec(ctx, `UPDATE lanes SET held_at = NULL, held_by = '', held_why = '' WHERE lane = $1 AND held_at IS NOT NULL`, lane)
	if err != nil {
		return false, fmt.Errorf("let lane %s go on: %w", lane, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

func laneNames(lanes []invite.Lane) []string {
	out := make([]string, 0, len(lanes))
	for _, l := range lanes {
		out = append(out, l.String())
	}
	return out
}

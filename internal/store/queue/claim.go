package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Want is the number of deliveries to claim.
type Want struct {
	Owner int64
	Lease time.Duration
	// Batch is how many deliveries at most, over all lanes.
	Batch int
	// PerLane is how many of one lane at most; Room lowers it for lanes that
	// have work in progress already.
	PerLane int
	Room    map[invite.Lane]int
	// After is the lane at which the last claim ended: this one starts behind
	// it, so that a batch that fills up leaves no lane out for ever.
	After invite.Lane
	// Paused claims from paused lanes, and from those in Room only: for a probe.
	Paused bool
}

// KeyBound is postgres.KeyBound, for transactions with this package's statements and those
// of ledger.
const KeyBound = postgres.KeyBound

// prelude is KeyBound for a single statement. It also lets the transaction
// commit without waiting for the disk, which is for leases only: see the
// package comment.
const prelude = `SELECT set_config('synchronous_commit', 'off', true)` + keyBoundSettings

// durablePrelude is KeyBound for the first statement of a batch that is a
// transaction and commits to the disk.
const durablePrelude = `SELECT true` + keyBoundSettings

const keyBoundSettings = `, set_config('plan_cache_mode', 'force_generic_plan', true),
	set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`

// Claim takes deliveries that are due, going round the lanes.
func Claim(ctx context.Context, db postgres.DB, w Want) ([]Job, error) {
	lanes, room := make([]string, 0, len(w.Room)), make([]int32, 0, len(w.Room))
	for lane, n := range w.Room {
		lanes, room = append(lanes, lane.String()), append(room, int32(max(n, 0)))
	}
	batch := &pgx.Batch{}
	batch.Queue(prelude)
	// The inner LIMIT stops at a few index entries per lane, of any length;
	// SKIP LOCKED keeps processes out of each other's way.
	batch.Queue(`
		WITH picked AS (
			SELECT d.invite_id, d.id
			FROM (
				SELECT l.lane, least(coalesce(b.room, $4), $4) AS room
				FROM lanes l LEFT JOIN unnest($1::text[], $2::int[]) AS b(lane, room) ON b.lane = l.lane
				WHERE l.held_at IS NULL -- by hand: no probe either
					AND CASE WHEN $8 THEN b.lane IS NOT NULL ELSE coalesce(l.paused_until <= now(), true) END
				ORDER BY l.lane <= $3, l.lane
			) AS lane
			CROSS JOIN LATERAL (
				SELECT invite_id, id FROM deliveries
				WHERE deliveries.lane = lane.lane AND next_at <= now()
				ORDER BY next_at LIMIT lane.room
				FOR NO KEY UPDATE SKIP LOCKED
			) AS d
			LIMIT $5
		), c AS (
			UPDATE deliveries d SET lease_token = d.lease_token + 1, lease_owner = $6, next_at = now() + make_interval(secs => $7)
			FROM picked p WHERE d.invite_id = p.invite_id AND d.id = p.id
			RETURNING d.*
		)
		SELECT `+jobColumns+` FROM c `+jobJoins,
		lanes, room, w.After, w.PerLane, w.Batch, w.Owner, w.Lease.Seconds(), w.Paused)
	res := db.SendBatch(ctx, batch)
	defer func() { _ = res.Close() }()
	if _, err := res.Exec(); err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", postgres.Translate(err))
	}
	rows, _ := res.Query()
	jobs, err := pgx.CollectRows(rows, scanJob)
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", postgres.Translate(err))
	}
	if err := res.Close(); err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", postgres.Translate(err))
	}
	return jobs, nil
}

// quick runs one statement that need not survive a crash of the server.
func quick[T any](ctx context.Context, db postgres.DB, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	batch := &pgx.Batch{}
	batch.Queue(prelude)
	batch.Queue(sql, args...)
	res := db.SendBatch(ctx, batch)
	defer func() { _ = res.Close() }()
	if _, err := res.Exec(); err != nil {
		return nil, err
	}
	rows, _ := res.Query()
	out, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, err
	}
	return out, res.Close()
}

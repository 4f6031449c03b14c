package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Conditions on a delivery that is found by its key. They are written so that no
// partial index serves them: one whose statistics were taken while the queue was
// empty looks as if it held one row, and the planner would walk all that is due
// for each row of a batch (22 s instead of 30 ms with 100,000 due).
const (
	// ofOwner: the lease of row t still protects delivery d.
	ofOwner = `d.lease_token = t.token AND d.lease_owner IS NOT DISTINCT FROM t.owner`
	// inQueue: delivery d is not settled.
	inQueue = `coalesce(d.next_at, '-infinity') > '-infinity'`
)

// leases is a batch turned on its side: one array per parameter.
type leases struct {
	invites    []invite.ID
	deliveries []invite.DeliveryID
	tokens     []int64
	owners     []int64
}

func columns(held []Lease) leases {
	var c leases
	for _, l := range held {
		c.invites = append(c.invites, l.InviteID)
		c.deliveries = append(c.deliveries, l.DeliveryID)
		c.tokens = append(c.tokens, l.Token)
		c.owners = append(c.owners, l.Owner)
	}
	return c
}

func scanLease(r pgx.CollectableRow) (Lease, error) {
	var l Lease
	err := r.Scan(&l.InviteID, &l.DeliveryID, &l.Token, &l.Owner)
	return l, err
}

// set is keyed by lease and never by delivery: one process may hold two of the
// same delivery in hand, of which one is lost.
func set(held []Lease) map[Lease]bool {
	out := make(map[Lease]bool, len(held))
	for _, l := range held {
		out[l] = true
	}
	return out
}

// Renew moves the end of leases to a full lease from now and returns those that
// are lost. A lease that ends later, because a call is in flight, stays as it is.
//
// It waits for no lock: a locked row is being written by the very transaction
// that extends or ends its lease, or has just been claimed by another, which
// the next round shows.
func Renew(ctx context.Context, db postgres.DB, held []Lease, lease time.Duration) (lost []Lease, err error) {
	c := columns(held)
	batch := &pgx.Batch{}
	batch.Queue(prelude)
	batch.Queue(`
		WITH mine AS (
			SELECT d.invite_id, d.id FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) AS t(invite_id, id, token, owner)
			JOIN deliveries d ON d.invite_id = t.invite_id AND d.id = t.id AND `+ofOwner+`
			WHERE coalesce(d.next_at, 'infinity') < now() + make_interval(secs => $5 * 0.9)
			FOR NO KEY UPDATE OF d SKIP LOCKED
		)
		UPDATE deliveries d SET next_at = now() + make_interval(secs => $5)
		FROM mine WHERE d.invite_id = mine.invite_id AND d.id = mine.id`,
		c.invites, c.deliveries, c.tokens, c.owners, lease.Seconds())
	batch.Queue(`
		SELECT t.invite_id, t.id, t.token, t.owner
		FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) AS t(invite_id, id, token, owner)
		WHERE NOT EXISTS (
			SELECT FROM deliveries d
			WHERE d.invite_id = t.invite_id AND d.id = t.id AND `+ofOwner+`)`,
		c.invites, c.deliveries, c.tokens, c.owners)
	res := db.SendBatch(ctx, batch)
	defer func() { _ = res.Close() }()
	for range 2 {
		if _, err := res.Exec(); err != nil {
			return nil, fmt.Errorf("renew %d leases: %w", len(held), postgres.Translate(err))
		}
	}
	rows, _ := res.Query()
	if lost, err = pgx.CollectRows(rows, scanLease); err == nil {
		err = res.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("renew %d leases: %w", len(held), postgres.Translate(err))
	}
	return lost, nil
}

// Reap makes deliveries due at once that are leased by processes whose lock
// is free, and returns their number. The owners are found by hopping from one
// to the next in the index, so that the cost is one step per process, not per
// lease.
func Reap(ctx context.Context, db postgres.DB) (int, error) {
	taken, err := quick(ctx, db, pgx.RowTo[invite.DeliveryID], `
		WITH RECURSIVE owners AS (
			(SELECT lease_owner AS owner FROM deliveries WHERE lease_owner IS NOT NULL ORDER BY lease_owner LIMIT 1)
			UNION ALL
			SELECT (SELECT d.lease_owner FROM deliveries d WHERE d.lease_owner > o.owner ORDER BY d.lease_owner LIMIT 1)
			FROM owners o WHERE o.owner IS NOT NULL
		), dead AS (
			SELECT owner FROM owners WHERE owner IS NOT NULL AND NOT EXISTS (
				SELECT FROM pg_locks p
				WHERE p.locktype = 'advisory' AND p.granted AND p.objsubid = 1
					AND p.database = (SELECT oid FROM pg_database WHERE datname = current_database())
					AND p.classid::bigint = (owner >> 32) & 4294967295 AND p.objid::bigint = owner & 4294967295)
		), orphans AS (
			SELECT invite_id, id FROM deliveries
			WHERE lease_owner IN (SELECT owner FROM dead) LIMIT 1000
			FOR NO KEY UPDATE SKIP LOCKED
		)
		UPDATE deliveries d SET next_at = least(d.next_at, now()), lease_owner = NULL
		FROM orphans o WHERE d.invite_id = o.invite_id AND d.id = o.id
		RETURNING d.id`)
	if err != nil {
		return 0, fmt.Errorf("reap leases: %w", postgres.Translate(err))
	}
	return len(taken), nil
}

// Release gives leases back, to be due after the delay of each, and returns
// those that were still held.
func Release(ctx context.Context, db postgres.DB, held []Lease, after []time.Duration) (map[Lease]bool, error) {
	c := columns(held)
	secs := make([]float64, len(after))
	for i, d := range after {
		secs[i] = d.Seconds()
	}
	still, err := quick(ctx, db, scanLease, `
		UPDATE deliveries d SET next_at = now() + make_interval(secs => t.after), lease_owner = NULL
		FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::float8[]) AS t(invite_id, id, token, owner, after)
		WHERE d.invite_id = t.invite_id AND d.id = t.id AND `+ofOwner+` AND `+inQueue+`
		RETURNING d.invite_id, d.id, t.token, t.owner`, c.invites, c.deliveries, c.tokens, c.owners, secs)
	if err != nil {
		return nil, fmt.Errorf("release %d leases: %w", len(held), postgres.Translate(err))
	}
	return set(still), nil
}

// Held returns which of the leases are held still. In a transaction that has
// locked the invites it decides who may write.
func Held(ctx context.Context, tx pgx.Tx, held []Lease) (map[Lease]bool, error) {
	c := columns(held)
	rows, _ := tx.Query(ctx, `
		SELECT d.invite_id, d.id, t.token, t.owner FROM deliveries d
		JOIN unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) AS t(invite_id, id, token, owner)
			ON d.invite_id = t.invite_id AND d.id = t.id AND `+ofOwner+`
		WHERE `+inQueue+`
		FOR NO KEY UPDATE OF d`, c.invites, c.deliveries, c.tokens, c.owners)
	still, err := pgx.CollectRows(rows, scanLease)
	if err != nil {
		return nil, fmt.Errorf("check %d leases: %w", len(held), postgres.Translate(err))
	}
	return set(still), nil
}

// SetDone takes a delivery that is settled out of the queue; it reports whether
// the lease was still held.
func SetDone(ctx context.Context, db postgres.DB, l Lease) (bool, error) {
	tag, err := db.Exec(ctx, `
		UPDATE deliveries SET next_at = NULL, lease_owner = NULL
		WHERE invite_id = $1 AND id = $2 AND lease_token = $3 AND lease_owner IS NOT DISTINCT FROM $4::bigint`, l.InviteID, l.DeliveryID, l.Token, l.Owner)
	if err != nil {
		return false, fmt.Errorf("take delivery %s off the queue: %w", l.DeliveryID, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// SetPoisoned counts one more failure that lies in the message itself, gives the
// lease back, and returns how many in a row there were. 0: the lease is lost.
func SetPoisoned(ctx context.Context, db postgres.DB, l Lease, after time.Duration) (int, error) {
	var n int
	err := db.QueryRow(ctx, `
		UPDATE deliveries d SET poisoned = poisoned + 1, next_at = now() + make_interval(secs => $5), lease_owner = NULL
		WHERE invite_id = $1 AND id = $2 AND lease_token = $3 AND lease_owner IS NOT DISTINCT FROM $4::bigint AND `+inQueue+`
		RETURNING poisoned`, l.InviteID, l.DeliveryID, l.Token, l.Owner, after.Seconds()).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("count a failure of delivery %s: %w", l.DeliveryID, postgres.Translate(err))
	}
	return n, nil
}

// SetRechecked takes the mark of a restore from a delivery that was not sent. Without
// the lease nothing changes.
func SetRechecked(ctx context.Context, db postgres.DB, l Lease) error {
	c := columns([]Lease{l})
	_, err := db.Exec(ctx, `
		UPDATE deliveries d SET restored_at = NULL
		FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) AS t(invite_id, id, token, owner)
		WHERE d.invite_id = t.invite_id AND d.id = t.id AND `+ofOwner, c.invites, c.deliveries, c.tokens, c.owners)
	if err != nil {
		return fmt.Errorf("set delivery %s rechecked: %w", l.DeliveryID, postgres.Translate(err))
	}
	return nil
}

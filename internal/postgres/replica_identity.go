package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ReplicaError is a URL that does not name a standby of the primary.
type ReplicaError struct {
	Problem string // after the name of the setting
	Fix     string // a sentence
}

func (e *ReplicaError) Error() string {
	return "CONNECTLINK_DATABASE_READ_URL " + e.Problem + ": " + e.Fix
}

const (
	fixStandby = "name a standby of the database of CONNECTLINK_DATABASE_URL, or leave the setting out"
	fixFollow  = "make it follow the present primary, with pg_rewind or a new base backup"
)

// identity is what a standby has in common with its primary.
type identity struct {
	System   string // of the cluster, as initdb made it
	Database string
	Standby  bool
}

// identify reads the identity of a server. The function is granted to everyone unless
// an administrator took that away.
func identify(ctx context.Context, db DB) (identity, error) {
	rows, _ := db.Query(ctx, `SELECT system_identifier::text AS system, current_database()::text AS database, pg_is_in_recovery() AS standby FROM pg_control_system()`)
	i, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[identity])
	return i, Translate(err)
}

// verify compares the server of a new connection with the primary.
func (primary identity) verify(ctx context.Context, conn *pgx.Conn) error {
	i, err := identify(ctx, conn)
	switch {
	case err != nil:
		return fmt.Errorf("identify the replica: %w", err)
	case i.System != primary.System && !i.Standby:
		return &ReplicaError{"names a primary of another cluster", fixStandby}
	case i.System != primary.System:
		return &ReplicaError{"names a standby of another cluster (its system identifier is " + i.System + ", the primary's " + primary.System + ")", fixStandby}
	case !i.Standby:
		return &ReplicaError{"names a primary, not a standby", fixStandby}
	case i.Database != primary.Database:
		return &ReplicaError{fmt.Sprintf("names the database %q, and CONNECTLINK_DATABASE_URL names %q", i.Database, primary.Database), "name the same database on the standby"}
	}
	return nil
}

// openStandby makes a pool whose connections are each compared with the primary: the URL
// may lead to another server later.
func openStandby(ctx context.Context, primary identity, p Params) (*pgxpool.Pool, error) {
	p.Standby, p.Verify = true, primary.verify
	pool, err := Open(ctx, p)
	var foreign *ReplicaError
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &foreign):
		return nil, foreign
	case errors.As(err, &refused) && refused.Code == "08P01": // a pooler that refuses a parameter
		return nil, &ReplicaError{"leads to a transaction pooler", "name the standby itself, or a load balancer of whole connections"}
	case err != nil:
		return nil, fmt.Errorf("CONNECTLINK_DATABASE_READ_URL: %w", err)
	}
	return pool, nil
}

// otherHistory is a standby that does not follow the primary.
func otherHistory(at, target position) error {
	return &ReplicaError{fmt.Sprintf("names a standby on timeline %d, and the primary is on timeline %d", at.Timeline, target.Timeline), fixFollow}
}

// awaitSchema waits until the standby has the migrations of this program, which the
// primary is known to have.
func awaitSchema(ctx context.Context, url string, within time.Duration) error {
	for until := time.Now().Add(within); ; {
		pending, err := Pending(ctx, url)
		switch {
		case errors.Is(err, ErrUnavailable):
			return nil // Run goes on trying
		case err != nil:
			return fmt.Errorf("read the replica's migrations: %w", err)
		case pending == 0:
			return nil
		case time.Now().After(until):
			return &ReplicaError{fmt.Sprintf("names a standby without %d of the applied migrations", pending),
				"wait until it has caught up; if it does not, its replication is paused, delayed (recovery_min_apply_delay) or broken"}
		}
		if !waitFor(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// CheckReplica compares the standby with the primary once, as OpenReplica does, and
// returns how long it took to catch up.
//
// Errors: *ReplicaError, ErrUnavailable.
func CheckReplica(ctx context.Context, p ReplicaParams) (took time.Duration, err error) {
	p = p.withDefaults()
	known, err := identify(ctx, p.Primary)
	if err != nil {
		return 0, fmt.Errorf("identify the primary: %w", err)
	}
	pool, err := openStandby(ctx, known, Params{URL: p.URL, MaxConns: 1, AppName: p.AppName})
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	if err := awaitSchema(ctx, p.URL, p.Within); err != nil {
		return 0, err
	}
	target, err := readPosition(ctx, p.Primary)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	for {
		at, err := readReplayed(ctx, pool)
		took = time.Since(begun)
		switch {
		case err != nil:
			return took, err
		case at.Timeline != target.Timeline:
			return took, otherHistory(at, target)
		case at.Position >= target.Position:
			return took, nil
		case took > p.Within:
			return took, &ReplicaError{"names a standby that does not catch up", "look at pg_stat_replication on the primary; its replay may be paused, delayed or broken"}
		}
		if !waitFor(ctx, 20*time.Millisecond) {
			return took, ctx.Err()
		}
	}
}

// position is a place in the write-ahead log.
type position struct {
	Standby  bool
	Timeline int
	Position int64 // bytes from the start of the log
}

// readPosition returns how far the primary's log is flushed. Commits are acknowledged
// after their flush, unless synchronous_commit is off.
func readPosition(ctx context.Context, db DB) (position, error) {
	rows, _ := db.Query(ctx, `
		SELECT false AS standby, ('x' || substr(pg_walfile_name(l), 1, 8))::bit(32)::int AS timeline, (l - '0/0')::bigint AS position
		FROM pg_current_wal_flush_lsn() l`)
	p, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[position])
	if err != nil {
		return p, fmt.Errorf("read the primary's position: %w", Translate(err))
	}
	return p, nil
}

// readReplayed returns how far a standby has replayed. The timeline in its control file
// is that of the last page or restart point it wrote, so after a failover it can be
// behind for a while; a log position alone could be one of another history.
func readReplayed(ctx context.Context, db DB) (position, error) {
	rows, _ := db.Query(ctx, `
		SELECT pg_is_in_recovery() AS standby, min_recovery_end_timeline AS timeline, coalesce(pg_last_wal_replay_lsn() - '0/0', 0)::bigint AS position
		FROM pg_control_recovery()`)
	p, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[position])
	if err != nil {
		return p, fmt.Errorf("read the replica's position: %w", Translate(err))
	}
	return p, nil
}

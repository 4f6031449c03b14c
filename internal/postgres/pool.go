package postgres

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Params describes a pool. Zero durations and counts mean the defaults named.
type Params struct {
	URL              string
	MaxConns         int32         // the URL's pool_max_conns, else pgx's: 4 or the number of CPUs
	StatementTimeout time.Duration // 10 s
	LockTimeout      time.Duration // 5 s
	TxTimeout        time.Duration // 3 times StatementTimeout: a whole transaction
	IdleInTx         time.Duration // 15 s
	AcquireTimeout   time.Duration // 250 ms: how long to wait for a free connection
	// Warm is how many connections Open makes before it returns, at most MaxConns: the
	// first requests then need not wait for them. 0 and 1 make the one that proves that
	// the database answers.
	Warm    int
	AppName string // shown in pg_stat_activity; "connectlink"
	// Tracer is told of queries, e.g. otelpgx's; nil for none.
	Tracer pgx.QueryTracer
	// Pooled is for a URL that leads to a transaction pooler such as PgBouncer.
	// No setting is sent at the start of a connection, since poolers refuse those
	// they do not know, and no statement is prepared by name: the next one may run
	// on another server connection.
	Pooled bool
	// Sockets open the connections; nil makes a set of the pool's own.
	Sockets *Sockets
	// Standby is for a URL of standbys: of several hosts one is asked for, unless the
	// URL has target_session_attrs.
	Standby bool
	// Verify is asked of each new connection; its error closes the connection. May be nil.
	Verify func(ctx context.Context, conn *pgx.Conn) error
	// Space is told of statements that failed because the server's disk is full; may be nil.
	Space *Space
}

// DB is what a query needs: a pool, a transaction or a connection.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (int64, error)
}

// Transactor runs statements and starts transactions: a pool, for one.
type Transactor interface {
	DB
	Beginner
}

// Beginner starts transactions: a pool, a connection, or a transaction, which
// then makes a savepoint.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

var (
	_ DB       = (*pgxpool.Pool)(nil)
	_ DB       = (*pgx.Conn)(nil)
	_ DB       = (pgx.Tx)(nil)
	_ Beginner = (*pgxpool.Pool)(nil)
)

// Open makes a pool and proves that the database answers. ctx bounds the proof.
// Close the pool when done.
//
// Errors: ErrUnavailable when the database cannot be reached; a URL that cannot
// be read is reported without its password.
func Open(ctx context.Context, p Params) (*pgxpool.Pool, error) {
	p.StatementTimeout = orDefault(p.StatementTimeout, 10*time.Second)
	limit := &limits{
		space:     p.Space,
		acquire:   orDefault(p.AcquireTimeout, 250*time.Millisecond),
		statement: p.StatementTimeout + clientMargin,
		tx:        orDefault(p.TxTimeout, 3*p.StatementTimeout),
	}
	// Operations without a statement (a ping, closing a connection) have no other
	// limit.
	cfg, err := parseURL(p.URL, p.Sockets, limit.statement+readMargin)
	if err != nil {
		return nil, err
	}
	if p.MaxConns != 0 {
		cfg.MaxConns = p.MaxConns
	}
	// Expiring all connections at the same moment would be a stampede.
	cfg.MaxConnLifetimeJitter = cfg.MaxConnLifetime / 5
	// An idle connection is asked for a sign of life before it is used. One that
	// does not give it must not use up the time there is for another.
	cfg.PingTimeout = max(limit.acquire/2, 100*time.Millisecond)
	if err := checkExecMode(cfg.ConnConfig.DefaultQueryExecMode); err != nil {
		return nil, err
	}
	if p.Standby && hasSeveralHosts(&cfg.ConnConfig.Config) && !isGiven(p.URL, "target_session_attrs", "PGTARGETSESSIONATTRS") {
		cfg.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsStandby
	}
	cfg.AfterConnect = p.Verify
	run := cfg.ConnConfig.RuntimeParams
	run["application_name"] = orDefault(p.AppName, "connectlink")
	run["timezone"] = "UTC"
	if p.Pooled {
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	} else {
		setSessionLimits(run, p)
	}

	cfg.ConnConfig.Tracer = limit
	if p.Tracer != nil {
		cfg.ConnConfig.Tracer = multitracer.New(p.Tracer, limit)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database pool: %w", err)
	}
	limit.pool.Store(pool)
	if err := proveConnection(ctx, pool); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reach the database: %w", Translate(err))
	}
	warm(ctx, pool, min(p.Warm, int(cfg.MaxConns)))
	return pool, nil
}

// warmTimeout bounds how long Open waits for connections after the first.
const warmTimeout = 5 * time.Second

// warm opens n connections at once and leaves them idle in the pool. One that cannot be
// opened is no error: the pool makes it when it is needed, and reports the fault then.
func warm(ctx context.Context, pool *pgxpool.Pool, n int) {
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	held := make([]*pgxpool.Conn, n)
	var all sync.WaitGroup
	for i := range held {
		all.Go(func() { held[i], _ = pool.Acquire(ctx) })
	}
	all.Wait() // none is released before: it would be acquired again
	for _, c := range held {
		if c != nil {
			c.Release()
		}
	}
}

// setSessionLimits sets what each session of a pool is started with.
func setSessionLimits(run map[string]string, p Params) {
	// Compiling a plan takes longer than any of our queries. The planner thinks
	// otherwise of a bounded walk that ends early, and it cost half a second.
	run["jit"] = "off"
	// All we ask goes by a key. Statistics of a table that was never analysed, or was
	// while it was empty, make the planner read it whole.
	run["enable_seqscan"] = "off"
	// Lists are read in the order of an index, up to a limit. By the default of 4 the
	// planner prefers to collect all rows of the key and to sort them where it has no
	// statistics and so expects a few rows.
	run["random_page_cost"] = "1.1"
	run["statement_timeout"] = toMillis(p.StatementTimeout)
	run["lock_timeout"] = toMillis(orDefault(p.LockTimeout, 5*time.Second))
	run["idle_in_transaction_session_timeout"] = toMillis(orDefault(p.IdleInTx, 15*time.Second))
}

// proveConnection waits for the first connection, which may take longer than the limit
// for an acquire; the pool goes on making it meanwhile.
func proveConnection(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := pool.Ping(ctx)
		if !isPoolFull(err) {
			return err
		}
		if !waitFor(ctx, 5*time.Millisecond) {
			return err
		}
	}
}

// readMargin is how much longer than a statement one read may wait.
const readMargin = 2 * time.Second

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

func toMillis(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }

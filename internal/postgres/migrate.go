package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/connectlink/connectlink/migrations"
)

// migrateLock is the advisory lock that serialises migrating processes
// ("cl-migr1" in ASCII).
const migrateLock int64 = 0x636c2d6d69677231

// versionTable is goose's, named by us so that a default of the library cannot
// move it.
const versionTable = "goose_db_version"

// migrateLockTimeout is how long a migration waits for a lock. All statements that come
// after the waiting one wait behind it, so it is short, and the migration is
// repeated instead. A migration that builds an index CONCURRENTLY blocks nothing
// while it waits; it sets a longer one for itself.
const migrateLockTimeout = 2 * time.Second

// Between two attempts to get a lock, and how long to go on.
const (
	lockRetryAfter  = time.Second
	lockRetryWithin = 5 * time.Minute
)

// Migrate brings the database at url up to date. Several processes may call it
// at once: one works, the others wait and then find nothing to do. url must be
// a direct one; log hears of each migration.
//
// A migration that does not get a lock within migrateLockTimeout is rolled back and
// repeated, for at most lockRetryWithin. The processes of the service run
// meanwhile.
func Migrate(ctx context.Context, url string, log *slog.Logger) error {
	for until := time.Now().Add(lockRetryWithin); ; {
		err := migrateOnce(ctx, url, log)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != lockNotAvailable || time.Now().After(until) {
			return err
		}
		log.WarnContext(ctx, "a migration waits for a lock of another session and is repeated", "err", err)
		if !waitFor(ctx, lockRetryAfter) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// lockNotAvailable is the SQLSTATE after lock_timeout.
const lockNotAvailable = "55P03"

// migrateOnce applies the pending migrations until one fails.
func migrateOnce(ctx context.Context, url string, log *slog.Logger) (err error) {
	parsed, err := parseURL(url, nil, 0)
	if err != nil {
		return err
	}
	cfg := parsed.ConnConfig
	cfg.RuntimeParams["application_name"] = "connectlink migrate"
	cfg.RuntimeParams["timezone"] = "UTC"
	cfg.RuntimeParams["lock_timeout"] = toMillis(migrateLockTimeout)
	cfg.RuntimeParams["statement_timeout"] = "0"
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()

	p, err := newProvider(db)
	if err != nil {
		return err
	}
	results, err := p.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	for _, r := range results {
		log.InfoContext(ctx, "migrated", "version", r.Source.Version, "source", r.Source.Path, "took", r.Duration.Round(time.Millisecond))
	}
	if partial != nil {
		return fmt.Errorf("migration %s: %w", partial.Failed.Source.Path, describeError(partial.Err))
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", Translate(err))
	}
	return nil
}

// pendingTimeout bounds the question which migrations were applied.
const pendingTimeout = 30 * time.Second

// Pending counts the migrations that this program has and the database at url
// has not. It changes nothing, so a role without rights on the schema can ask.
func Pending(ctx context.Context, url string) (int, error) {
	parsed, err := parseURL(url, nil, pendingTimeout)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, pendingTimeout)
	defer cancel()
	db := stdlib.OpenDB(*parsed.ConnConfig)
	defer func() { _ = db.Close() }()
	p, err := newProvider(db)
	if err != nil {
		return 0, err
	}
	applied, err := appliedVersions(ctx, db)
	if err != nil {
		return 0, fmt.Errorf("read applied migrations: %w", Translate(err))
	}
	n := 0
	for _, s := range p.ListSources() {
		if !applied[s.Version] {
			n++
		}
	}
	return n, nil
}

func appliedVersions(ctx context.Context, db *sql.DB) (map[int64]bool, error) {
	rows, err := db.QueryContext(ctx, "SELECT version_id FROM "+versionTable+" WHERE is_applied")
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" { // no such table: an empty database
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	applied := map[int64]bool{}
	for rows.Next() {
		var v int64
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		applied[v] = true
	}
	return applied, rows.Err()
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	sources, err := fs.Sub(migrations.FS, ".")
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, sources,
		goose.WithGoMigrations(migrations.GoMigrations()...),
		goose.WithDisableGlobalRegistry(true),
		goose.WithTableName(versionTable),
		goose.WithSessionLocker(sessionLock{}),
		// Numbers are given out in blocks (product, sandbox, River), so a new
		// migration of the product comes below ones applied long ago.
		goose.WithAllowOutofOrder(true),
	)
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return p, nil
}

// sessionLock polls for the advisory lock instead of waiting inside a
// statement: such a statement holds a snapshot, for which CREATE INDEX
// CONCURRENTLY in the process that has the lock would wait in turn.
type sessionLock struct{}

func (sessionLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var got bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", migrateLock).Scan(&got); err != nil || got {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (sessionLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", migrateLock)
	return err
}

// describeError keeps the server's message: a migration's failure is read by its
// author or operator, and its statements contain no personal data. Details may.
func describeError(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	return fmt.Errorf("%s (SQLSTATE %s): %w", pg.Message, pg.Code, Translate(err))
}

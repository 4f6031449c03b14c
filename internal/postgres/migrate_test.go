package postgres_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/waittest"
	"github.com/connectlink/connectlink/migrations"
)

func TestMigrateManyAtOnce(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	conn := connect(t, url)

	before, err := postgres.Pending(t.Context(), url)
	if err != nil || before < 2 {
		t.Fatalf("pending on an empty database: %d, %v", before, err)
	}
	if n := scalar[int](t, conn, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != 0 {
		t.Errorf("asking what is pending made %d tables", n)
	}

	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := postgres.Migrate(t.Context(), url, quiet); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()

	if n, err := postgres.Pending(t.Context(), url); err != nil || n != 0 {
		t.Errorf("pending afterwards: %d, %v", n, err)
	}
	if applied := scalar[int](t, conn, "SELECT count(*) FROM goose_db_version WHERE version_id > 0"); applied != before {
		t.Errorf("%d versions were recorded, %d were pending: one ran twice or not at all", applied, before)
	}
	if !scalar[bool](t, conn, "SELECT to_regclass($1) IS NOT NULL", migrations.RiverSchema+".river_job") {
		t.Error("River's tables are missing")
	}
	if locks := scalar[int](t, conn, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"); locks != 0 {
		t.Errorf("%d advisory locks are left", locks)
	}
}

// No migration is reverted in production; reverting here shows that each
// migration knows its own changes.
func TestMigrationsGoDownAndUpAgain(t *testing.T) {
	t.Parallel()
	url := postgrestest.New(t)
	revertTo(t, url, 0)
	const left = `SELECT coalesce(string_agg(n.nspname || '.' || c.relname, ', '), '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relname !~ '^goose_'`
	if got := scalar[string](t, connect(t, url), left); got != "" {
		t.Errorf("left behind: %s", got)
	}
	if err := postgres.Migrate(t.Context(), url, quiet); err != nil {
		t.Errorf("up again: %v", err)
	}
}

func TestMigrateNamesTheFailedMigration(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	exec(t, connect(t, url), "CREATE TABLE invites ()") // in the way
	err := postgres.Migrate(t.Context(), url, quiet)
	if err == nil || !strings.Contains(err.Error(), "00001_init.sql") || !strings.Contains(err.Error(), `"invites" already exists`) {
		t.Errorf("got %v", err)
	}
}

// A migration that waits for a lock makes all later statements on the table wait behind
// it. So it gives up soon, lets them pass, and is repeated.
func TestMigrateRepeatsAMigrationThatDoesNotGetItsLock(t *testing.T) {
	t.Parallel()
	url := postgrestest.New(t)
	revertTo(t, url, 110) // 00111 adds columns to api_keys
	busy, other := connect(t, url), connect(t, url)
	exec(t, busy, "BEGIN")
	exec(t, busy, "LOCK TABLE api_keys IN ROW EXCLUSIVE MODE") // as an insert does

	var log waitLog
	ended := make(chan error, 1)
	go func() { ended <- postgres.Migrate(t.Context(), url, slog.New(&log)) }()
	waittest.Until(t, "the migration gives its place up", func() bool { return log.seen.Load() > 0 })
	exec(t, other, "SET statement_timeout = '30s'") // far above the time that a migration waits
	if n := scalar[int](t, other, "SELECT count(*) FROM api_keys"); n != 0 {
		t.Errorf("%d keys", n)
	}
	select {
	case err := <-ended:
		t.Fatalf("ended while the table was locked: %v", err)
	default:
	}
	exec(t, busy, "COMMIT")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n, err := postgres.Pending(t.Context(), url); err != nil || n != 0 {
		t.Errorf("pending afterwards: %d, %v", n, err)
	}
}

// waitLog counts warnings.
type waitLog struct{ seen atomic.Int64 }

func (l *waitLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l *waitLog) Handle(context.Context, slog.Record) error        { l.seen.Add(1); return nil }
func (l *waitLog) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *waitLog) WithGroup(string) slog.Handler                    { return l }

// revertTo reverts the migrations above a version.
func revertTo(t *testing.T, url string, version int64) {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*cfg)
	t.Cleanup(func() { _ = db.Close() })
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS,
		goose.WithGoMigrations(migrations.GoMigrations()...), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DownTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}

func TestPendingWithoutADatabase(t *testing.T) {
	t.Parallel()
	if _, err := postgres.Pending(t.Context(), "postgres://127.0.0.1:1/none?sslmode=disable"); err == nil {
		t.Error("no error")
	}
}

package postgres_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
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
	if _, err := p.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
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

func TestPendingWithoutADatabase(t *testing.T) {
	t.Parallel()
	if _, err := postgres.Pending(t.Context(), "postgres://127.0.0.1:1/none?sslmode=disable"); err == nil {
		t.Error("no error")
	}
}

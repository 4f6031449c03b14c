package postgres_test

import (
	"strings"
	"sync"
	"testing"

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

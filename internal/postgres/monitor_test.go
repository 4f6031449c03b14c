package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

func monitor(t *testing.T, p postgres.MonitorParams) *postgres.Monitor {
	t.Helper()
	p.Log, p.Every = quiet, 20*time.Millisecond
	m, err := postgres.NewMonitor(p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// becomes waits until the monitor's answer is as wanted.
func becomes(t *testing.T, m *postgres.Monitor, what string, is func(error) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if err = m.Writable(t.Context()); is(err) {
			return
		}
	}
	t.Fatalf("never %s; it says: %v", what, err)
}

// F02: readiness tells of a read-only database, and recovers without a restart.
func TestF02MonitorTellsOfAReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewEmpty(t)
	admin := connect(t, database)
	m := monitor(t, postgres.MonitorParams{URL: database})
	background(t, m.Run)
	writable := func(err error) bool { return err == nil }
	becomes(t, m, "writable", writable)
	name := pgx.Identifier{scalar[string](t, admin, "SELECT current_database()")}.Sanitize()
	exec(t, admin, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	kick(t, admin, "connectlink monitor")
	becomes(t, m, "read-only", func(err error) bool { return errors.Is(err, postgres.ErrReadOnly) })
	exec(t, admin, "ALTER DATABASE "+name+" RESET default_transaction_read_only")
	becomes(t, m, "writable again", writable)
}

// F1 (c): readiness tells of a database that fell silent, and a full pool does
// not make it red.
func TestF1MonitorTellsOfSilenceAndNotOfAFullPool(t *testing.T) {
	t.Parallel()
	way := newLink(t, postgrestest.NewEmpty(t), 0)
	pool := open(t, postgres.Params{URL: way.url, MaxConns: 1})
	held, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	m := monitor(t, postgres.MonitorParams{URL: way.url})
	if err := m.Writable(t.Context()); err != nil {
		t.Errorf("with a full pool: %v", err)
	}
	background(t, m.Run)
	way.goSilent()
	becomes(t, m, "red", func(err error) bool { return err != nil })
	becomes(t, m, "green again by a new connection", func(err error) bool { return err == nil })
}

// A role that may not write messages to the log is not held against the database.
func TestMonitorWithoutTheRightToWriteMessages(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewEmpty(t)
	admin := connect(t, database)
	exec(t, admin, "REVOKE EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) FROM public")
	role := "monitor_" + scalar[string](t, admin, "SELECT current_database()")
	exec(t, admin, "CREATE ROLE "+pgx.Identifier{role}.Sanitize()+" LOGIN")
	t.Cleanup(func() { _, _ = admin.Exec(context.Background(), "DROP ROLE "+pgx.Identifier{role}.Sanitize()) })
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	m := monitor(t, postgres.MonitorParams{URL: u.String()})
	for range 2 {
		if err := m.Writable(context.Background()); err != nil {
			t.Error(err)
		}
	}
	background(t, m.Run)
}

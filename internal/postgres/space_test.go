package postgres_test

import (
	"errors"
	"testing"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

// A server whose disk is full takes writes into its log: only a statement that needs room
// shows it, and readiness goes by that until a question for room succeeds.
func TestMonitorTellsOfAFullDisk(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewEmpty(t)
	space := new(postgres.Space)
	pool := open(t, postgres.Params{URL: database, Space: space})
	m := monitor(t, postgres.MonitorParams{URL: database, Space: space})
	background(t, m.Run)
	becomes(t, m, "writable", func(err error) bool { return err == nil })
	if _, err := pool.Exec(t.Context(), `DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$`); !errors.Is(postgres.Translate(err), postgres.ErrUnavailable) {
		t.Fatal(err)
	}
	becomes(t, m, "full", func(err error) bool { return errors.Is(err, postgres.ErrDiskFull) })
	becomes(t, m, "writable again", func(err error) bool { return err == nil })
}

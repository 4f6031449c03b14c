package queue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// TestF4StatementsGoByTheirKeysWithStatisticsOfAnEmptyQueue: autovacuum analyses
// the queue when it is empty, and the planner then takes its partial indexes for
// empty. No statement on a batch may walk the due or leased rows.
func TestF4StatementsGoByTheirKeysWithStatisticsOfAnEmptyQueue(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	const lane, due, batch = "p/sms/test", 4000, 64
	exec := func(sql string) {
		t.Helper()
		if _, err := db.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`ALTER TABLE deliveries SET (autovacuum_enabled = off)`)
	insert(t, db, lane, 2000) // finished ones
	exec(`UPDATE deliveries SET next_at = NULL, status = 'delivered'`)
	exec(`VACUUM ANALYZE deliveries`)
	insert(t, db, lane, due)
	// Many are leased, by one process: renewal must not compare them pair by pair.
	held := claim(t, db, queue.Want{Owner: 7, Batch: 512, PerLane: 512, Lease: time.Hour})
	leases := make([]queue.Lease, len(held))
	for i, j := range held {
		leases[i] = j.Lease
	}
	none := make([]time.Duration, batch)
	inTx := func(fn func(tx pgx.Tx) error) error {
		return postgres.InTx(ctx, db, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, queue.KeyBound); err != nil {
				return err
			}
			return fn(tx)
		})
	}
	for _, c := range []struct {
		name string
		call func() error
	}{
		{"begin", func() error {
			var attempts []queue.NewAttempt
			for _, j := range held[:batch] {
				attempts = append(attempts, queue.NewAttempt{Lease: j.Lease, Version: j.Invite.Version, ID: invite.New[invite.AttemptID](), Provider: "twilio", Account: "x", TemplateVersion: "1"})
			}
			begun, err := queue.Begin(ctx, db, attempts, time.Hour)
			for _, a := range attempts {
				if err == nil && !begun[a.ID].OK {
					err = fmt.Errorf("not begun: %+v", begun[a.ID])
				}
			}
			return err
		}},
		{"held", func() error {
			return inTx(func(tx pgx.Tx) error { _, err := queue.Held(ctx, tx, leases[:batch]); return err })
		}},
		{"renew", func() error { _, err := queue.Renew(ctx, db, leases, 10*time.Hour); return err }},
		{"read again", func() error { _, _, err := queue.FindJob(ctx, db, leases[0]); return err }},
		{"set next", func() error {
			return inTx(func(tx pgx.Tx) error {
				b := &pgx.Batch{}
				queue.QueueNext(b, leases[:batch], none)
				return tx.SendBatch(ctx, b).Close()
			})
		}},
		{"release", func() error {
			_, err := queue.Release(ctx, db, leases[batch:2*batch], none)
			return err
		}},
		{"set poisoned", func() error { _, err := queue.SetPoisoned(ctx, db, leases[2*batch], time.Minute); return err }},
		{"set done", func() error { _, err := queue.SetDone(ctx, db, leases[2*batch+1]); return err }},
	} {
		before := rowsRead(t, db)
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		after := rowsRead(t, db)
		for place, n := range after {
			if read := n - before[place]; read > 8*batch {
				t.Errorf("%s reads %d rows of %s", c.name, read, place)
			}
		}
	}
}

// rowsRead is how many rows were read by walking: through the partial indexes of
// the queue, and of the table as a whole.
func rowsRead(t *testing.T, db *pgxpool.Pool) map[string]int64 {
	t.Helper()
	ctx := t.Context()
	// Each session flushes its own counts.
	for _, conn := range db.AcquireAllIdle(ctx) {
		_, err := conn.Exec(ctx, `SELECT pg_stat_force_next_flush()`)
		conn.Release()
		if err != nil {
			t.Fatal(err)
		}
	}
	out := make(map[string]int64)
	rows, err := db.Query(ctx, `
		SELECT indexrelname::text, idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname IN ('deliveries_due', 'deliveries_leased')
		UNION ALL SELECT 'deliveries', seq_tup_read FROM pg_stat_user_tables WHERE relname = 'deliveries'`)
	if err != nil {
		t.Fatal(err)
	}
	var place string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&place, &n}, func() error { out[place] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

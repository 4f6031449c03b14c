package dispatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/waittest"
)

// world is a database, the vendors' stand-in on a real socket, and as many
// dispatchers as a test asks for.
type world struct {
	t    testing.TB
	url  string
	db   *pgxpool.Pool
	sink *sink.Sink
	rig  chaos.Rig
}

func newWorld(t testing.TB) *world {
	t.Helper()
	url := postgrestest.New(t)
	db, err := postgres.Open(t.Context(), postgres.Params{URL: url, MaxConns: 12, AcquireTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		t.Fatal(err)
	}
	s := sink.New()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return &world{t: t, url: url, db: db, sink: s, rig: chaos.Rig{
		DB: db, DirectURL: url, Box: box, SinkURL: server.URL, Settle: 300 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}}
}

// params are a dispatcher's with knobs for tests: the rules are the same, only
// the waits are shorter.
func (w *world) params(change ...func(*dispatch.Params)) dispatch.Params {
	w.t.Helper()
	p, err := w.rig.Params()
	if err != nil {
		w.t.Fatal(err)
	}
	p.Renew, p.Reap, p.Poll = 500*time.Millisecond, 100*time.Millisecond, 20*time.Millisecond
	// No slow machine outlasts these: a lost lease would rightly be sent again.
	p.Lease, p.CallDeadline = time.Minute, 20*time.Second
	p.RetryFirst, p.RetryMax = 30*time.Millisecond, 200*time.Millisecond
	p.Trip.First, p.Trip.Max, p.AccountHold = 200*time.Millisecond, time.Second, 200*time.Millisecond
	for _, f := range change {
		f(&p)
	}
	return p
}

// benchParams are the defaults.
func (w *world) benchParams() dispatch.Params {
	w.t.Helper()
	p, err := w.rig.Params()
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// run starts a dispatcher and stops it with the test, or when stop is called.
func (w *world) run(p dispatch.Params) (d *dispatch.Dispatcher, stop func()) {
	w.t.Helper()
	d, err := dispatch.New(p)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.Run(ctx); err != nil {
			w.t.Errorf("run: %v", err)
		}
	}()
	stop = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(waittest.Limit):
			w.t.Error("the dispatcher did not stop")
		}
	}
	w.t.Cleanup(stop)
	return d, stop
}

func (w *world) load(n int, l chaos.Load) []chaos.Loaded {
	w.t.Helper()
	out, err := w.rig.Insert(w.t.Context(), n, l)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// until waits for a condition; in vain, it shows where the deliveries stand.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	waittest.Until(w.t, what, ok, w.picture)
}

// picture shows where the deliveries stand, for a failing test's output.
func (w *world) picture() string {
	var s string
	_ = w.db.QueryRow(context.WithoutCancel(w.t.Context()), `
		SELECT coalesce(string_agg(line, E'\n'), 'no deliveries') FROM (
			SELECT format('%s %s reason=%s next=%s token=%s owner=%s attempts=%s outcomes=%s', d.id, d.status, d.reason, d.next_at - now(),
				d.lease_token, d.lease_owner, d.attempts,
				(SELECT string_agg(outcome, ',') FROM attempts a WHERE a.invite_id = d.invite_id)) AS line
			FROM deliveries d ORDER BY status = 'accepted', next_at LIMIT 10) x`).Scan(&s)
	return s
}

// all reports whether every delivery has this status.
func (w *world) all(status string) func() bool {
	return func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE status <> $1`, status) == 0
	}
}

// timeline is the types and numbers of an invite's events as they are shown.
func (w *world) timeline(id invite.ID) string {
	w.t.Helper()
	events, err := find.Events(w.t.Context(), w.db, id)
	if err != nil {
		w.t.Fatal(err)
	}
	var types []string
	for _, e := range events {
		types = append(types, fmt.Sprint(e.Type, " ", e.Seq))
	}
	return strings.Join(types, ",")
}

func (w *world) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.db.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) text(sql string, args ...any) string {
	w.t.Helper()
	var s string
	if err := w.db.QueryRow(w.t.Context(), sql, args...).Scan(&s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// once checks that each loaded delivery was taken exactly once, and nothing else was.
func (w *world) once(loaded []chaos.Loaded) {
	w.t.Helper()
	got := w.sink.Count()
	for _, l := range loaded {
		if got[l.Key] != 1 {
			w.t.Errorf("delivery %s was taken %d times, want once", l.DeliveryID, got[l.Key])
		}
	}
	if len(got) != len(loaded) {
		w.t.Errorf("%d different messages were taken, want %d", len(got), len(loaded))
	}
}

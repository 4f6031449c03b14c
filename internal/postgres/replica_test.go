package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// startServer starts a server of its own; from is the URL of the primary that it follows.
func startServer(t *testing.T, dir, from string) *devpg.Server {
	t.Helper()
	pg, err := devpg.Start(t.Context(), devpg.Params{
		Dir: dir, From: from, NoSync: true,
		// A primary waits at its end until each standby has everything, also a paused one.
		Settings: map[string]string{"wal_level": "replica", "max_wal_senders": "8", "wal_sender_timeout": "1s", "wal_receiver_status_interval": "200ms", "wal_retrieve_retry_interval": "200ms"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Stop(context.WithoutCancel(t.Context())) })
	return pg
}

// reads is a read that tells where it ran.
func reads(t *testing.T, r postgres.Reader) (onReplica bool, newest int) {
	t.Helper()
	err := r.Read(t.Context(), func(db postgres.DB) error {
		return db.QueryRow(t.Context(), `SELECT pg_is_in_recovery(), coalesce(max(n), 0) FROM written`).Scan(&onReplica, &newest)
	})
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return onReplica, newest
}

// refusal opens a replica that must be refused.
func refusal(t *testing.T, primary *pgxpool.Pool, url string, want ...string) {
	t.Helper()
	p := postgres.ReplicaParams{URL: url, Primary: primary, Log: quiet, Within: 200 * time.Millisecond}
	r, err := postgres.OpenReplica(t.Context(), p)
	if err == nil {
		r.Close()
		t.Errorf("not refused, want %q", want)
		return
	}
	_, doctors := postgres.CheckReplica(t.Context(), p)
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("refused with %q, want %q", err, w)
		}
		if doctors == nil || !strings.Contains(doctors.Error(), w) {
			t.Errorf("doctor: %v, want %q", doctors, w)
		}
	}
}

// otherDatabase is a URL with another name of the database.
func otherDatabase(t *testing.T, raw, name string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func TestReplicaServesReadsOrThePrimaryDoes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a primary and a standby")
	}
	dir := t.TempDir()
	one := startServer(t, filepath.Join(dir, "one"), "")
	two := startServer(t, filepath.Join(dir, "two"), one.URL())
	var three *devpg.Server
	if longtest.Wanted() {
		three = startServer(t, filepath.Join(dir, "three"), one.URL())
	}
	primary := open(t, postgres.Params{URL: one.URL()})
	standby := open(t, postgres.Params{URL: two.URL()})

	t.Run("refused at the start", func(t *testing.T) {
		// A standby that lacks migrations is waited for, and refused if it stays so.
		exec(t, standby, "SELECT pg_wal_replay_pause()")
		if err := postgres.Migrate(t.Context(), one.URL(), quiet); err != nil {
			t.Fatal(err)
		}
		refusal(t, primary, two.URL(), "CONNECTLINK_DATABASE_READ_URL", "without", "migrations", "paused")
		exec(t, standby, "SELECT pg_wal_replay_resume()")

		exec(t, primary, "CREATE DATABASE other")
		stranger := open(t, postgres.Params{})
		refusal(t, primary, one.URL(), "names a primary, not a standby", "leave the setting out")
		refusal(t, primary, postgrestest.NewEmpty(t), "names a primary of another cluster")
		refusal(t, stranger, two.URL(), "names a standby of another cluster", "system identifier")
		waittest.Until(t, "the standby has the other database", func() bool {
			return scalar[bool](t, standby, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'other')")
		})
		refusal(t, primary, otherDatabase(t, two.URL(), "other"), `names the database "other"`)
		refusal(t, primary, otherDatabase(t, two.URL(), "missing"), "CONNECTLINK_DATABASE_READ_URL", "3D000")
	})

	exec(t, primary, "CREATE TABLE written (n int)")
	r, err := postgres.OpenReplica(t.Context(), postgres.ReplicaParams{URL: two.URL(), Primary: primary, Log: quiet, Every: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	background(t, r.Run)
	exact, stale := postgres.Reader{Replica: r}, postgres.Reader{Replica: r, Staleness: time.Minute}
	n := 0
	write := func() {
		t.Helper()
		n++
		exec(t, primary, "INSERT INTO written VALUES ($1)", n)
	}
	// current writes and reads, and wants the write to be seen.
	current := func() (onReplica bool) {
		t.Helper()
		write()
		onReplica, newest := reads(t, exact)
		if newest != n {
			t.Fatalf("read %d (on the replica: %v) after %d was acknowledged", newest, onReplica, n)
		}
		return onReplica
	}
	usedAgain := func(what string) {
		t.Helper()
		waittest.Until(t, what, func() bool { return current() })
	}

	t.Run("a read has what was acknowledged before", func(t *testing.T) {
		usedAgain("reads come from the replica")
		// The standby is late by a fixed time, and reads wait for it.
		exec(t, standby, "ALTER SYSTEM SET recovery_min_apply_delay = '60ms'")
		exec(t, standby, "SELECT pg_reload_conf()")
		before, _ := r.Counts()
		begun := time.Now()
		for range 20 {
			current()
		}
		if now, _ := r.Counts(); now-before < 10 {
			t.Errorf("%d of 20 reads were served by a replica that is 60 ms late", now-before)
		}
		if took := time.Since(begun); took < 500*time.Millisecond {
			t.Errorf("20 reads took %v: the replica was not late, so they show nothing", took)
		}
		exec(t, standby, "ALTER SYSTEM RESET recovery_min_apply_delay")
		exec(t, standby, "SELECT pg_reload_conf()")
		usedAgain("reads come from the replica without the delay")
	})

	t.Run("an idle primary is no lag", func(t *testing.T) {
		write()
		wrote := time.Now()
		waittest.Until(t, "the lag is less than the time since the last write", func() bool {
			idle := time.Since(wrote)
			return idle > 300*time.Millisecond && r.State().Lag < idle/2
		})
	})

	t.Run("replay paused", func(t *testing.T) {
		exec(t, standby, "SELECT pg_wal_replay_pause()")
		waittest.Until(t, "replay is paused", func() bool {
			return scalar[string](t, standby, "SELECT pg_get_wal_replay_pause_state()") == "paused"
		})
		seen := n
		begun := time.Now()
		if current() {
			t.Error("a paused replica served a read")
		}
		t.Logf("the first read while paused took %v", time.Since(begun))
		if s := r.State(); s.Problem != postgres.ReplicaBehind {
			t.Errorf("state %+v", s)
		}
		begun = time.Now()
		current()
		t.Logf("the next one took %v", time.Since(begun))
		if onReplica, newest := reads(t, stale); !onReplica || newest != seen {
			t.Errorf("a read that may be a minute old: on the replica %v, %d, want %d", onReplica, newest, seen)
		}
		if onReplica, newest := reads(t, postgres.Reader{Replica: r, Staleness: time.Nanosecond}); onReplica || newest != n {
			t.Errorf("a read that may be a nanosecond old: on the replica %v, %d, want %d", onReplica, newest, n)
		}
		lag := r.State().Lag
		waittest.Until(t, "the lag grows", func() bool { return r.State().Lag > lag+100*time.Millisecond })
		exec(t, standby, "SELECT pg_wal_replay_resume()")
		usedAgain("reads come from the resumed replica")
	})

	t.Run("silent", func(t *testing.T) {
		way := newLink(t, two.URL(), 0)
		sockets := postgres.NewSockets()
		r, err := postgres.OpenReplica(t.Context(), postgres.ReplicaParams{URL: way.url, Primary: primary, Log: quiet, Sockets: sockets})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			sockets.Cut()
			r.Close()
		})
		if onReplica, _ := reads(t, postgres.Reader{Replica: r}); !onReplica {
			t.Fatalf("the link serves no reads: %+v", r.State())
		}
		way.goSilent()
		begun := time.Now()
		onReplica, newest := reads(t, postgres.Reader{Replica: r})
		took := time.Since(begun)
		if onReplica || newest != n || took > 2*time.Second {
			t.Errorf("a silent replica: served a read %v, %d (want %d), in %v", onReplica, newest, n, took)
		}
		t.Logf("the first read while silent took %v", took)
		background(t, r.Run)
		waittest.Until(t, "new connections serve reads", func() bool { onReplica, _ := reads(t, postgres.Reader{Replica: r}); return onReplica })
	})

	outer := t
	t.Run("killed and started again", func(t *testing.T) {
		var failed, served atomic.Int64
		background(t, func(ctx context.Context) error {
			for ctx.Err() == nil {
				var one int
				err := exact.Read(ctx, func(db postgres.DB) error { return db.QueryRow(ctx, "SELECT count(*) FROM written").Scan(&one) })
				switch {
				case ctx.Err() != nil:
				case err != nil:
					failed.Add(1)
					t.Logf("a read failed: %v", err)
				default:
					served.Add(1)
				}
			}
			return nil
		})
		if err := syscall.Kill(two.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-two.Done()
		waittest.Until(t, "the replica is known to be unreachable", func() bool { return r.State().Problem == postgres.ReplicaUnreachable })
		if current() {
			t.Error("a killed replica served a read")
		}
		_ = two.Stop(t.Context())
		two = startServer(outer, filepath.Join(dir, "two"), one.URL())
		usedAgain("reads come from the replica that is back")
		if served.Load() == 0 || failed.Load() > 0 {
			t.Errorf("%d reads served, %d failed", served.Load(), failed.Load())
		}
	})

	t.Run("promoted", func(t *testing.T) {
		standby := open(t, postgres.Params{URL: two.URL()})
		if !scalar[bool](t, standby, "SELECT pg_promote()") {
			t.Fatal("not promoted")
		}
		waittest.Until(t, "the promoted server is no replica any more", func() bool { return r.State().Problem == postgres.ReplicaForeign })
		if current() {
			t.Error("a promoted server served a read")
		}
		if three == nil {
			return
		}
		// The third server goes on following the old primary. Its log is longer than the new
		// primary's, and is another history.
		exec(t, primary, "INSERT INTO written SELECT 1 FROM generate_series(1, 100000)")
		waittest.Until(t, "the third server follows the old primary", func() bool {
			pool := open(t, postgres.Params{URL: three.URL()})
			return scalar[int](t, pool, "SELECT count(*) FROM written") > 100000
		})
		_, err := postgres.CheckReplica(t.Context(), postgres.ReplicaParams{URL: three.URL(), Primary: standby})
		var foreign *postgres.ReplicaError
		if !errors.As(err, &foreign) || !strings.Contains(err.Error(), "timeline") {
			t.Errorf("a standby of the old primary: %v", err)
		}
		r, err := postgres.OpenReplica(t.Context(), postgres.ReplicaParams{URL: three.URL(), Primary: standby, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		if onReplica, _ := reads(t, postgres.Reader{Replica: r}); onReplica || r.State().Problem != postgres.ReplicaForeign {
			t.Errorf("a standby of the old primary: served a read %v, %+v", onReplica, r.State())
		}
	})
}

// A replica that is away when a process starts is no reason not to start.
func TestReplicaMayBeAwayAtTheStart(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	primary := open(t, postgres.Params{})
	exec(t, primary, "CREATE TABLE written (n int)")
	r, err := postgres.OpenReplica(t.Context(), postgres.ReplicaParams{
		URL: "postgres://nobody@127.0.0.1:1/nothing?sslmode=disable", Primary: primary, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	for range 3 {
		if onReplica, _ := reads(t, postgres.Reader{Replica: r}); onReplica {
			t.Error("on a replica?")
		}
	}
	if n := strings.Count(log.String(), "lists are read from the primary"); n != 1 {
		t.Errorf("told of %d times, want once: %s", n, log.String())
	}
	if _, n := r.Counts(); n != 3 {
		t.Errorf("%d reads counted", n)
	}
}

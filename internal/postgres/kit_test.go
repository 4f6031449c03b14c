package postgres_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// patience is how long asynchronous things may take on a busy machine.
const patience = waittest.Limit

func open(t *testing.T, p postgres.Params) *pgxpool.Pool {
	t.Helper()
	if p.URL == "" {
		p.URL = postgrestest.NewEmpty(t)
	}
	if p.Sockets == nil {
		p.Sockets = postgres.NewSockets()
	}
	pool, err := postgres.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Sockets.Cut() // an orderly close waits for the silent end
		pool.Close()
	})
	return pool
}

func exec(t *testing.T, db postgres.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func scalar[T any](t *testing.T, db postgres.DB, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := db.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// background runs a Run method until the test ends.
func background(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not end with its context")
		}
	})
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing within %v", what, patience)
		panic("unreachable")
	}
}

// kick ends the server's side of every connection with this name.
func kick(t *testing.T, db postgres.DB, name string) {
	t.Helper()
	n := scalar[int](t, db, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()", name)
	if n == 0 {
		t.Fatalf("no connection named %q to end", name)
	}
}

// link is a TCP way to the database that can go silent, as a firewall or a
// pulled cable makes it: nothing is closed, nothing arrives.
type link struct {
	url string

	mu     sync.Mutex
	silent chan struct{} // closed: nothing passes on connections made before
	conns  []net.Conn
}

// newLink makes a link that takes delay to connect.
func newLink(t *testing.T, databaseURL string, delay time.Duration) *link {
	t.Helper()
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password),
		Host: ln.Addr().String(), Path: "/" + cfg.Database, RawQuery: "sslmode=disable",
	}
	l := &link{url: u.String(), silent: make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			time.Sleep(delay) // the delay is the thing under test, not a wait for it
			network, address := pgconn.NetworkAddress(cfg.Host, cfg.Port)
			far, err := net.Dial(network, address)
			if err != nil {
				_ = near.Close()
				continue
			}
			l.mu.Lock()
			silent := l.silent
			l.conns = append(l.conns, near, far)
			l.mu.Unlock()
			all.Go(func() { pass(far, near, silent) })
			all.Go(func() { pass(near, far, silent) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		l.mu.Lock()
		for _, c := range l.conns {
			_ = c.Close()
		}
		l.mu.Unlock()
		all.Wait()
	})
	return l
}

func pass(to, from net.Conn, silent <-chan struct{}) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-silent:
			_, _ = io.Copy(io.Discard, from) // swallow until the connection is closed
			return
		default:
		}
		if err != nil {
			_ = to.Close()
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			_ = from.Close()
			return
		}
	}
}

// goSilent affects the connections there are; new ones work.
func (l *link) goSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.silent)
	l.silent = make(chan struct{})
}

var keys struct {
	sync.Mutex
	last int64
}

// freshKey is an unused advisory lock's key; databases have locks of their
// own, so a counter is enough.
func freshKey() int64 {
	keys.Lock()
	defer keys.Unlock()
	keys.last++
	return keys.last
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func itoa(i int) string { return strconv.Itoa(i) }

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

// F1: no call waits for ever on a connection whose other end fell silent,
// with any context of its caller.
func TestF1CallOnASilentConnectionEnds(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(ctx context.Context, pool *pgxpool.Pool, tx pgx.Tx) error{
		"exec": func(ctx context.Context, pool *pgxpool.Pool, _ pgx.Tx) error {
			_, err := pool.Exec(ctx, "SELECT 1")
			return err
		},
		"query": func(ctx context.Context, pool *pgxpool.Pool, _ pgx.Tx) error {
			var n int
			return pool.QueryRow(ctx, "SELECT 1").Scan(&n)
		},
		"ping": func(ctx context.Context, pool *pgxpool.Pool, _ pgx.Tx) error { return pool.Ping(ctx) },
		"batch": func(ctx context.Context, pool *pgxpool.Pool, _ pgx.Tx) error {
			b := &pgx.Batch{}
			b.Queue("SELECT 1")
			b.Queue("SELECT 2")
			return pool.SendBatch(ctx, b).Close()
		},
		"begin": func(ctx context.Context, pool *pgxpool.Pool, _ pgx.Tx) error {
			return postgres.InTx(ctx, pool, func(pgx.Tx) error { return nil })
		},
		"statement of a transaction": func(ctx context.Context, _ *pgxpool.Pool, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "SELECT 1")
			return err
		},
		"commit": func(ctx context.Context, _ *pgxpool.Pool, tx pgx.Tx) error { return tx.Commit(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			way := newLink(t, postgrestest.NewEmpty(t), 0)
			pool := open(t, postgres.Params{URL: way.url, MaxConns: 2, StatementTimeout: 100 * time.Millisecond, AcquireTimeout: 5 * time.Second})
			tx, err := pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			exec(t, pool, "SELECT 1") // the other connection is there, and idle
			way.goSilent()

			ended := make(chan error, 1)
			go func() { ended <- call(context.Background(), pool, tx) }()
			err = receive(t, ended, "the end of the call")
			if err := postgres.Translate(err); err != nil && !errors.Is(err, postgres.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
			_ = tx.Rollback(t.Context())
			exec(t, pool, "SELECT 1") // by a new connection
		})
	}
}

// F1: a pool does not try one dead idle connection after the other.
func TestF1SilenceReplacesTheWholePool(t *testing.T) {
	t.Parallel()
	way := newLink(t, postgrestest.NewEmpty(t), 0)
	pool := open(t, postgres.Params{URL: way.url, MaxConns: 8, StatementTimeout: time.Second, AcquireTimeout: 5 * time.Second})
	warm(t, pool, 8)
	way.goSilent()
	if _, err := pool.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Fatal("a silent connection answers")
	}
	for range 8 {
		exec(t, pool, "SELECT 1")
	}
}

// warm opens n connections and leaves them idle.
func warm(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	var held []*pgxpool.Conn
	for range n {
		c, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	for _, c := range held {
		c.Release()
	}
}

// F1: statements that are each quick enough do not make a transaction without end.
func TestF1TransactionAsAWholeEnds(t *testing.T) {
	t.Parallel()
	pool := open(t, postgres.Params{StatementTimeout: 10 * time.Second, TxTimeout: 2 * time.Second})
	ended := make(chan error, 1)
	go func() {
		ended <- postgres.InTx(context.Background(), pool, func(tx pgx.Tx) error {
			for {
				if _, err := tx.Exec(context.Background(), "SELECT pg_sleep(0.05)"); err != nil {
					return postgres.Translate(err)
				}
			}
		})
	}()
	if err := receive(t, ended, "the transaction's end"); !errors.Is(err, postgres.ErrTimeout) {
		t.Errorf("got %v, want ErrTimeout", err)
	}
	// The limit belongs to the transaction, not to the connection.
	for range 6 {
		if err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "SELECT pg_sleep(0.5)")
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// The caller's own deadline stays the caller's.
func TestCallersDeadlineIsToldApartFromOurLimit(t *testing.T) {
	t.Parallel()
	way := newLink(t, postgrestest.NewEmpty(t), 0)
	pool := open(t, postgres.Params{URL: way.url, MaxConns: 1})
	way.goSilent()
	ctx, cancel := timeout(t, 50*time.Millisecond)
	defer cancel()
	_, err := pool.Exec(ctx, "SELECT 1")
	if err := postgres.Translate(err); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("got %v, want only context.DeadlineExceeded", err)
	}
}

// deaf is a host that takes connections and never answers: a frozen server.
func deaf(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		done.Wait()
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return ln.Addr().String()
}

// twoHosts is a URL with two hosts: the first is the one given.
func twoHosts(t *testing.T, first, url string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(newLink(t, url, 0).url)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("postgres://%s:%s@%s,%s:%d/%s?sslmode=disable", cfg.User, cfg.Password, first, cfg.Host, cfg.Port, cfg.Database)
}

// F1 (b): a silent first host does not use up the time of the second.
func TestF1SilentFirstHostDoesNotHideTheSecond(t *testing.T) {
	t.Parallel()
	url := twoHosts(t, deaf(t), postgrestest.NewEmpty(t))
	sockets := postgres.NewSockets()
	pool := open(t, postgres.Params{URL: url, Sockets: sockets, AcquireTimeout: 10 * time.Second})
	exec(t, pool, "SELECT 1")
	conn, err := postgres.DialSession(t.Context(), postgres.SessionParams{URL: url, Name: "session", Sockets: sockets})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// F1: at a stop, what waits for the database is cut off, and nothing dials again.
func TestF1CutEndsWhatWaits(t *testing.T) {
	t.Parallel()
	way := newLink(t, postgrestest.NewEmpty(t), 0)
	sockets := postgres.NewSockets()
	pool := open(t, postgres.Params{URL: way.url, MaxConns: 2, Sockets: sockets})
	h, err := postgres.DialSession(t.Context(), postgres.SessionParams{URL: way.url, Sockets: sockets})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close(t.Context()) }()
	way.goSilent()
	ended := make(chan error, 2)
	go func() {
		_, err := pool.Exec(context.Background(), "SELECT 1")
		ended <- err
	}()
	go func() {
		_, err := h.WaitForNotification(context.Background())
		ended <- err
	}()
	sockets.Cut()
	for range 2 {
		if err := postgres.Translate(receive(t, ended, "the end of the call")); !errors.Is(err, postgres.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	if _, err := pool.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a connection was opened after the cut")
	}
}

// F02: sessions that were read-only are not kept.
func TestF02ReadOnlySessionsAreReplacedAtTheirFirstRefusal(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	admin := connect(t, url)
	pool := open(t, postgres.Params{URL: url, MaxConns: 8, AppName: "reader", AcquireTimeout: 5 * time.Second})
	exec(t, admin, "CREATE TABLE t (n int)")
	name := pgx.Identifier{scalar[string](t, admin, "SELECT current_database()")}.Sanitize()
	exec(t, admin, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	kick(t, admin, "reader")
	pool.Reset()
	warm(t, pool, 8)
	exec(t, admin, "ALTER DATABASE "+name+" RESET default_transaction_read_only")

	_, err := pool.Exec(t.Context(), "INSERT INTO t VALUES (1)")
	if !errors.Is(postgres.Translate(err), postgres.ErrUnavailable) || !strings.Contains(postgres.Translate(err).Error(), "25006") {
		t.Fatalf("got %v, want ErrUnavailable (25006)", err)
	}
	for range 8 {
		exec(t, pool, "INSERT INTO t VALUES (1)")
	}
}

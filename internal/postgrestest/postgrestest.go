package postgrestest

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/postgres"
)

// Tx returns a transaction on a migrated database; it is rolled back when the
// test ends. Only one goroutine may use it at a time, and its changes are
// visible to no other; now() is constant in it.
func Tx(t testing.TB) pgx.Tx {
	t.Helper()
	s := useServer(t)
	ctx, cancel := setUpServer(t)
	defer cancel()
	conn, err := s.get(ctx, s.txURL)
	if err != nil {
		t.Fatalf("connect to the test database: %v", err)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatalf("begin the test's transaction: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			t.Errorf("roll back the test's transaction: %v", err)
		}
		s.put(ctx, s.txURL, conn)
	})
	return tx
}

// New returns the URL of a migrated database of the test's own, dropped when
// the test ends, with any connections left.
func New(t testing.TB) string {
	t.Helper()
	s := useServer(t)
	return s.clone(t, s.template)
}

// NewEmpty is New without migrations.
func NewEmpty(t testing.TB) string {
	t.Helper()
	return useServer(t).clone(t, "template0")
}

// Pool returns a pool on a database of the test's own; both go when the test
// ends.
func Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	url := New(t)
	ctx, cancel := setUpServer(t)
	defer cancel()
	pool, err := postgres.Open(ctx, postgres.Params{
		URL:            url,
		AppName:        "test",
		AcquireTimeout: 10 * time.Second, // tests share few cores
		IdleInTx:       time.Minute,
	})
	if err != nil {
		t.Fatalf("open a pool on the test database: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func useServer(t testing.TB) *server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatalf("these tests need PostgreSQL: %v", err)
	}
	return s
}

func setUpServer(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), time.Minute)
}

func (s *server) clone(t testing.TB, template string) string {
	t.Helper()
	ctx, cancel := setUpServer(t)
	defer cancel()
	name := cloneName("clone")
	url, err := s.database(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.admin(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template+s.strategy); err != nil {
		t.Fatalf("make the test's database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.admin(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return url
}

func (s *server) admin(ctx context.Context, sql string) error {
	conn, err := s.get(ctx, s.url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	s.put(ctx, s.url, conn)
	return err
}

// get takes an idle connection or makes one.
func (s *server) get(ctx context.Context, url string) (*pgx.Conn, error) {
	s.mu.Lock()
	if list := s.idle[url]; len(list) > 0 {
		conn := list[len(list)-1]
		s.idle[url] = list[:len(list)-1]
		s.mu.Unlock()
		return conn, nil
	}
	s.mu.Unlock()
	return pgx.Connect(ctx, url)
}

// put keeps a connection that is fit for another test.
func (s *server) put(ctx context.Context, url string, conn *pgx.Conn) {
	if conn.IsClosed() || conn.PgConn().TxStatus() != 'I' {
		_ = conn.Close(ctx)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle[url] = append(s.idle[url], conn)
}

// isPassing reports whether the server was just stopping.
func isPassing(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "57P01" || pg.Code == "57P03"
	}
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.Is(postgres.Translate(err), postgres.ErrUnavailable)
}

func randomName() string { return rand.Text()[:10] }

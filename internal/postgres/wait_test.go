package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

// shout is a log whose first line can be waited for.
type shout struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	first chan struct{}
	once  sync.Once
}

func (s *shout) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.once.Do(func() { close(s.first) })
	return s.buf.Write(p)
}

func TestOnlyARefusedStatementIsRolledBack(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	_, refused := pgx.Connect(t.Context(), "postgres://"+closed.Addr().String()+"/none")
	pool, err := postgres.Open(t.Context(), postgres.Params{URL: postgrestest.NewEmpty(t), MaxConns: 1, AcquireTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	only, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, full := pool.Exec(t.Context(), `SELECT 1`)
	only.Release()
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"no connection":                {refused, true},
		"no connection, translated":    {postgres.Translate(refused), true},
		"no free connection":           {full, true},
		"refused by the server":        {&pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "40P01"}, true},
		"refused, translated":          {postgres.Translate(&pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "25P03"}), true},
		"the session was ended":        {&pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "57P01"}, false},
		"the connection broke":         {postgres.Translate(&net.OpError{Op: "read", Err: net.ErrClosed}), false},
		"the time for it was over":     {context.DeadlineExceeded, false},
		"an error of another kind":     {errors.New("broken"), false},
		"a pooler's of its own making": {&pgconn.PgError{Severity: "ERROR", Code: "08P01"}, false},
	} {
		if got := postgres.IsRolledBack(c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// F7: a database that comes later than the program is waited for, and said so.
func TestF7WaitOutlastsADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewEmpty(t)
	cfg, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close() // refused from here on
	u := url.URL{Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Host: addr, Path: "/" + cfg.Database, RawQuery: "sslmode=disable"}
	out := &shout{first: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		ended <- postgres.Wait(context.Background(), postgres.WaitParams{URL: u.String(), Within: 2 * patience, Log: slog.New(slog.NewTextHandler(out, nil))})
	}()
	receive(t, out.first, "a line of the log")
	if ln, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			network, address := pgconn.NetworkAddress(cfg.Host, cfg.Port)
			far, err := net.Dial(network, address)
			if err != nil {
				_ = near.Close()
				continue
			}
			silent := make(chan struct{})
			go pass(far, near, silent)
			go pass(near, far, silent)
		}
	}()
	if err := receive(t, ended, "the end of the wait"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.buf.String(), "waiting for the database") {
		t.Errorf("the log says %q", out.buf.String())
	}
}

// F7: what does not pass is not waited for; what does not come is given up.
func TestF7WaitEndsAtOnceWhenItCannotHelp(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewEmpty(t)
	cfg, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	way := newLink(t, database, 0)
	other := strings.Replace(way.url, "/"+cfg.Database, "/no_such_database", 1)
	ended := make(chan error, 1)
	go func() {
		ended <- postgres.Wait(context.Background(), postgres.WaitParams{URL: other, Within: time.Hour, Log: quiet})
	}()
	if err := receive(t, ended, "the end of the wait"); err == nil || errors.Is(err, postgres.ErrUnavailable) || !strings.Contains(err.Error(), "no_such_database") {
		t.Errorf("a database that does not exist: %v", err)
	}
	err = postgres.Wait(t.Context(), postgres.WaitParams{URL: "postgres://u:canary@127.0.0.1:1/db?sslmode=disable", Within: 300 * time.Millisecond, Log: quiet})
	if !errors.Is(err, postgres.ErrUnavailable) || strings.Contains(err.Error(), "canary") {
		t.Errorf("a database that does not come: %v", err)
	}
}

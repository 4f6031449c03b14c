package postgres

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// answerTimeout is how long a session's connection may take to answer. A
// connection whose other end vanished without a word never does.
const answerTimeout = 3 * time.Second

// SessionParams describes a connection outside any pool.
type SessionParams struct {
	URL string // direct, not through a transaction pooler
	// Name is shown in pg_stat_activity unless the URL has an application_name.
	Name    string
	Sockets *Sockets // nil: a set of its own
}

// DialSession opens a connection outside any pool, for what belongs to a
// session. Each host of the URL has a time of its own to answer. Every read has
// a limit of a few seconds past idleLimit: wait for notifications no longer than
// that, and ask for a sign of life then.
//
// Errors: ErrUnavailable.
func DialSession(ctx context.Context, p SessionParams) (*pgx.Conn, error) {
	parsed, err := parseURL(p.URL, p.Sockets, idleLimit+readMargin)
	if err != nil {
		return nil, err
	}
	cfg := parsed.ConnConfig
	run := cfg.RuntimeParams
	run["application_name"] = orDefault(run["application_name"], p.Name)
	run["idle_session_timeout"] = "0"
	run["statement_timeout"] = "10000"
	// The server, too, must notice that we are gone, else it keeps our locks:
	// the system's default is two hours. Without effect on a unix socket.
	run["tcp_keepalives_idle"] = "5"
	run["tcp_keepalives_interval"] = "2"
	run["tcp_keepalives_count"] = "3"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, Translate(err)
	}
	return conn, nil
}

// idleLimit is the longest that a session may wait in one read.
const idleLimit = time.Minute

// pingConn makes a round trip.
func pingConn(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

// hangUp closes conn politely if that is quick.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// awaitNotification reads from an idle connection until a notification or the end of ctx.
// After d without either it asks the other end for a sign of life and returns
// nothing. A closed connection is noticed at once, a silent one after d and
// answerTimeout.
func awaitNotification(ctx context.Context, conn *pgx.Conn, d time.Duration) (*pgconn.Notification, error) {
	inner, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	note, err := conn.WaitForNotification(inner)
	if err == nil || conn.IsClosed() || ctx.Err() != nil || inner.Err() == nil {
		return note, err
	}
	// Not cut short by ctx: a round trip that is broken off costs the connection.
	return nil, pingConn(context.WithoutCancel(ctx), conn)
}

// retryDelay grows from 50 ms to 2 s, with jitter: all processes lose their
// connections at the same moment.
func retryDelay(try int) time.Duration {
	d := min(50*time.Millisecond<<min(try, 10), 2*time.Second)
	return d/2 + rand.N(d/2)
}

// waitFor waits d; false when ctx ended first.
func waitFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

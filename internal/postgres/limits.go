package postgres

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// limits is a pool's tracer. It bounds the wait for a free connection, each
// statement and each transaction as a whole, on the client's side: the server's
// own limits end nothing when the server does not answer. pgx runs a statement
// with the context that its tracer returns, so no caller can forget the limit;
// callers keep earlier deadlines of their own.
//
// A limit that ends a statement closes its connection. When that shows a silent
// server, when the server went away, or when a session answered that it is
// read-only, the pool's other connections are replaced too: else each of them
// would be found out in turn, at the cost of a request.
type limits struct {
	acquire   time.Duration
	statement time.Duration
	tx        time.Duration

	space *Space // may be nil
	pool  atomic.Pointer[pgxpool.Pool]
	reset atomic.Int64 // time of the last reset, in Unix nanoseconds
}

const (
	// clientMargin is how much longer than the server a client waits for the end
	// of a statement: the server's own answer says more.
	clientMargin = time.Second
	// silentAfter is how long a connection that was closed must have waited for
	// the pool to be replaced.
	silentAfter = 2 * time.Second
	// resetEvery is the least time between two replacements of a pool's connections.
	resetEvery = time.Second
)

// connState is what limits keeps with a connection. A connection is used by one
// goroutine at a time.
type connState struct {
	begun time.Time // of the transaction, or of the statement outside of one
	sent  time.Time // when the last statement was sent
}

const stateKey = "connectlink limits"

func stateOf(conn *pgx.Conn) *connState {
	data := conn.PgConn().CustomData()
	if st, ok := data[stateKey].(*connState); ok {
		return st
	}
	st := &connState{}
	data[stateKey] = st
	return st
}

// bound returns a context that ends with the statement's or transaction's limit.
func (l *limits) bound(ctx context.Context, conn *pgx.Conn) context.Context {
	st, now := stateOf(conn), time.Now()
	st.sent = now
	if conn.PgConn().TxStatus() == 'I' {
		st.begun = now
	}
	end := now.Add(l.statement)
	if last := st.begun.Add(l.tx); last.Before(end) {
		end = last
	}
	if at, ok := ctx.Deadline(); ok && at.Before(end) {
		return ctx
	}
	inner, cancel := context.WithDeadline(ctx, end)
	return &limitContext{Context: inner, caller: ctx, cancel: cancel, fault: errNoAnswer}
}

// ended frees the limit's timer, and replaces the pool's connections where this
// one showed that they are of no use.
func (l *limits) ended(ctx context.Context, conn *pgx.Conn, err error) {
	noAnswer := false
	if b, ok := ctx.(*limitContext); ok {
		noAnswer = errors.Is(b.Err(), errNoAnswer)
		b.cancel()
	}
	l.space.learn(err)
	if err == nil || !conn.IsClosed() {
		return
	}
	if noAnswer || showsOthers(err) || time.Since(stateOf(conn).sent) >= silentAfter {
		l.replace()
	}
}

// showsOthers reports whether the loss of one connection is likely to be that of
// all: the server went away or sent everyone away, or it became a reader. A
// session that was ended for its own idling says nothing of the others.
func showsOthers(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == readOnly || strings.HasPrefix(pg.Code, "57P")
	}
	return !callerGaveUp(err) && isUnreachable(err)
}

// replace closes the pool's idle connections, and those in use when they come
// back.
func (l *limits) replace() {
	pool, now, last := l.pool.Load(), time.Now().UnixNano(), l.reset.Load()
	if pool != nil && now-last >= int64(resetEvery) && l.reset.CompareAndSwap(last, now) {
		pool.Reset()
	}
}

// TraceQueryStart implements pgx.QueryTracer.
func (l *limits) TraceQueryStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return l.bound(ctx, conn)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (l *limits) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	l.ended(ctx, conn, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (l *limits) TraceBatchStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return l.bound(ctx, conn)
}

// TraceBatchQuery implements pgx.BatchTracer.
func (l *limits) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	l.space.learn(data.Err)
}

// TraceBatchEnd implements pgx.BatchTracer.
func (l *limits) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	l.ended(ctx, conn, data.Err)
}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (l *limits) TraceCopyFromStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return l.bound(ctx, conn)
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (l *limits) TraceCopyFromEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceCopyFromEndData) {
	l.ended(ctx, conn, data.Err)
}

type acquireKey struct{}

// TraceAcquireStart implements pgxpool.AcquireTracer: the pool acquires with the
// context it returns, and has no setting for the limit.
func (l *limits) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	inner, cancel := context.WithTimeout(ctx, l.acquire)
	return &limitContext{Context: inner, caller: ctx, cancel: cancel, fault: errPoolFull}
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (l *limits) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	if cancel, ok := ctx.Value(acquireKey{}).(context.CancelFunc); ok {
		cancel()
	}
}

// limitContext ends with a fault of this package when the limit was reached and
// the caller's context is not to blame.
type limitContext struct {
	context.Context
	caller context.Context
	cancel context.CancelFunc
	fault  *fault
}

// Err implements context.Context.
func (c *limitContext) Err() error {
	switch {
	case c.Context.Err() == nil:
		return nil
	case c.caller.Err() != nil:
		return c.caller.Err()
	default:
		return c.fault
	}
}

// Value implements context.Context.
func (c *limitContext) Value(key any) any {
	if key == (acquireKey{}) && c.fault == errPoolFull {
		return c.cancel
	}
	return c.Context.Value(key)
}

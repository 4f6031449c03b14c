package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// acquireLimit bounds the wait for a free connection. pgxpool has no setting
// for it, but acquires with the context its tracer returns; done here it holds
// for every use of the pool, and callers keep their own deadline for the query
// that follows.
type acquireLimit struct{ timeout time.Duration }

type acquireKey struct{}

func (l acquireLimit) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	inner, cancel := context.WithTimeout(ctx, l.timeout)
	return acquireContext{Context: inner, caller: ctx, cancel: cancel}
}

func (l acquireLimit) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	if cancel, ok := ctx.Value(acquireKey{}).(context.CancelFunc); ok {
		cancel()
	}
}

// TraceQueryStart and TraceQueryEnd make it a pgx.QueryTracer, the type of the
// field where pgxpool looks for an AcquireTracer.
func (acquireLimit) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd does nothing.
func (acquireLimit) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// acquireContext ends with errPoolFull when the wait was too long and the
// caller's context is not to blame.
type acquireContext struct {
	context.Context
	caller context.Context
	cancel context.CancelFunc
}

func (c acquireContext) Err() error {
	switch {
	case c.Context.Err() == nil:
		return nil
	case c.caller.Err() != nil:
		return c.caller.Err()
	default:
		return errPoolFull
	}
}

func (c acquireContext) Value(key any) any {
	if key == (acquireKey{}) {
		return c.cancel
	}
	return c.Context.Value(key)
}

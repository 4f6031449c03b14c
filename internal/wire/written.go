package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

type (
	leaseKey   struct{}
	writtenKey struct{}
)

// WithDeadline returns a context under which no byte of a request leaves this
// process at or after until, the local end of the lease on the work. A zero
// until sets no limit.
//
// It is not a context deadline: that one makes the caller stop waiting, this
// one makes the socket refuse.
func WithDeadline(ctx context.Context, until time.Time) context.Context {
	if until.IsZero() {
		return ctx
	}
	return context.WithValue(ctx, leaseKey{}, until)
}

// Trace returns a context whose requests are recorded in the Written.
func Trace(ctx context.Context) (context.Context, *Written) {
	w := new(Written)
	return context.WithValue(ctx, writtenKey{}, w), w
}

// Written records whether any byte of the traced requests may have left.
type Written struct{ any atomic.Bool }

// Any reports whether at least one byte was handed to the network. A request that
// was cut short counts as written: it is most likely unusable to the vendor,
// but being wrong about that would send a second message.
func (w *Written) Any() bool { return w.any.Load() }

// load is one request on its way through one or more connections: net/http
// moves to another when an idle one turns out dead before anything was written.
type load struct {
	until   time.Time
	written *Written

	mu        sync.Mutex
	ended     bool
	leaseOver bool
}

// enter asks to write. While it holds, end waits for nothing: a Write in flight
// has already been counted.
func (l *load) enter(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return net.ErrClosed
	case !l.until.IsZero() && hasPassed(now, l.until):
		l.leaseOver = true
		return ErrLeaseOver
	}
	return nil
}

// end returns the error of a request that failed with err, after which it writes
// nothing more. net/http closes a connection whose write failed, and may return
// what its reader met then in place of the write's error: a refusal is the cause.
func (l *load) end(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.leaseOver && !errors.Is(err, ErrLeaseOver) {
		return fmt.Errorf("%w (%w)", ErrLeaseOver, err)
	}
	return err
}

// hasPassed compares by the monotonic clock, where both times carry one, and by
// the wall clock.
func hasPassed(now, until time.Time) bool {
	return !now.Before(until) || !now.Round(0).Before(until.Round(0))
}

// conn is a connection that knows the request it is carrying. It embeds the
// interface, not a type: a promoted ReadFrom would let bytes pass by Write.
type conn struct {
	net.Conn
	now func() time.Time

	mu   sync.Mutex
	load *load
}

func (c *conn) carry(l *load) {
	c.mu.Lock()
	c.load = l
	c.mu.Unlock()
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	l := c.load
	c.mu.Unlock()
	if l == nil {
		// No request yet: a proxy's CONNECT, or TLS that net/http put on top.
		return c.Conn.Write(b)
	}
	if err := l.enter(c.now()); err != nil {
		return 0, err
	}
	// Counted before the call, so that a caller that gives up meanwhile sees
	// it; taken back only if the system took nothing and it was the first.
	first := l.written.any.CompareAndSwap(false, true)
	n, err := c.Conn.Write(b)
	if n == 0 && err != nil && first {
		l.mu.Lock()
		if !l.ended {
			l.written.any.Store(false)
		}
		l.mu.Unlock()
	}
	return n, err
}

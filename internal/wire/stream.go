package wire

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// Stream is a connection for protocols other than HTTP, under the same two
// rules: no byte is sent after the lease is over, and it is known whether
// bytes that matter may have been sent. The user names those by Mark: in a
// dialogue, most bytes commit the other side to nothing.
//
// It lies below TLS, so that handshakes stand under the lease too.
type Stream struct {
	net.Conn
	now     func() time.Time
	until   time.Time
	over    atomic.Bool
	marked  atomic.Bool
	written atomic.Bool
}

// Dial opens a Stream on which nothing is written at or after until; a zero
// until sets no limit. Of p it heeds DialTimeout and Now.
func Dial(ctx context.Context, p Params, addr string, until time.Time) (*Stream, error) {
	p = p.withDefaults()
	s := &Stream{now: p.Now, until: until}
	if s.late() {
		return nil, ErrLeaseOver
	}
	c, err := dialConn(ctx, p.DialTimeout, p.PublicOnly, addr)
	if err != nil {
		return nil, err
	}
	s.Conn = c
	return s, nil
}

// Secure speaks TLS over the stream from its first byte.
func (s *Stream) Secure(ctx context.Context, cfg *tls.Config, timeout time.Duration) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c := tls.Client(s, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, &tlsError{err}
	}
	return c, nil
}

func (s *Stream) late() bool { return !s.until.IsZero() && hasPassed(s.now(), s.until) }

// Write implements net.Conn. A refusal closes the connection: a reader that
// waits for the answer to a refused request would wait in vain.
func (s *Stream) Write(b []byte) (int, error) {
	if s.late() {
		s.over.Store(true)
		_ = s.Conn.Close()
		return 0, ErrLeaseOver
	}
	// Counted before the call, taken back only when the system took nothing.
	first := s.marked.Load() && s.written.CompareAndSwap(false, true)
	n, err := s.Conn.Write(b)
	if n == 0 && err != nil && first {
		s.written.Store(false)
	}
	return n, err
}

// Mark means that bytes written from here on commit the other side.
func (s *Stream) Mark() { s.marked.Store(true) }

// Wrote reports whether any byte left after Mark.
func (s *Stream) Wrote() bool { return s.written.Load() }

// LeaseOver reports whether a write was refused.
func (s *Stream) LeaseOver() bool { return s.over.Load() }

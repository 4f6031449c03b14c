package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a connection. A peer that vanished without a word closes nothing:
// only these end the wait for it.
const (
	keepAliveIdle     = 5 * time.Second
	keepAliveInterval = 2 * time.Second
	keepAliveCount    = 3
	// userTimeout is how long sent data may stay unacknowledged (TCP_USER_TIMEOUT).
	// The system's own limit is about 15 minutes.
	userTimeout = 10 * time.Second
	// avoidFor is how long a host that did not answer is skipped while the URL
	// names others: else each new connection waits for it first.
	avoidFor = 5 * time.Second
	// resolveTimeout bounds the resolution of one host name.
	resolveTimeout = 5 * time.Second
)

// errAvoided is the dial error of a host that did not answer a moment ago.
var errAvoided = errors.New("the host did not answer a moment ago; another one is tried first")

// Sockets opens and keeps the connections of one process to its database: those
// of pools, listeners and locks. Each connection has keepalive and
// TCP_USER_TIMEOUT set, and is closed when a read waits longer than its limit.
// The zero value is not usable; see NewSockets.
type Sockets struct {
	mu     sync.Mutex
	open   map[*socket]struct{}
	silent map[string]time.Time // address to the time it last did not answer
	cut    bool
}

// NewSockets returns an empty set.
func NewSockets() *Sockets {
	return &Sockets{open: make(map[*socket]struct{}), silent: make(map[string]time.Time)}
}

// Cut closes every connection at once and refuses new ones with net.ErrClosed.
// Calls that wait for the database fail with ErrUnavailable. It is the last
// resort of a stop: a database that does not answer must not prevent the end.
func (s *Sockets) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for c := range s.open {
		_ = c.Conn.Close()
	}
}

// dialer returns a pgconn.DialFunc. A read that waits longer than silence
// closes the connection; 0 means no limit. With several hosts, one that did not
// answer is skipped for a while.
func (s *Sockets) dialer(silence time.Duration, several bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount},
		Control:         setUserTimeout,
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if err := s.admit(address, several); err != nil {
			return nil, err
		}
		begun := time.Now()
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() && time.Since(begun) >= time.Second {
				s.noteSilence(address)
			}
			return nil, err
		}
		c := &socket{Conn: conn, set: s, address: address, dialed: begun, silence: silence}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.cut {
			_ = conn.Close()
			return nil, net.ErrClosed
		}
		s.open[c] = struct{}{}
		return c, nil
	}
}

func (s *Sockets) admit(address string, several bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return net.ErrClosed
	}
	if at, ok := s.silent[address]; ok && several && time.Since(at) < avoidFor {
		return fmt.Errorf("dial %s: %w", address, errAvoided)
	}
	return nil
}

func (s *Sockets) noteSilence(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent[address] = time.Now()
}

// socket is one connection of a Sockets.
type socket struct {
	net.Conn
	set      *Sockets
	address  string
	dialed   time.Time
	silence  time.Duration
	answered atomic.Bool
	once     sync.Once
}

// Read implements net.Conn. The timer closes the connection instead of setting a
// deadline, because deadlines belong to pgx.
func (c *socket) Read(b []byte) (int, error) {
	if c.silence > 0 {
		t := time.AfterFunc(c.silence, func() { _ = c.Conn.Close() })
		defer t.Stop()
	}
	n, err := c.Conn.Read(b)
	if n > 0 && !c.answered.Load() {
		c.answered.Store(true)
		c.set.mu.Lock()
		delete(c.set.silent, c.address)
		c.set.mu.Unlock()
	}
	return n, err
}

// Close implements net.Conn.
func (c *socket) Close() error {
	c.once.Do(func() {
		// Accepted by the kernel, and not one byte from the server: a frozen host.
		if !c.answered.Load() && time.Since(c.dialed) >= time.Second {
			c.set.noteSilence(c.address)
		}
		c.set.mu.Lock()
		delete(c.set.open, c)
		c.set.mu.Unlock()
	})
	return c.Conn.Close()
}

// boundResolver bounds the resolution of one host, so that the next one is tried.
func boundResolver(lookup func(ctx context.Context, host string) ([]string, error)) func(ctx context.Context, host string) ([]string, error) {
	return func(ctx context.Context, host string) ([]string, error) {
		ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
		defer cancel()
		return lookup(ctx, host)
	}
}

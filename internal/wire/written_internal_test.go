package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
	"testing"
	"time"
)

// scripted is the far end of a write; a real socket cannot be made to take
// nothing at will.
type scripted struct {
	net.Conn
	take  int
	err   error
	calls int
	then  func()
}

func (s *scripted) Write([]byte) (int, error) {
	s.calls++
	if s.then != nil {
		s.then()
	}
	return s.take, s.err
}

func TestOnlyBytesTheSystemTookCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		take int
		err  error
		want bool
	}{
		"all":             {4, nil, true},
		"some, then dead": {2, syscall.ECONNRESET, true},
		// An idle connection turned out dead: net/http moves on to another, and
		// if that one cannot be opened, nothing was sent.
		"none": {0, syscall.EPIPE, false},
	} {
		l := &load{written: new(Written)}
		under := &scripted{take: c.take, err: c.err}
		n, err := carrying(under, l).Write([]byte("body"))
		if n != c.take || !errors.Is(err, c.err) || l.written.Any() != c.want {
			t.Errorf("%s: %d %v, written %v", name, n, err, l.written.Any())
		}
	}
}

func TestAFailedWriteDoesNotHideAnEarlierOne(t *testing.T) {
	t.Parallel()
	l := &load{written: new(Written)}
	if _, err := carrying(&scripted{take: 4}, l).Write([]byte("body")); err != nil {
		t.Fatal(err)
	}
	if _, err := carrying(&scripted{err: syscall.EPIPE}, l).Write([]byte("body")); err == nil || !l.written.Any() {
		t.Errorf("%v, written %v: the first bytes are out all the same", err, l.written.Any())
	}
}

// The caller has its answer ("not sent") once RoundTrip returned: a goroutine of
// net/http that is late must not prove it wrong.
func TestNothingIsWrittenAfterTheEnd(t *testing.T) {
	t.Parallel()
	l := &load{written: new(Written)}
	under := &scripted{take: 4}
	c := carrying(under, l)
	_ = l.end(io.EOF)
	if _, err := c.Write([]byte("body")); err == nil || under.calls != 0 || l.written.Any() {
		t.Errorf("%v, %d calls, written %v", err, under.calls, l.written.Any())
	}
}

func TestAWriteInFlightAtTheEndCounts(t *testing.T) {
	t.Parallel()
	l := &load{written: new(Written)}
	under := &scripted{take: 0, err: syscall.EPIPE, then: func() {
		_ = l.end(io.EOF)
		if !l.written.Any() {
			t.Error("the caller reads that nothing was written while a write is under way")
		}
	}}
	_, _ = carrying(under, l).Write([]byte("body"))
	if !l.written.Any() {
		t.Error("what the caller was told changed afterwards")
	}
}

// refusedMeanwhile is a transport whose writer met the guard's refusal and whose
// reader then met the closed connection: net/http returns either of the two.
type refusedMeanwhile struct{ c *conn }

func (m refusedMeanwhile) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{Conn: m.c})
	if _, err := m.c.Write([]byte("body")); !errors.Is(err, ErrLeaseOver) {
		return nil, fmt.Errorf("the write was not refused: %w", err)
	}
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}
}

func TestARefusalIsTheCauseOfAnErrorOfTheReader(t *testing.T) {
	t.Parallel()
	start := time.Now()
	looks := 0
	now := func() time.Time {
		looks++
		return start.Add(time.Duration(looks-1) * time.Hour)
	}
	ctx, written := Trace(WithDeadline(t.Context(), start.Add(time.Minute)))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://vendor.example", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	g := &guard{next: refusedMeanwhile{&conn{Conn: &scripted{take: 4}, now: now}}, max: 1, now: now}
	resp, err := g.RoundTrip(req)
	if resp != nil {
		_ = resp.Body.Close()
	}
	var f *Fault
	if !errors.As(Strip(err), &f) || f.Kind != KindLease || written.Any() {
		t.Errorf("%v, written %v; want the lease's end as the cause", err, written.Any())
	}
}

// late is a transport whose write loop outlives its round trip.
type late struct{ c *conn }

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{Conn: l.c})
	return nil, errors.New("gave up")
}

func TestTheGuardEndsAFailedRequest(t *testing.T) {
	t.Parallel()
	under := &scripted{take: 4}
	c := &conn{Conn: under, now: time.Now}
	ctx, written := Trace(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://vendor.example", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	g := &guard{next: late{c}, max: 1, now: time.Now}
	resp, err := g.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("no error")
	}
	if _, err := c.Write([]byte("body")); err == nil || under.calls != 0 || written.Any() {
		t.Errorf("%v, %d calls, written %v", err, under.calls, written.Any())
	}
}

func TestAConnectionHasNoWayAroundWrite(t *testing.T) {
	t.Parallel()
	var c any = &conn{}
	if _, ok := c.(io.ReaderFrom); ok {
		t.Error("net/http would hand bodies to ReadFrom")
	}
}

// A vendor's load balancer must not be the first to close an idle connection.
func TestIdleConnectionsAreGivenUpEarly(t *testing.T) {
	t.Parallel()
	transport := Client(Params{}).Transport.(*guard).next.(*http.Transport)
	if transport.IdleConnTimeout != 15*time.Second || transport.Proxy != nil || transport.ForceAttemptHTTP2 {
		t.Errorf("idle %s, proxy set %v", transport.IdleConnTimeout, transport.Proxy != nil)
	}
}

func carrying(under net.Conn, l *load) *conn {
	c := &conn{Conn: under, now: time.Now}
	c.carry(l)
	return c
}

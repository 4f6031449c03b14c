package wire_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/wire"
)

// deaf accepts connections and reads nothing from them: written bytes stay in
// the system's buffers, as on a network that has gone away.
func deaf(t *testing.T) (addr string, accepted <-chan net.Conn) {
	t.Helper()
	small := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if ctl := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }); ctl != nil {
			return ctl
		}
		return err
	}}
	l, err := small.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	conns := make(chan net.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			conns <- c
		}
	}()
	return l.Addr().String(), conns
}

const burden = 200 << 10

// arrived reads what still comes out of a connection that its other end has
// closed.
func arrived(t *testing.T, conns <-chan net.Conn) int64 {
	t.Helper()
	c := <-conns
	defer func() { _ = c.Close() }()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, _ := io.Copy(io.Discard, c) // ends by a reset
	return n
}

// A message whose call was given up, looked for in vain and sent again must not
// arrive a second time when the network is back.
func TestBugACallGivenUpArrivesLater(t *testing.T) {
	t.Parallel()
	addr, conns := deaf(t)
	client := wire.Client(wire.Params{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr, bytes.NewReader(make([]byte, burden)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("it was answered")
	}
	if n := arrived(t, conns); n >= burden {
		t.Errorf("%d bytes arrived after the call was given up: the whole request", n)
	}
}

func TestAStreamGivenUpLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	addr, conns := deaf(t)
	s, err := wire.Dial(t.Context(), wire.Params{}, addr, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, _ = s.Write(make([]byte, burden))
	_ = s.Close()
	if n := arrived(t, conns); n >= burden {
		t.Errorf("all %d bytes arrived after the stream was closed", n)
	}
}

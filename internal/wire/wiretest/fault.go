package wiretest

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// Refusing returns the URL of a port without a listener.
func Refusing(t testing.TB) string {
	t.Helper()
	l := listen(t)
	url := "http://" + l.Addr().String()
	_ = l.Close()
	return url
}

// Untrusted returns the URL of a TLS server with an untrusted certificate.
func Untrusted(t testing.TB) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request reached a server with an untrusted certificate")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake is meant to fail
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// Raw is a server below HTTP.
type Raw struct {
	URL     string
	bytes   atomic.Int64
	conns   atomic.Int64
	arrived chan struct{}
	once    sync.Once
}

// Arrived is closed when the first whole request has been read.
func (r *Raw) Arrived() <-chan struct{} { return r.arrived }

// Bytes is how many bytes have arrived.
func (r *Raw) Bytes() int64 { return r.bytes.Load() }

// Conns is how many connections were opened.
func (r *Raw) Conns() int64 { return r.conns.Load() }

// End is how a Raw server ends a connection after it has read one request.
type End func(c net.Conn)

// The ways to end.
var (
	// EOF closes in good order, without an answer.
	EOF End = func(c net.Conn) { _ = c.Close() }
	// Reset sends RST.
	Reset End = func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	// Garbage answers with bytes that are not HTTP.
	Garbage End = func(c net.Conn) {
		_, _ = io.WriteString(c, "SSH-2.0-not-http to=pat@customer.example\r\n\r\n")
		_ = c.Close()
	}
	// Silence never answers.
	Silence End = func(net.Conn) {}
)

// Cut answers with the given bytes and closes.
func Cut(answer string) End {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, answer)
		_ = c.Close()
	}
}

// Ending starts a server that reads one whole request and then ends the
// connection in the given way.
func Ending(t testing.TB, end End) *Raw {
	t.Helper()
	l := listen(t)
	raw := &Raw{URL: "http://" + l.Addr().String() + Prefix, arrived: make(chan struct{})}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			raw.conns.Add(1)
			t.Cleanup(func() { _ = c.Close() })
			go func() {
				in := bufio.NewReader(counting{c, &raw.bytes})
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				raw.once.Do(func() { close(raw.arrived) })
				end(c)
			}()
		}
	}()
	return raw
}

type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

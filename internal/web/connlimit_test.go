package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/web"
)

// limited serves with at most max connections: /wait is answered when release is closed.
func limited(t *testing.T, max int) (addr string, release chan struct{}) {
	t.Helper()
	release = make(chan struct{})
	s := newSite(t, nil)
	s.POST("/wait", func(c echo.Context) error {
		<-release
		return c.NoContent(http.StatusNoContent)
	})
	s.POST("/now", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	s.GET("/livez", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := web.Server(s, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = web.Serve(ctx, web.LimitConns(srv, ln, max), srv, web.Stop{Grace: time.Second})
	}()
	t.Cleanup(func() { stop(); <-ended })
	return ln.Addr().String(), release
}

// client is one connection.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func connect(t *testing.T, addr string) *client {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) send(method, path string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", method, path); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) receive() *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
}

func TestConnectionsBeyondTheLimitAreToldToComeAgain(t *testing.T) {
	t.Parallel()
	addr, release := limited(t, 1)
	first := connect(t, addr)
	first.send("POST", "/wait")
	for range 10 { // more than are refused at a time
		beyond := connect(t, addr)
		beyond.send("POST", "/now")
		resp := beyond.receive()
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || !resp.Close {
			t.Fatalf("beyond the limit: %d, Retry-After %q, closed: %t", resp.StatusCode, resp.Header.Get("Retry-After"), resp.Close)
		}
	}
	probe := connect(t, addr)
	probe.send("GET", "/livez")
	if resp := probe.receive(); resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("/livez beyond the limit: %d, closed: %t", resp.StatusCode, resp.Close)
	}
	close(release)
	if resp := first.receive(); resp.StatusCode != http.StatusNoContent || resp.Close {
		t.Errorf("within the limit: %d, closed: %t", resp.StatusCode, resp.Close)
	}
}

func TestAnIdleConnectionIsClosedInFavorOfANewOne(t *testing.T) {
	t.Parallel()
	addr, _ := limited(t, 1)
	old := connect(t, addr)
	old.send("POST", "/now")
	old.receive()
	served := false
	for !served { // the server notes that the old one is idle a moment after its answer
		c := connect(t, addr)
		c.send("POST", "/now")
		served = c.receive().StatusCode == http.StatusNoContent
	}
	if _, err := old.r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection is not closed: %v", err)
	}
}

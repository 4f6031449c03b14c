package web_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/waittest"
	"github.com/connectlink/connectlink/internal/web"
)

func TestServeLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		select {
		case <-release:
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- web.Serve(ctx, ln, web.Server(h, slog.New(slog.DiscardHandler)), web.Stop{Grace: 5 * time.Second})
	}()
	body := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		body <- string(b)
	}()
	<-entered
	stop()
	close(release)
	if got := <-body; got != "done" {
		t.Errorf("body = %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

func TestServeHangsUpWhenTheGraceIsOver(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- web.Serve(ctx, ln, web.Server(h, slog.New(slog.DiscardHandler)), web.Stop{Grace: 10 * time.Millisecond})
	}()
	go func() {
		if resp, err := http.Get("http://" + ln.Addr().String()); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-entered
	stop()
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Serve = %v, want the grace's end", err)
	}
}

// A server's ReadTimeout is over long before a request that waits is answered;
// net/http would take its end for the caller's leaving.
func TestARouteMayWaitLongerThanReadingAndTheDefaultTake(t *testing.T) {
	t.Parallel()
	e := web.New(web.Params{Log: slog.New(slog.DiscardHandler), RequestTimeout: 50 * time.Millisecond})
	left := make(chan error, 2)
	wait := func(c echo.Context) error {
		select {
		case <-c.Request().Context().Done():
			left <- c.Request().Context().Err()
			return c.Request().Context().Err()
		case <-time.After(400 * time.Millisecond):
			return c.NoContent(http.StatusNoContent)
		}
	}
	e.GET("/wait", wait, web.Timeout(10*time.Second))
	e.GET("/long", func(c echo.Context) error {
		<-c.Request().Context().Done()
		left <- c.Request().Context().Err()
		return nil
	}, web.Timeout(time.Minute))
	srv := web.Server(e, slog.New(slog.DiscardHandler))
	srv.ReadTimeout = 100 * time.Millisecond
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	resp, err := http.Get("http://" + ln.Addr().String() + "/wait")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("answered %d", resp.StatusCode)
	}
	// Who leaves is noticed all the same.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ln.Addr().String()+"/long", nil)
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Error("an answer came")
	}
	select {
	case <-left:
	case <-time.After(waittest.Limit):
		t.Error("the caller's leaving was not noticed")
	}
}

// During the drain requests are answered on old and new connections, and each answer
// closes its connection: the load balancer opens the next one elsewhere.
func TestReliabilityF8AnswersCloseTheirConnectionDuringTheDrain(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	srv := web.Server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), slog.New(slog.DiscardHandler))
	go func() { ended <- web.Serve(ctx, ln, srv, web.Stop{Drain: 4 * time.Second, Grace: 5 * time.Second}) }()
	client := &http.Client{Transport: &http.Transport{}}
	ask := func() (closes bool) {
		resp, err := client.Get("http://" + ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.Close
	}
	if ask() {
		t.Error("an answer before the stop closes its connection")
	}
	stop()
	waittest.Until(t, "answers close their connection", ask) // the first on the connection of before
	if !ask() {
		t.Error("an answer on a new connection does not close it")
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if resp, err := client.Get("http://" + ln.Addr().String()); err == nil {
		_ = resp.Body.Close()
		t.Error("a request is answered after the drain")
	}
}

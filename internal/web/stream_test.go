package web_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/waittest"
	"github.com/connectlink/connectlink/internal/web"
)

// streaming serves one stream at /s on a socket with the server's own limits.
func streaming(t *testing.T, p web.StreamParams, next web.Next) (string, *web.Streams, *site) {
	t.Helper()
	streams := web.NewStreams(p)
	s := newSite(t, func(p *web.Params) { p.RequestTimeout = 50 * time.Millisecond })
	s.GET("/s", func(c echo.Context) error {
		if !web.WantsEvents(c) {
			return c.NoContent(http.StatusNoContent)
		}
		return streams.Serve(c, c.QueryParam("key"), next)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := web.Server(s, slog.New(slog.DiscardHandler))
	// Shorter than the tests' streams: a stream must not end by either.
	srv.ReadTimeout, srv.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); _ = web.Serve(ctx, ln, srv, web.Stop{Grace: time.Millisecond}) }()
	t.Cleanup(func() { stop(); <-ended })
	return "http://" + ln.Addr().String() + "/s", streams, s
}

func follow(t *testing.T, url string, header ...string) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", web.MediaTypeEvents)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res, bufio.NewReader(res.Body)
}

// block reads up to the next empty line.
func block(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", b.String(), err)
		}
		if line == "\n" {
			return b.String()
		}
		b.WriteString(line)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	waittest.Until(t, what, ok)
}

func TestAStreamTellsWhatIsNewAndOutlivesTheServersTimeLimits(t *testing.T) {
	t.Parallel()
	var begun time.Time
	url, streams, _ := streaming(t, web.StreamParams{Beat: 30 * time.Millisecond}, func(ctx context.Context, last string) (web.Event, error) {
		n, _ := strconv.Atoi(last)
		if n == 42 && time.Since(begun) < 300*time.Millisecond {
			<-ctx.Done() // silent for longer than every limit of the server
			return web.Event{}, web.ErrQuiet
		}
		return web.Event{ID: strconv.Itoa(n + 1), Name: "count", Data: []byte("a\nb\r\nid: 9\rc"), Last: n == 43}, nil
	})
	begun = time.Now()
	res, r := follow(t, url, "Last-Event-ID: 41")
	if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store, no-transform" {
		t.Fatalf("%d %s", res.StatusCode, got)
	}
	if got := block(t, r); got != "retry: 2000\n" {
		t.Errorf("it begins with %q", got)
	}
	// What stands in the data cannot begin a field of its own.
	const data = "event: count\ndata: a\ndata: b\ndata: id: 9\ndata: c\n"
	if got := block(t, r); got != "id: 42\n"+data {
		t.Errorf("first %q", got)
	}
	beats := 0
	got := block(t, r)
	for ; got == ": still here\n"; got = block(t, r) {
		beats++
	}
	if beats < 3 || got != "id: 43\n"+data {
		t.Errorf("%d signs of life, then %q", beats, got)
	}
	if got := block(t, r); got != "id: 44\n"+data {
		t.Errorf("last %q", got)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
		t.Errorf("after the last event: %q %v", rest, err)
	}
	until(t, "the place is free again", func() bool { return streams.Open() == 0 })
}

func TestStreamsAreBoundedInAllAndPerKey(t *testing.T) {
	t.Parallel()
	url, streams, _ := streaming(t, web.StreamParams{Max: 3, PerKey: 2}, func(ctx context.Context, _ string) (web.Event, error) {
		<-ctx.Done()
		return web.Event{}, web.ErrQuiet
	})
	first, r := follow(t, url+"?key=a")
	block(t, r)
	for _, key := range []string{"a", "b"} {
		_, r := follow(t, url+"?key="+key)
		block(t, r)
	}
	if streams.Open() != 3 {
		t.Fatalf("%d are open", streams.Open())
	}
	if res, _ := follow(t, url+"?key=a"); res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("a third of one key: %d", res.StatusCode)
	}
	if res, _ := follow(t, url+"?key=b"); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("a fourth in all: %d", res.StatusCode)
	}
	// A client that leaves makes room, silently.
	_ = first.Body.Close()
	until(t, "its place is free", func() bool { return streams.Open() == 2 })
	res, r := follow(t, url+"?key=a")
	if block(t, r); res.StatusCode != 200 {
		t.Errorf("after one has left: %d", res.StatusCode)
	}
}

func TestAStreamEndsAfterItsLongestTimeAndOnFailure(t *testing.T) {
	t.Parallel()
	url, _, _ := streaming(t, web.StreamParams{Longest: 80 * time.Millisecond}, func(ctx context.Context, _ string) (web.Event, error) {
		<-ctx.Done()
		return web.Event{}, web.ErrQuiet
	})
	_, r := follow(t, url)
	if all, err := io.ReadAll(r); err != nil || strings.Contains(string(all), "data") {
		t.Errorf("%q %v", all, err)
	}
	url, _, s := streaming(t, web.StreamParams{}, func(context.Context, string) (web.Event, error) {
		return web.Event{}, errors.New("the well is dry")
	})
	_, r = follow(t, url)
	if all, err := io.ReadAll(r); err != nil || strings.Contains(string(all), "dry") {
		t.Errorf("the client is told %q %v", all, err)
	}
	until(t, "the log says why", func() bool {
		lines := s.log.lines(t)
		return len(lines) == 1 && lines[0]["error"] == "the well is dry"
	})
}

func TestWhoReadsNothingIsHungUpOn(t *testing.T) {
	t.Parallel()
	big := []byte(strings.Repeat("x", 1<<20))
	url, streams, _ := streaming(t, web.StreamParams{Write: 50 * time.Millisecond}, func(context.Context, string) (web.Event, error) {
		return web.Event{ID: "1", Data: big}, nil
	})
	follow(t, url)
	until(t, "the stream is given up", func() bool { return streams.Open() == 0 })
}

func TestOnlyWhoAsksForAStreamGetsOne(t *testing.T) {
	t.Parallel()
	url, _, _ := streaming(t, web.StreamParams{}, func(context.Context, string) (web.Event, error) { return web.Event{}, io.EOF })
	for accept, want := range map[string]int{
		"text/event-stream": 200, "application/json, Text/Event-Stream;q=0.5": 200,
		"*/*": 204, "application/json": 204, "": 204, "text/event-stream;q=0": 204, "text/event-stream; q=0.0, */*": 204,
	} {
		if res, _ := follow(t, url, "Accept: "+accept); res.StatusCode != want {
			t.Errorf("Accept %q: %d, want %d", accept, res.StatusCode, want)
		}
	}
}

package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
)

// MediaTypeEvents is that of server-sent events (WHATWG HTML, section 9.2).
const MediaTypeEvents = "text/event-stream"

// ErrQuiet is what a Next gives when its wait ended with nothing to tell.
var ErrQuiet = errors.New("nothing new")

// Event is one message of a stream. ID and Name have no line breaks; Data may.
type Event struct {
	ID   string // what a client says with Last-Event-ID when it comes back
	Name string
	Data []byte
	Last bool // the stream ends with it
}

// Next waits for the event after the one with the id last; empty when the
// client has seen none. ctx ends when a sign of life is due: then it gives
// ErrQuiet. io.EOF ends the stream; so does any other error, which is logged.
type Next func(ctx context.Context, last string) (Event, error)

// StreamParams bound streams. A zero value is replaced by the named
// default.
type StreamParams struct {
	Max    int // open at a time in this process: 2,000
	PerKey int // of them with one key: 8
	// Beat is how often a silent stream gives a sign of life: 15 s. It must be
	// shorter than what load balancers take for dead.
	Beat time.Duration
	// Write bounds one write: 10 s. Who does not read is hung up on.
	Write time.Duration
	// Longest is how long a stream lasts: 10 min. Its client comes back, and
	// must prove again by then that it may.
	Longest time.Duration
	// Retry is when a client whose stream ended should come back: 2 s.
	Retry time.Duration
}

// Streams serves event streams, a bounded number at a time. An open stream
// costs a goroutine and a connection of its client, none of the database.
type Streams struct {
	p StreamParams

	mu    sync.Mutex
	count int
	byKey map[string]int
}

// NewStreams makes Streams.
func NewStreams(p StreamParams) *Streams {
	orDefault(&p.Max, 2000)
	orDefault(&p.PerKey, 8)
	orDefault(&p.Beat, 15*time.Second)
	orDefault(&p.Write, 10*time.Second)
	orDefault(&p.Longest, 10*time.Minute)
	orDefault(&p.Retry, 2*time.Second)
	return &Streams{p: p, byKey: map[string]int{}}
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// WantsEvents reports whether a request asks for a stream rather than one answer.
func WantsEvents(c echo.Context) bool {
	for _, line := range c.Request().Header.Values(echo.HeaderAccept) {
		for one := range strings.SplitSeq(line, ",") {
			kind, params, _ := strings.Cut(one, ";")
			if strings.EqualFold(strings.TrimSpace(kind), MediaTypeEvents) && !isRefusedRange(params) {
				return c.Request().Method == http.MethodGet
			}
		}
	}
	return false
}

// isRefusedRange reports whether a media range is listed only to be ruled out: q=0.
func isRefusedRange(params string) bool {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "q") {
			return strings.Trim(value, "0.") == ""
		}
	}
	return false
}

// Open is how many streams are open, for a metric.
func (s *Streams) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Serve answers with what next gives until it ends, the client leaves, or the
// longest time is over. Whether the client may have this stream must have been
// decided before: once it is open there is no other answer. Errors before that
// are *invite.Error: rate_limited for too many with this key, unavailable for
// too many in all.
func (s *Streams) Serve(c echo.Context, key string, next Next) error {
	if err := s.enter(key); err != nil {
		return err
	}
	defer s.leave(key)
	ctx, cancel := withLongerLimit(c, s.p.Longest)
	defer cancel()
	w := streamWriter{out: c.Response(), control: http.NewResponseController(c.Response().Writer), within: s.p.Write}
	// Nothing more is read from the client; the context ends when it leaves.
	_ = w.control.SetReadDeadline(time.Time{})
	head := c.Response().Header()
	head.Set(echo.HeaderContentType, MediaTypeEvents)
	head.Set("X-Accel-Buffering", "no") // nginx would keep events until its buffer is full
	c.Response().WriteHeader(http.StatusOK)
	if !w.write("retry: " + strconv.FormatInt(s.p.Retry.Milliseconds(), 10) + "\n\n") {
		return nil
	}
	last := strings.TrimSpace(c.Request().Header.Get("Last-Event-ID"))
	for ctx.Err() == nil {
		wait, done := context.WithTimeout(ctx, s.p.Beat)
		e, err := next(wait, last)
		done()
		switch {
		case err == nil:
			if !w.write(e.text()) || e.Last {
				return nil
			}
			last = e.ID
		case ctx.Err() != nil, errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, ErrQuiet):
			if !w.write(": still here\n\n") {
				return nil
			}
		default:
			return err
		}
	}
	return nil
}

func (s *Streams) enter(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[key] >= s.p.PerKey {
		return &invite.Error{Code: invite.CodeRateLimited, Message: "Too many streams are open for this already.", RetryAfterS: int(s.p.Beat/time.Second) + 1}
	}
	if s.count >= s.p.Max {
		return &invite.Error{Code: invite.CodeUnavailable, Message: "Too many streams are open here.", RetryAfterS: int(s.p.Beat/time.Second) + 1}
	}
	s.count++
	s.byKey[key]++
	return nil
}

func (s *Streams) leave(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
	if s.byKey[key]--; s.byKey[key] == 0 {
		delete(s.byKey, key)
	}
}

// streamWriter writes whole events, each within its time.
type streamWriter struct {
	out     http.ResponseWriter
	control *http.ResponseController
	within  time.Duration
}

// write reports whether it went out. A client that has gone is no failure of ours.
func (w streamWriter) write(text string) bool {
	// Not every writer knows deadlines or flushing; the server's does.
	_ = w.control.SetWriteDeadline(time.Now().Add(w.within))
	if _, err := io.WriteString(w.out, text); err != nil {
		return false
	}
	return w.control.Flush() == nil
}

// lineBreaks are all that end a line in a stream.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n")

func (e Event) text() string {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(value) + "\n")
		}
	}
	field("id", e.ID)
	field("event", e.Name)
	for line := range strings.SplitSeq(lineBreaks.Replace(string(e.Data)), "\n") {
		b.WriteString("data: " + line + "\n")
	}
	b.WriteString("\n")
	return b.String()
}

package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/web"
)

// Bodies of callbacks are read before their sender is known, so all of them
// together are bounded: the announced length counts, and a body without a
// length counts as the route's limit. SendGrid posts at most 768 kB at once.
const (
	hookBytes       = 16 << 20
	hookClientBytes = hookBytes / 4 // what one client may hold of them
	hookWait        = 5 * time.Second
	hookReadTimeout = 5 * time.Second
)

// bodyBudget bounds the bytes of request bodies that are held at once, by all
// clients together and by each. It is safe for concurrent use.
type bodyBudget struct {
	total, perClient int64

	mu    sync.Mutex
	held  int64
	by    map[string]int64
	freed chan struct{} // closed and replaced at each release
}

func newBodyBudget(total, perClient int64) *bodyBudget {
	return &bodyBudget{total: total, perClient: perClient, by: make(map[string]int64), freed: make(chan struct{})}
}

// acquire waits for n bytes until ctx ends, and reports whether it got them.
func (b *bodyBudget) acquire(ctx context.Context, client string, n int64) bool {
	n = min(n, b.perClient)
	for {
		b.mu.Lock()
		if b.held+n <= b.total && b.by[client]+n <= b.perClient {
			b.held += n
			b.by[client] += n
			b.mu.Unlock()
			return true
		}
		freed := b.freed
		b.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

func (b *bodyBudget) release(client string, n int64) {
	n = min(n, b.perClient)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= n
	if b.by[client] -= n; b.by[client] == 0 {
		delete(b.by, client)
	}
	close(b.freed)
	b.freed = make(chan struct{})
}

// boundBody lets a callback's body be read once the budget has room for it, and
// gives the sender hookReadTimeout to send it. Without room the answer is 503:
// providers repeat their posts.
func (a *api) boundBody(limit int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r, client := c.Request(), web.ClientKey(c)
			n := r.ContentLength
			if n < 0 || n > limit {
				n = limit
			}
			waiting, cancel := context.WithTimeout(r.Context(), hookWait)
			defer cancel()
			if !a.bodies.acquire(waiting, client, n) {
				c.Response().Header().Set(echo.HeaderRetryAfter, "5")
				return noteRefusal(c, http.StatusServiceUnavailable, "callbacks_overloaded")
			}
			defer a.bodies.release(client, n)
			_ = http.NewResponseController(c.Response().Writer).SetReadDeadline(time.Now().Add(hookReadTimeout))
			return next(c)
		}
	}
}

// readSized reads a body into a buffer of the announced size.
func readSized(r *http.Request) ([]byte, error) {
	var b bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= batchHook {
		b.Grow(int(n) + bytes.MinRead)
	}
	_, err := b.ReadFrom(r.Body)
	return b.Bytes(), err
}

package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	maxMail  = 30 << 20 // SendGrid's limit for a whole message
	maxSmall = 1 << 20
)

// readBody reads the request wholly, so that a connection cut afterwards is
// cut after the vendor had all of it.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (io.ReadCloser, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types: a fault of the program
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// rateWindow is a vendor's published limit, counted in fixed windows. It is
// kept per process and forgotten with the window: it shows callers a 429, it
// does not protect anything.
type rateWindow struct {
	limit int
	every time.Duration

	mu    sync.Mutex
	start time.Time
	used  map[string]int
}

// take counts one use; refused calls learn when the window ends.
func (w *rateWindow) take(key string, now time.Time) (ok bool, reset time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.used == nil || now.Sub(w.start) >= w.every || now.Before(w.start) {
		w.start, w.used = now, map[string]int{}
	}
	w.used[key]++
	return w.used[key] <= w.limit, w.start.Add(w.every).Sub(now)
}

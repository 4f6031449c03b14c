package wire_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/wire"
)

// FuzzRetryAfter reads pauses as vendors send them: none is negative or endless.
func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "", "")
	f.Add("Mon, 30 Nov 2026 12:00:00 GMT", "", "Mon, 30 Nov 2026 11:59:00 GMT")
	f.Add("", "1796040000", "")
	f.Add("NaN", "-1e309", "")
	now := time.Date(2026, 11, 30, 11, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, after, reset, date string) {
		h := http.Header{"Retry-After": {after}, "X-Ratelimit-Reset": {reset}, "Date": {date}}
		if d := wire.RetryAfter(h, now); d < 0 || d > time.Hour {
			t.Errorf("%q: %v", h, d)
		}
	})
}

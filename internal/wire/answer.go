package wire

import (
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// capped fails, rather than silently ends, when more than left bytes come: a
// truncated JSON text and a too long one ask for different remedies.
type capped struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (c *capped) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.ReadCloser.Read(p)
	if int64(n) > c.left {
		n, c.left = int(c.left), -1
		return n, ErrTooLarge
	}
	c.left -= int64(n)
	return n, err
}

// maxWait caps what a vendor may ask us to wait; beyond it the answer is taken
// for a fault of the vendor's clock.
const maxWait = time.Hour

// RetryAfter reads how long a vendor wants us to stay away: Retry-After as
// seconds or as a date, else X-RateLimit-Reset as Unix seconds. 0 when it does
// not say, or when the moment has passed.
//
// Moments are measured against the answer's own Date where there is one, so
// that skew between the two clocks does not count.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if d, err := http.ParseTime(h.Get("Date")); err == nil {
		now = d
	}
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if s, err := strconv.ParseFloat(v, 64); err == nil {
			return parseSeconds(s)
		}
		if at, err := http.ParseTime(v); err == nil {
			return timeBetween(now, at)
		}
	}
	if v := strings.TrimSpace(h.Get("X-RateLimit-Reset")); v != "" {
		if s, err := strconv.ParseFloat(v, 64); err == nil {
			// Some gateways count seconds from now instead; no Unix time of
			// our days is that small.
			if s < 1e8 {
				return parseSeconds(s)
			}
			return parseSeconds(s - float64(now.UnixMilli())/1000)
		}
	}
	return 0
}

func parseSeconds(s float64) time.Duration {
	switch {
	case !(s > 0): // also NaN
		return 0
	case s > maxWait.Seconds():
		return maxWait
	default:
		return time.Duration(s * float64(time.Second))
	}
}

func timeBetween(now, at time.Time) time.Duration { return parseSeconds(at.Sub(now).Seconds()) }

// IsJSON reports whether a header set announces JSON. Vendors answer 413 and 5xx
// with a proxy's HTML.
func IsJSON(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

// Code keeps a vendor's error code or field path if it looks like one, else
// nothing: free text may quote an address, and codes are shown and logged.
func Code(s string) string {
	if len(s) == 0 || len(s) > 80 {
		return ""
	}
	for _, r := range s {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
		if !ok {
			return ""
		}
	}
	return s
}

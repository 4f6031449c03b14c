package publish

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// maxRetryAfter bounds how long a product may put an event off at a time.
const maxRetryAfter = 24 * time.Hour

// AttemptError is a post of an event that the product did not take.
type AttemptError struct {
	EventID invite.EventID
	// Status is the HTTP status of the answer; 0 when none came.
	Status int
	// RetryAfter is the pause that an answer of 429 or 503 asked for, at most a
	// day; 0 where it asked for none.
	RetryAfter time.Duration
	// Err is why no answer came. It names neither URL nor secret.
	Err error
}

// Error implements error.
func (e *AttemptError) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("post event %s: %v", e.EventID, e.Err)
	}
	return fmt.Sprintf("post event %s: the product answered %d", e.EventID, e.Status)
}

// Unwrap returns why no answer came.
func (e *AttemptError) Unwrap() error { return e.Err }

// IsFinal reports whether the product wants no more of it: 410 Gone.
func (e *AttemptError) IsFinal() bool { return e.Status == http.StatusGone }

// parseRetryAfter reads seconds or an HTTP date (RFC 9110, 10.2.3); 0 for
// anything else and for the past.
func parseRetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.Atoi(header); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), maxRetryAfter)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

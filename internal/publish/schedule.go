package publish

import (
	"math/rand/v2"
	"time"
)

const (
	// giveUpAfter is how long an endpoint may fail until it is disabled.
	giveUpAfter = 5 * 24 * time.Hour
	// jitter is the part of a pause by which it may be longer, so that what failed
	// together is not tried again together.
	jitter = 0.1
)

// pauses are those after each attempt that failed; none follows the last.
func pauses() []time.Duration {
	return []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour}
}

// pauseAfter returns the pause after a failed attempt, the first of which is 1, and 0
// after the last one. asked is the pause that the endpoint asked for: a longer one is
// kept to, and an endpoint cannot ask to be called sooner.
func pauseAfter(attempt int, asked time.Duration) time.Duration {
	all := pauses()
	if attempt < 1 || attempt > len(all) {
		return 0
	}
	pause := all[attempt-1]
	pause += time.Duration(rand.Float64() * jitter * float64(pause)) //nolint:gosec // spreads load, protects nothing
	return max(pause, asked)
}

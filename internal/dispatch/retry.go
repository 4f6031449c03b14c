package dispatch

import (
	"context"
	"time"
)

// groupRetry bounds how long a failed write is tried again, with growing pauses.
type groupRetry struct {
	until time.Time
	pause time.Duration
}

func newGroupRetry(d time.Duration) *groupRetry {
	return &groupRetry{until: time.Now().Add(d), pause: 50 * time.Millisecond}
}

// wait pauses; false when there is no time for another try.
func (p *groupRetry) wait(ctx context.Context) bool {
	if ctx.Err() != nil || time.Now().Add(p.pause).After(p.until) {
		return false
	}
	waitFor(ctx, p.pause)
	p.pause *= 2
	return ctx.Err() == nil
}

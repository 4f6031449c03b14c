// Package refresh keeps a process's picture of what the database has fresh, for code that must
// answer from memory.
//
// It owns when a picture is read, and must not know its content. A picture that cannot be
// read stays as it is: that is up to the function that reads it.
package refresh

import (
	"context"
	"time"
)

// patience is how many intervals a picture may take to be read.
const patience = 5

// Keep reads a picture at once and then every interval, until ctx ends, and returns the error
// of ctx. failed is called with each error of load, but not with one of the end.
func Keep(ctx context.Context, every time.Duration, load func(context.Context) error, failed func(error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, patience*every)
		err := load(within)
		cancel()
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

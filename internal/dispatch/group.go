package dispatch

import (
	"context"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// group writes what several goroutines hand in, many to a commit: it takes what
// waits when the previous write has returned, and never lingers for more. Where
// more waits than one commit takes, lanes take turns.
type group[T any] struct {
	max     func() int
	rest    func(ctx context.Context, worked time.Duration) // after a write; nil: not at all
	waiting *fairly[T]
	some    chan struct{} // something waits
	write   func(ctx context.Context, items []T)
}

func newGroup[T any](max func() int, write func(ctx context.Context, items []T)) *group[T] {
	return &group[T]{max: max, waiting: newFairly[T](), some: make(chan struct{}, 1), write: write}
}

// add hands an item in; write answers through the item itself.
func (g *group[T]) add(lane invite.Lane, item T) {
	g.waiting.put(lane, item)
	wakeUp(g.some)
}

// run writes until ctx ends. The caller that ends ctx makes sure that no item is
// added afterwards.
func (g *group[T]) run(ctx context.Context) {
	var items []T
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.some:
		}
		var more bool
		if items, more = g.waiting.take(items[:0], g.max()); more {
			wakeUp(g.some)
		}
		if len(items) == 0 {
			continue
		}
		begun := time.Now()
		g.write(ctx, items)
		if g.rest != nil {
			g.rest(ctx, time.Since(begun))
		}
	}
}

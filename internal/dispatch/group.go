package dispatch

import "context"

// group writes what several goroutines hand in, many to a commit: it takes what
// waits when the previous write has returned, and never lingers for more.
type group[T any] struct {
	max   int
	in    chan T
	write func(ctx context.Context, items []T)
}

func newGroup[T any](max int, write func(ctx context.Context, items []T)) *group[T] {
	return &group[T]{max: max, in: make(chan T, max), write: write}
}

// add hands an item in; write answers through the item itself.
func (g *group[T]) add(item T) { g.in <- item }

// run writes until ctx ends. Whoever ends ctx makes sure that nobody adds any more.
func (g *group[T]) run(ctx context.Context) {
	items := make([]T, 0, g.max)
	for {
		select {
		case <-ctx.Done():
			return
		case item := <-g.in:
			items = append(items[:0], item)
		}
	more:
		for len(items) < g.max {
			select {
			case item := <-g.in:
				items = append(items, item)
			default:
				break more
			}
		}
		g.write(ctx, items)
	}
}

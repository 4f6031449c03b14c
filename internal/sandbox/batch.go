package sandbox

import (
	"context"
	"sync"
	"time"
)

// batcher writes rows of concurrent callers in groups, one statement each:
// the first caller writes its row at once, and those that come while a write
// is under way form the next group. No timer and no goroutine, so a lone
// caller waits for nothing.
type batcher[T any] struct {
	write func(context.Context, []T) error

	mu      sync.Mutex
	busy    bool
	waiting []*ticket[T]
}

type ticket[T any] struct {
	row  T
	err  error
	done chan bool // true: written (see err); false: the lead passes to you
}

// maxBatch bounds one statement's parameters and everybody's wait.
const maxBatch = 256

// put returns once row is committed, or with the error of its group's write.
// It is not cancelled with ctx: others' rows travel in the same statement, and
// a vendor does not forget a request because its caller hung up.
func (b *batcher[T]) put(ctx context.Context, row T) error {
	t := &ticket[T]{row: row, done: make(chan bool, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, t)
	if b.busy {
		b.mu.Unlock()
		if written := <-t.done; written {
			return t.err
		}
		b.mu.Lock()
	}
	b.busy = true
	group := b.waiting
	b.waiting = nil
	if len(group) > maxBatch {
		group, b.waiting = group[:maxBatch:maxBatch], group[maxBatch:]
	}
	b.mu.Unlock()

	rows := make([]T, len(group))
	for i, g := range group {
		rows[i] = g.row
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := b.write(ctx, rows)

	b.mu.Lock()
	if len(b.waiting) > 0 {
		b.waiting[0].done <- false
	} else {
		b.busy = false
	}
	b.mu.Unlock()
	for _, g := range group {
		if g != t {
			g.err = err
			g.done <- true
		}
	}
	return err
}

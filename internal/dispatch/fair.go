package dispatch

import (
	"sync"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// fairly is a queue for each lane, emptied in turns: who comes in a lane of its
// own waits for one item of each other lane, however many those have.
type fairly[T any] struct {
	mu    sync.Mutex
	lanes map[invite.Lane][]T // none is empty
	turns []invite.Lane       // the lanes, the next one first
}

func newFairly[T any]() *fairly[T] { return &fairly[T]{lanes: make(map[invite.Lane][]T)} }

func (q *fairly[T]) put(lane invite.Lane, item T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lanes[lane]) == 0 {
		q.turns = append(q.turns, lane)
	}
	q.lanes[lane] = append(q.lanes[lane], item)
}

// take appends the next items to items, up to limit; more reports whether some
// are left.
func (q *fairly[T]) take(items []T, limit int) (_ []T, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(items) < limit && len(q.turns) > 0 {
		lane := q.turns[0]
		q.turns = q.turns[1:]
		waiting := q.lanes[lane]
		items = append(items, waiting[0])
		if len(waiting) == 1 {
			delete(q.lanes, lane)
			continue
		}
		q.lanes[lane] = waiting[1:]
		q.turns = append(q.turns, lane)
	}
	return items, len(q.turns) > 0
}

// turns admits a number of holders at a time and serves waiters round-robin by
// lane. Work that only the processor limits goes through it: begun all at
// once, one lane's hundred messages would delay another's single one.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting *fairly[chan struct{}]
}

func newTurns(n int) *turns { return &turns{free: n, waiting: newFairly[chan struct{}]()} }

// wait returns when it is the caller's turn; done ends it.
func (t *turns) wait(lane invite.Lane) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return
	}
	mine := make(chan struct{})
	t.waiting.put(lane, mine)
	t.mu.Unlock()
	<-mine
}

func (t *turns) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	next, _ := t.waiting.take(nil, 1)
	if len(next) == 0 {
		t.free++
		return
	}
	close(next[0])
}

const (
	// besideOthers is how many of one lane are claimed or committed at once
	// while other lanes have work too: what comes there waits for the end of
	// that statement. Large ones cost less, which is right for a lane alone.
	besideOthers = 16
	// remembered is how long a lane that had work counts as one that has.
	remembered = 5 * time.Second
)

// sharing reports whether several lanes have work, or had until a moment
// ago.
func (d *Dispatcher) sharing() bool {
	return d.p.Now().Sub(time.Unix(0, d.shared.Load())) < remembered
}

// atOnce is how many go into one statement: all, or few where lanes share.
func (d *Dispatcher) atOnce(all int) int {
	if d.sharing() {
		return min(all, besideOthers)
	}
	return all
}

package issue

import "sync"

// gatherer joins what concurrent callers hand in into groups. It never waits
// for company: while a group is worked on the next one gathers, and it goes as
// soon as there is a worker for it. A second worker comes only when a whole
// group waits: on its own it would make two small groups of one large one.
// Package dispatch groups its writes in another way: there lanes take turns, and one
// writer rests between commits while others have work.
type gatherer[T any] struct {
	max     int // items in a group
	workers int // groups at a time
	do      func(group []T)

	mu      sync.Mutex
	waiting []T
	working int
}

// add hands items in, which wait side by side; do answers through the items
// themselves.
func (g *gatherer[T]) add(items ...T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, items...)
	if g.working == 0 || g.working < g.workers && len(g.waiting) >= g.max {
		g.working++
		go g.drain()
	}
}

// drain works on group after group until nothing waits.
func (g *gatherer[T]) drain() {
	for {
		g.mu.Lock()
		n := min(len(g.waiting), g.max)
		group := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		if n == 0 {
			g.waiting = nil
			g.working--
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		g.do(group)
	}
}

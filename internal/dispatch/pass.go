package dispatch

import (
	"context"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// A lane with many deliveries keeps the claims and the commits busy. One with
// few passes it by: it is claimed and committed by statements of its own, which
// wait for no others. So one tenant's import delays the others only by its use
// of the processor.

// quiet reports whether a lane may pass by. d.mu is held.
func (d *Dispatcher) quiet(lane invite.Lane) bool { return d.lanes[lane] < d.p.PerLane/8 }

// crowded reports whether there is a busy lane to pass by.
func (d *Dispatcher) crowded() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for lane := range d.lanes {
		if !d.quiet(lane) {
			return true
		}
	}
	return false
}

// passLoop claims for quiet lanes whenever something became due while another
// lane is busy. What it leaves, or is not told of, the claim loop takes.
func (d *Dispatcher) passLoop(ctx, working context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.pass:
		}
		w := queue.Want{Lease: d.p.Lease, PerLane: d.p.PerLane / 8, Room: make(map[invite.Lane]int)}
		d.mu.Lock()
		w.Owner, w.Batch = d.owner, d.room()
		for lane, n := range d.lanes {
			w.Room[lane] = max(d.p.PerLane/8-n, 0)
		}
		d.mu.Unlock()
		if w.Owner == 0 || w.Batch <= 0 {
			continue
		}
		if _, err := d.take(working, w, ""); err != nil && ctx.Err() == nil {
			d.p.Log.WarnContext(ctx, "dispatch step", "step", "claim past busy lanes", "err", err)
		}
	}
}

// longestRest bounds what a busy lane waits for the sake of others.
const longestRest = 50 * time.Millisecond

// rest keeps the statements of busy lanes from filling all of the processor and
// the database while quiet lanes have work: it waits for as long as the last one
// took. More comes together meanwhile, which makes the next one cheaper.
func (d *Dispatcher) rest(ctx context.Context, worked time.Duration) {
	if !d.sharing() {
		return
	}
	t := time.NewTimer(min(worked, longestRest))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// passable is a group beside which what comes of quiet lanes is written at once.
type passable[T any] struct {
	all, passing *group[T]
}

func newPassable[T any](max func() int, rest func(context.Context, time.Duration), write func(context.Context, []T)) passable[T] {
	g := passable[T]{newGroup(max, write), newGroup(max, write)}
	g.all.rest = rest
	return g
}

func (g passable[T]) add(lane invite.Lane, quiet bool, item T) {
	if quiet {
		g.passing.add(lane, item)
		return
	}
	g.all.add(lane, item)
}

// passes reports whether a lane's work may pass others by now.
func (d *Dispatcher) passes(lane invite.Lane) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.quiet(lane)
}

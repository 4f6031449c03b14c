package dispatch

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// task is a claimed delivery in this process.
type task struct {
	queue.Job
	// readAt is this machine's time before Job was read, so that the database's
	// times in it can be put on this machine's clock, never too late.
	readAt time.Time
	// probe is the account whose open breaker this delivery is to try.
	probe  string
	probed bool   // a call was made, and the breaker told of it
	fault  string // a word for the trace; empty: none
}

// local puts a moment of the database's clock on this machine's.
func (t *task) local(at time.Time) time.Time { return t.readAt.Add(at.Sub(t.Now)) }

// claimLoop claims whenever it is told to, when room was made, and by itself
// from time to time. One loop per process: what becomes due while a claim is
// under way is taken by the next one, in one go.
func (d *Dispatcher) claimLoop(ctx, working context.Context) {
	poll := time.NewTimer(0)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-poll.C:
		}
		next := d.p.Poll
		begun := d.p.Now()
		n, err := d.claim(working, queue.Want{}, "")
		if err != nil && ctx.Err() == nil {
			d.p.Log.WarnContext(ctx, "dispatch step", "step", "claim", "err", err)
			next = time.Second
		}
		if n > besideOthers/2 { // of a busy lane
			d.rest(ctx, d.p.Now().Sub(begun))
		}
		if err == nil && d.isAtRest() {
			next = 2 * d.p.Poll
		}
		poll.Reset(next)
	}
}

// restAfter is how long after its last work a process is at rest. It then looks
// less often: wakes tell it of new work, and a retry or a scheduled message may be
// late by the longer wait.
const restAfter = 5 * time.Second

// isAtRest reports whether the process has had no work for a while.
func (d *Dispatcher) isAtRest() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.held) == 0 && d.p.Now().Sub(d.worked) > restAfter
}

// claim takes what there is room for and starts work on it. probe names the
// account that a claim from paused lanes is to try.
func (d *Dispatcher) claim(working context.Context, w queue.Want, probe string) (int, error) {
	d.mu.Lock()
	w.Owner, w.Lease = d.owner, d.p.Lease
	if !w.Paused {
		w.After, w.PerLane, w.Batch = d.after, d.atOnce(d.p.PerLane), d.room()
		w.Room = make(map[invite.Lane]int, len(d.lanes))
		for lane, n := range d.lanes {
			w.Room[lane] = d.p.PerLane - n
			if w.Room[lane] < d.p.PerLane/8 {
				w.Room[lane] = 0
			}
		}
		// While much is in work, a claim waits until it is worth its commit.
		d.short = w.Batch < d.p.InFlight/8 || slices.Contains(slices.Collect(maps.Values(w.Room)), 0)
	}
	owner := d.owner
	d.mu.Unlock()
	if owner == 0 || !w.Paused && w.Batch < d.p.InFlight/8 {
		return 0, nil // freed capacity wakes the loop
	}
	jobs, err := d.take(working, w, probe)
	if err != nil {
		return 0, err
	}
	if !w.Paused {
		d.noteBacklog(w, jobs)
	}
	if len(jobs) > 0 && !w.Paused {
		d.mu.Lock()
		d.after = jobs[len(jobs)-1].Lane
		d.mu.Unlock()
		if isFilled(w, jobs) {
			d.again() // there may be more
		}
	}
	return len(jobs), nil
}

// take makes one claim and starts work on what it got. A stop does not cut the claim
// off: it may have been committed, and its deliveries would wait for the lease's end.
func (d *Dispatcher) take(working context.Context, w queue.Want, probe string) ([]queue.Job, error) {
	begun := d.p.Now()
	within, cancel := d.stepContext(working)
	defer cancel()
	jobs, err := queue.Claim(within, d.p.DB, w)
	if err != nil {
		return nil, err
	}
	d.prove()
	d.metrics.claims.Observe(d.p.Now().Sub(begun).Seconds())
	if len(jobs) > 0 {
		d.noteWork(begun)
		d.p.Passing(PointClaimed)
	}
	for i := range jobs {
		d.start(working, &task{Job: jobs[i], readAt: begun, probe: probe})
	}
	return jobs, nil
}

// noteWork notes that the process had work.
func (d *Dispatcher) noteWork(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.worked = at
}

// isFilled reports whether a claim took as much as it could, in some lane or in
// total.
func isFilled(w queue.Want, jobs []queue.Job) bool {
	for lane, n := range countByLane(jobs) {
		if n >= roomOf(w, lane) {
			return true
		}
	}
	return len(jobs) >= w.Batch
}

// start works on a claimed delivery in a goroutine of its own.
func (d *Dispatcher) start(working context.Context, t *task) {
	d.mu.Lock()
	if old := d.held[t.Ref]; old != nil {
		// Claimed again by this very process while it still works on it: the
		// older work is the zombie, and its fence will tell it so.
		d.lanes[old.Lane]--
	}
	d.held[t.Ref] = t
	d.lanes[t.Lane]++
	if len(d.lanes) > 1 {
		d.shared.Store(d.p.Now().UnixNano())
	}
	d.mu.Unlock()
	d.metrics.claimed.Inc()
	d.metrics.inFlight.Inc()
	d.working.Add(1)
	go func() {
		defer d.working.Done()
		defer d.metrics.inFlight.Dec()
		defer d.end(t)
		d.work(working, t)
	}()
}

func (d *Dispatcher) end(t *task) {
	d.mu.Lock()
	d.worked = d.p.Now()
	if d.held[t.Ref] == t {
		delete(d.held, t.Ref)
		d.leave(t.Lane)
	}
	short := d.short
	d.mu.Unlock()
	if short {
		d.again() // a claim left something out for want of the room that is free now
	}
}

// mine reports whether this process may still believe that it holds the
// lease. Only a fence in the database knows; this saves a useless request.
func (d *Dispatcher) mine(t *task) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held[t.Ref] == t && d.owner == t.Owner
}

func (d *Dispatcher) renew(ctx context.Context) error {
	d.mu.Lock()
	var held []queue.Lease
	for _, t := range d.held {
		if t.Owner == d.owner {
			held = append(held, t.Lease)
		}
	}
	d.mu.Unlock()
	if len(held) == 0 {
		return nil
	}
	lost, err := queue.Renew(ctx, d.p.DB, held, d.p.Lease)
	if err != nil {
		return err
	}
	d.p.Passing(PointRenewed)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.room() < d.p.InFlight/8 {
		d.proven = d.p.Now() // there is no room to claim
	}
	for _, l := range lost {
		// What ended meanwhile is no loss.
		if t := d.held[l.Ref]; t != nil && t.Lease == l {
			delete(d.held, l.Ref)
			d.leave(t.Lane)
			d.metrics.lost.Inc()
		}
	}
	return nil
}

func (d *Dispatcher) reap(ctx context.Context) error {
	n, err := queue.Reap(ctx, d.p.DB)
	if err != nil || n == 0 {
		return err
	}
	d.metrics.reaped.Add(float64(n))
	d.p.Log.InfoContext(ctx, "took over from a process that is gone", "deliveries", n)
	d.Wake()
	return queue.DropProbes(ctx, d.p.DB)
}

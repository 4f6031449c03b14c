package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// hire starts the worker of a slot.
func (r *run) hire(slot int) error {
	r.mu.Lock()
	r.born++
	name := fmt.Sprintf("chaos-%d-%d", slot, r.born)
	r.mu.Unlock()
	c := childConfig{
		URL: r.o.URL, Name: name, SinkURL: r.sink, Keyset: r.keyset, Provider: r.o.Provider, Verbose: r.o.Verbose, Knobs: r.o.Knobs,
	}
	if r.o.Partitions > 0 {
		var err error
		if c, err = r.connect(c, slot); err != nil {
			return err
		}
	}
	w, told, err := spawnWorker(c)
	if err != nil {
		return err
	}
	r.feeds.Go(func() error { return r.listen(told) })
	r.mu.Lock()
	r.workers[slot] = w
	r.mu.Unlock()
	return nil
}

// harm kills and freezes, spread over the run in an order drawn from the seed.
// A kill hits a worker that holds something, so that each of them tests.
// Measurements go on under watching, which outlives the killing.
func (r *run) harm(ctx, watching context.Context) error {
	if len(r.o.Points) > 0 {
		return r.harmAtPoints(ctx, watching)
	}
	for n := range r.o.Partitions {
		if err := r.part(ctx, watching, r.rnd.IntN(r.o.Workers), n); err != nil {
			return err
		}
	}
	frozen := 0
	for n := 0; n < r.o.Kills+r.o.Freezes; n++ {
		// Between half and one and a half of the interval, and at any point of
		// a delivery's way.
		waitFor(ctx, r.o.Every/2+time.Duration(r.rnd.Int64N(int64(r.o.Every))))
		if err := ctx.Err(); err != nil {
			return err
		}
		slot := r.rnd.IntN(r.o.Workers)
		left := r.o.Kills + r.o.Freezes - n
		if r.rnd.IntN(left) < r.o.Freezes-frozen {
			frozen++
			if err := r.freeze(ctx, watching, slot); err != nil {
				return err
			}
			continue
		}
		if err := r.kill(ctx, watching, slot); err != nil {
			return err
		}
	}
	return nil
}

// harmAtPoints has workers die at each place as often as was asked for, in an
// order drawn from the seed.
func (r *run) harmAtPoints(ctx, watching context.Context) error {
	r.report.Points = make(map[dispatch.Point]int)
	var order []dispatch.Point
	for _, p := range r.o.Points {
		r.report.Points[p] = 0
		for range r.o.Kills {
			order = append(order, p)
		}
	}
	r.rnd.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, p := range order {
		if err := r.killAt(ctx, watching, r.rnd.IntN(r.o.Workers), p); err != nil {
			return err
		}
	}
	return nil
}

// patience is how long a worker under load may take to pass a place, or a new
// one to start and get work.
const patience = 30 * time.Second

// killAt has a worker die at a place, at the first to third time it passes it
// while it holds work, and replaces it.
func (r *run) killAt(ctx, watching context.Context, slot int, p dispatch.Point) error {
	w := r.workers[slot]
	owner, err := r.awaitWork(ctx, w)
	if err != nil {
		return err
	}
	if err := w.arm(order{Point: p, Passes: 1 + r.rnd.IntN(3)}); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-w.ended:
	case <-waiting.Done():
		return fmt.Errorf("worker %s did not pass %s within %s", w.name, p, patience)
	}
	if err := r.measure(watching, owner, &r.report.Orphans, &r.report.WorstReclaimS); err != nil {
		return err
	}
	r.report.Kills++
	r.report.Points[p]++
	return r.hire(slot)
}

// kill ends a worker with kill -9 and replaces it a little later.
func (r *run) kill(ctx, watching context.Context, slot int) error {
	w := r.workers[slot]
	owner, err := r.awaitWork(ctx, w)
	if err != nil {
		return err
	}
	w.kill()
	if err := r.measure(watching, owner, &r.report.Orphans, &r.report.WorstReclaimS); err != nil {
		return err
	}
	r.report.Kills++
	waitFor(ctx, time.Duration(r.rnd.Int64N(int64(200*time.Millisecond))))
	return r.hire(slot)
}

// freeze stops a worker for longer than any of its leases, then lets it
// continue where it stopped.
func (r *run) freeze(ctx, watching context.Context, slot int) error {
	w := r.workers[slot]
	owner, err := r.awaitWork(ctx, w)
	if err != nil {
		return err
	}
	if err := w.signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("freeze a worker: %w", err)
	}
	if err := r.measure(watching, owner, &r.report.FrozenOrphans, &r.report.WorstFrozenS); err != nil {
		return err
	}
	r.report.Freezes++
	longest := max(r.o.Knobs.Lease, r.o.Knobs.CallDeadline+3*time.Second)
	waitFor(ctx, longest+time.Duration(r.rnd.Int64N(int64(2*time.Second))))
	if err := w.signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("thaw a worker: %w", err)
	}
	return nil
}

// awaitWork waits, not for long, until a worker holds its lock and some work,
// and returns its lock's key.
func (r *run) awaitWork(ctx context.Context, w *process) (int64, error) {
	var owner int64
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); waitFor(ctx, 10*time.Millisecond) {
		err := r.rig.DB.QueryRow(ctx, `
			SELECT coalesce((
				SELECT (l.classid::bigint << 32) | l.objid::bigint
				FROM pg_locks l JOIN pg_stat_activity a USING (pid)
				WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.application_name = $1
					AND EXISTS (SELECT FROM deliveries WHERE lease_owner = (l.classid::bigint << 32) | l.objid::bigint)
				LIMIT 1), 0)`, w.name).Scan(&owner)
		if err != nil {
			return 0, err
		}
		if owner != 0 {
			return owner, nil
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("worker %s had nothing to do for %s", w.name, patience)
}

// orphan is a delivery in the hands of a process that was harmed.
type orphan struct {
	ref   queue.Ref
	token int64
}

// measure notes what an owner held at this moment and watches, in the
// background, until live workers have all of it or it is settled.
func (r *run) measure(ctx context.Context, owner int64, orphans *int, worst *float64) error {
	harmed := time.Now()
	rows, err := r.rig.DB.Query(ctx, `SELECT invite_id, id, lease_token FROM deliveries WHERE lease_owner = $1`, owner)
	if err != nil {
		return err
	}
	held, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (orphan, error) {
		var o orphan
		err := row.Scan(&o.ref.InviteID, &o.ref.DeliveryID, &o.token)
		return o, err
	})
	if err != nil {
		return err
	}
	*orphans += len(held)
	r.delays.Go(func() error {
		invites, tokens := make([]invite.ID, len(held)), make([]int64, len(held))
		for i, o := range held {
			invites[i], tokens[i] = o.ref.InviteID, o.token
		}
		for {
			stuck, err := r.number(ctx, `
				SELECT count(*) FROM deliveries d JOIN unnest($1::uuid[], $2::bigint[]) AS t(invite_id, token) USING (invite_id)
				WHERE d.lease_token = t.token AND d.next_at IS NOT NULL`, invites, tokens)
			if err != nil {
				return err
			}
			if stuck == 0 {
				break
			}
			waitFor(ctx, 25*time.Millisecond)
		}
		took := time.Since(harmed).Round(time.Millisecond).Seconds()
		r.mu.Lock()
		defer r.mu.Unlock()
		*worst = max(*worst, took)
		return nil
	})
	return nil
}

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
)

// freshProject owns the deliveries that workers store themselves. Its lanes have no
// backlog, so most of them are begun without a claim.
const freshProject = "fresh"

// fed is a line by which a worker tells its parent what it is about to store. It is
// written first: a worker that dies in between has stored it or not.
type fed struct {
	Invite   invite.ID         `json:"invite"`
	Delivery invite.DeliveryID `json:"delivery"`
	Key      string            `json:"key"`
}

// feeder is a worker's share of the load.
type feeder struct {
	rig     Rig
	channel invite.Channel
	d       *dispatch.Dispatcher
	told    io.Writer
}

// run stores a few deliveries at a time until ctx ends.
func (f feeder) run(ctx context.Context) error {
	for ctx.Err() == nil {
		p, err := f.rig.Prepare(2, Load{Project: freshProject, Channel: f.channel})
		if err != nil {
			return err
		}
		for _, m := range p.Made {
			if err := json.NewEncoder(f.told).Encode(fed{m.InviteID, m.DeliveryID, m.Key}); err != nil {
				return fmt.Errorf("tell what is stored: %w", err)
			}
		}
		// The database may be out of reach for this worker: a part of its test.
		_ = f.rig.Store(context.WithoutCancel(ctx), p, f.d)
		waitFor(ctx, 80*time.Millisecond)
	}
	return nil
}

// listen notes what a worker stores, until the worker ends or stops feeding.
func (r *run) listen(from io.ReadCloser) error {
	defer func() { _ = from.Close() }()
	for lines := bufio.NewScanner(from); lines.Scan(); {
		var f fed
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return nil // cut off in the middle by the worker's end, before it was stored
		}
		r.mu.Lock()
		r.loaded = append(r.loaded, Loaded{InviteID: f.Invite, DeliveryID: f.Delivery, Key: f.Key})
		r.unsure[f.Invite] = true
		r.mu.Unlock()
	}
	return nil
}

// stopFeeding has all workers store nothing more and waits until what they stored
// is known.
func (r *run) stopFeeding() error {
	for _, w := range r.workers {
		if err := w.arm(order{Quiet: true}); err != nil {
			return err
		}
	}
	return r.feeds.Wait()
}

// feed runs a worker's feeder until ctx ends, and then closes standard output: the
// parent reads to its end.
func (f feeder) feed(ctx context.Context) error {
	defer func() { _ = os.Stdout.Close() }()
	return f.run(ctx)
}

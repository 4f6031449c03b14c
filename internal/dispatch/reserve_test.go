package dispatch_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
)

// store stores n deliveries with leases of d where it has room.
func (w *world) store(n int, l chaos.Load, d *dispatch.Dispatcher) []chaos.Loaded {
	w.t.Helper()
	p, err := w.rig.Prepare(n, l)
	w.must(err)
	w.must(w.rig.Store(w.t.Context(), p, d))
	return p.Made
}

// TestAReservedDeliveryIsSentWithoutAClaim: the process that stored it has all that
// sending needs.
func TestAReservedDeliveryIsSentWithoutAClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var begun, claimed atomic.Int64
	d, _ := w.run(w.params(func(p *dispatch.Params) {
		p.Passing = func(at dispatch.Point) {
			switch at {
			case dispatch.PointStored:
				begun.Add(1)
			case dispatch.PointClaimed:
				claimed.Add(1)
			}
		}
	}))
	w.until("the process holds its lock", d.Working)
	made := w.store(20, chaos.Load{}, d)
	made = append(made, w.store(5, chaos.Load{Pending: true}, d)...)
	made = append(made, w.store(5, chaos.Load{LinkType: invite.ConnectLink}, d)...)
	late := w.store(1, chaos.Load{Left: time.Minute}, d)[0]
	w.until("all are sent", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE status = 'accepted'`) == len(made) })
	w.until("the late one has its reason", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1 AND status = 'rejected'`, late.InviteID) == 1
	})
	w.once(made)
	if n := w.count(`SELECT count(*) FROM deliveries WHERE lease_token <> 1 OR next_at IS NOT NULL OR lease_owner IS NOT NULL`); n != 0 {
		t.Errorf("%d deliveries were claimed or are still in the queue", n)
	}
	if begun.Load() != int64(len(made)+1) || claimed.Load() != 0 {
		t.Errorf("%d begun where they were stored, %d claims, want %d and none", begun.Load(), claimed.Load(), len(made)+1)
	}
}

// TestAPausedLaneHasNoReservedDeliveries: what staff hold back is not sent because
// it is new.
func TestAPausedLaneHasNoReservedDeliveries(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]string{
		"by staff":     `UPDATE lanes SET held_at = now()`,
		"by a breaker": `UPDATE lanes SET paused_until = now() + interval '1 hour'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d, _ := w.run(w.params())
			w.until("the process holds its lock", d.Working)
			first := w.store(1, chaos.Load{}, d)
			w.until("the first is sent", w.all("accepted"))
			w.exec(pause)
			w.store(3, chaos.Load{}, d)
			if n := w.count(`SELECT count(*) FROM deliveries WHERE lease_owner IS NOT NULL OR lease_token <> 0 AND status = 'queued'`); n != 0 {
				t.Errorf("%d deliveries of a paused lane have a lease", n)
			}
			w.exec(`UPDATE lanes SET held_at = NULL, paused_until = NULL`)
			d.Wake()
			w.until("all are sent", w.all("accepted"))
			if n := len(w.sink.Count()); n != len(first)+3 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// TestAReservedDeliveryOutlivesItsProcess: the lease of a delivery that was stored
// and never begun ends with the process.
func TestAReservedDeliveryOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, stop := w.run(w.params())
	w.until("the process holds its lock", d.Working)
	r, ok := d.Reserve(invite.Place{Project: "default"}.Lane(invite.Email))
	if !ok {
		t.Fatal("no room in an idle process")
	}
	owner, _ := r.Lease()
	made := w.load(3, chaos.Load{})
	w.exec(`UPDATE deliveries SET lease_owner = $1, lease_token = 1, next_at = now() + interval '1 hour'`, owner)
	stop()
	if d.Working() {
		t.Error("the process has its lock still")
	}
	if _, ok := d.Reserve(made[0].Lane); ok {
		t.Error("a process that has stopped reserves room")
	}
	w.run(w.params())
	w.until("all are sent by another process", w.all("accepted"))
	w.once(made)
}

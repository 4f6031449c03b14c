package dispatch

import (
	"cmp"
	"context"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// Reservation is room in this process for one delivery that is about to be
// stored. The delivery is stored with a lease of this process, and Start begins
// work on it without a claim. Exactly one of Start and Cancel must be called.
type Reservation struct {
	d     *Dispatcher
	lane  invite.Lane
	owner int64
	at    time.Time
}

// Reserve reserves room for a delivery of a lane that is due at once. ok is
// false where a claim must take the delivery: this process holds no lock, stops,
// has no room, or knows of deliveries of the lane that wait in the queue. Those
// come first: otherwise new ones would take all the room that is freed.
//
// Reserve must be called before the statement that stores the delivery is sent:
// the database's times are put on this machine's clock by the time of the call.
func (d *Dispatcher) Reserve(lane invite.Lane) (r *Reservation, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.owner == 0 || d.stopping.Load() || d.behind[lane] {
		return nil, false
	}
	if d.lanes[lane] >= d.p.PerLane || d.room() <= 0 {
		d.behind[lane] = true // the caller's delivery waits now
		return nil, false
	}
	d.reserved++
	d.lanes[lane]++
	return &Reservation{d: d, lane: lane, owner: d.owner, at: d.p.Now()}, true
}

// Lease returns owner and duration of the lease to store the delivery with. Its
// token is 1.
func (r *Reservation) Lease() (owner int64, lasts time.Duration) { return r.owner, r.d.p.Lease }

// Cancel gives the room back. A delivery that was stored with the lease all the
// same, because the answer of the commit was lost, is claimed when the lease ends.
func (r *Reservation) Cancel() {
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	r.d.unreserve(r.lane)
}

// Start begins work on the delivery of row, which is stored with the lease. After a
// stop no work begins: the lease ends with the process lock, and another process
// takes the delivery over.
func (r *Reservation) Start(row ledger.New, in ledger.Inserted) {
	// The channel has room for all reservations.
	r.d.reservations <- reservedTask{r, &task{Job: newJob(row, in), readAt: r.at}}
}

type reservedTask struct {
	r *Reservation
	t *task
}

// newJob is the delivery of a new invite as queue.FindJob would read it right
// after the commit.
func newJob(row ledger.New, in ledger.Inserted) queue.Job {
	d := row.Delivery
	j := queue.Job{
		Place:     row.Place,
		Lease:     queue.Lease{Ref: queue.Ref{InviteID: row.ID, DeliveryID: d.ID}, Token: 1, Owner: d.Lease.Owner},
		Now:       in.CreatedAt,
		Lane:      d.Lane,
		Channel:   d.Channel,
		Kind:      d.Kind,
		Status:    invite.Queued,
		CreatedAt: in.CreatedAt,
		Invite: queue.Invite{
			Columns: userid.Columns{UserText: row.ExternalUserID, SealedUser: row.SealedUserID},
			Version: 1, Status: row.Status, Environment: row.Environment, LinkType: row.LinkType, InitiatedBy: row.InitiatedBy,
			AppSlug: row.App.Slug, AppName: row.App.Name, AppAuthType: row.App.AuthType, OAuthAppID: row.OAuthAppID, Kind: cmp.Or(row.Kind, invite.PurposeInvite), ReconnectAccount: row.ReconnectAccount, CreatedBy: row.CreatedBy, Progress: invite.NotOpened,
			Content: row.Content, ExpiresIn: row.ExpiresIn, ValidFor: row.ValidFor, ExpiresAt: in.ExpiresAt,
			GivesUpAt: in.CreatedAt.Add(row.ExpiresIn), Trace: row.Trace,
		},
		Code: &queue.Code{ID: row.Code.ID, Sealed: row.Code.Sealed},
	}
	if in.ExpiresAt != nil {
		j.Invite.GivesUpAt = *in.ExpiresAt
	}
	if l := row.Link; l != nil {
		j.Link = &queue.Link{ID: l.ID, URL: l.URL, Granted: l.Granted, ExpiresAt: in.CreatedAt.Add(l.Left)}
	}
	return j
}

// startLoop starts work on the deliveries for which room was reserved.
func (d *Dispatcher) startLoop(ctx, working context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-d.reservations:
			s.r.Cancel()
			d.p.Passing(PointStored)
			d.start(working, s.t)
		}
	}
}

// room returns how many more deliveries this process may hold. d.mu is held.
func (d *Dispatcher) room() int { return d.p.InFlight - len(d.held) - d.reserved }

// unreserve gives back the room of one reservation. d.mu is held.
func (d *Dispatcher) unreserve(lane invite.Lane) {
	d.reserved--
	d.leave(lane)
}

// leave counts one delivery less in a lane. d.mu is held.
func (d *Dispatcher) leave(lane invite.Lane) {
	if d.lanes[lane]--; d.lanes[lane] == 0 {
		delete(d.lanes, lane)
	}
}

// noteBacklog notes in which lanes deliveries wait, by a claim for w that took
// jobs: those that it could take nothing from or filled.
func (d *Dispatcher) noteBacklog(w queue.Want, jobs []queue.Job) {
	taken := countByLane(jobs)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(jobs) < w.Batch { // otherwise it may have ended before a lane's turn
		for lane := range d.behind {
			if room := roomOf(w, lane); taken[lane] < room {
				delete(d.behind, lane)
			}
		}
	}
	for lane, n := range taken {
		if n >= roomOf(w, lane) {
			d.behind[lane] = true
		}
	}
	for lane, room := range w.Room {
		if room == 0 {
			d.behind[lane] = true
		}
	}
}

// countByLane returns the number of jobs of each lane.
func countByLane(jobs []queue.Job) map[invite.Lane]int {
	n := make(map[invite.Lane]int)
	for i := range jobs {
		n[jobs[i].Lane]++
	}
	return n
}

// roomOf returns how many deliveries of a lane a claim may take.
func roomOf(w queue.Want, lane invite.Lane) int {
	if left, ok := w.Room[lane]; ok {
		return min(w.PerLane, left)
	}
	return w.PerLane
}

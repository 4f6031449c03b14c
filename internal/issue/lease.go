package issue

import (
	"time"

	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Reservation is room in this process's dispatcher for one delivery that is about
// to be stored. Exactly one of Start and Cancel is called.
type Reservation interface {
	// Lease returns the lease to store the delivery with.
	Lease() (owner int64, lasts time.Duration)
	// Start begins work on the delivery of a row that was stored with the lease.
	Start(ledger.New, ledger.Inserted)
	// Cancel gives the room back.
	Cancel()
}

// reserve reserves room for the deliveries of a group that are due at once, and
// has them stored with leases. It is called right before the group is written.
func (c *committer) reserve(group []*accept) {
	if c.room == nil {
		return
	}
	for _, a := range group {
		d := a.row.Delivery
		if d == nil || !a.row.SendAt.IsZero() {
			continue
		}
		stored := *d
		stored.Lease = nil // one of an earlier try is over
		if r, ok := c.room(d.Lane); ok {
			owner, lasts := r.Lease()
			stored.Lease, a.reserved = &ledger.NewLease{Owner: owner, Lasts: lasts}, r
		}
		a.row.Delivery = &stored
	}
}

// start begins work on the delivery of an accept that was written; after an error
// it gives back the room.
func (a *accept) start() {
	if a.err != nil || !a.in.Leased {
		a.release()
		return
	}
	if r := a.reserved; r != nil {
		a.reserved = nil
		r.Start(a.row, a.in)
	}
}

// release gives back the room for the delivery of an accept that is not stored with
// the lease.
func (a *accept) release() {
	if r := a.reserved; r != nil {
		a.reserved = nil
		r.Cancel()
	}
}

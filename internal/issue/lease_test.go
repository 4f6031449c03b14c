package issue_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// rooms notes what became of each reservation.
type rooms struct {
	mu       sync.Mutex
	full     bool
	reserved int
	started  []invite.ID
	canceled int
}

func (r *rooms) reserve(invite.Lane) (issue.Reservation, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		return nil, false
	}
	r.reserved++
	return room{r}, true
}

type room struct{ of *rooms }

func (room) Lease() (int64, time.Duration) { return 42, time.Minute }

func (r room) Start(row ledger.New, _ ledger.Inserted) {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.of.started = append(r.of.started, row.ID)
}

func (r room) Cancel() {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.of.canceled++
}

// TestANewDeliveryIsStoredWithItsLease: the process that stores it works on it, and
// needs no wake-up; where it has no room a claim does.
func TestANewDeliveryIsStoredWithItsLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var r rooms
	s := w.process(func(p *issue.Params) { p.Reserve = r.reserve })
	create := func(change ...func(*issue.CreateRequest)) (invite.ID, error) {
		req := ask("user-1")
		for _, f := range change {
			f(&req)
		}
		a, err := s.Create(t.Context(), w.key, req, issue.Meta{Route: "POST /v1/invites", RequestID: "req_1"})
		return a.Invite.ID, err
	}
	leases := func() string {
		return fmt.Sprintf("%d with the lease, %d due", w.count(`SELECT count(*) FROM deliveries
			WHERE lease_owner = 42 AND lease_token = 1 AND next_at BETWEEN now() + interval '50 seconds' AND now() + interval '1 minute'`),
			w.count(`SELECT count(*) FROM deliveries WHERE lease_owner IS NULL AND lease_token = 0 AND next_at <= now()`))
	}
	id, err := create()
	if err != nil {
		t.Fatal(err)
	}
	if got := leases(); got != "1 with the lease, 0 due" || !slices.Equal(r.started, []invite.ID{id}) || len(w.woken) != 0 {
		t.Errorf("%s; begun %v, %d wake-ups", got, r.started, len(w.woken))
	}
	if _, err := create(func(c *issue.CreateRequest) { at := time.Now().Add(time.Hour); c.SendAt = &at }); err != nil {
		t.Fatal(err)
	}
	if r.reserved != 1 {
		t.Error("room is reserved for a message that is to be sent in an hour")
	}
	r.full = true
	if _, err := create(); err != nil {
		t.Fatal(err)
	}
	if got := leases(); got != "1 with the lease, 1 due" || len(w.woken) != 1 {
		t.Errorf("without room: %s, %d wake-ups", got, len(w.woken))
	}
	r.full = false
	if _, err := w.db.Exec(t.Context(), `UPDATE lanes SET held_at = now()`); err != nil {
		t.Fatal(err)
	}
	if _, err := create(); err != nil {
		t.Fatal(err)
	}
	if got := leases(); got != "1 with the lease, 2 due" || r.canceled != 1 {
		t.Errorf("in a paused lane: %s, %d reservations canceled", got, r.canceled)
	}
	if _, err := w.db.Exec(t.Context(), `ALTER TABLE deliveries ADD CONSTRAINT none CHECK (false) NOT VALID`); err != nil {
		t.Fatal(err)
	}
	if _, err := create(); err == nil {
		t.Error("an invite was made although its delivery cannot be stored")
	}
	if r.canceled != 2 || len(r.started) != 1 {
		t.Errorf("after a fault: %d reservations canceled, %d begun", r.canceled, len(r.started))
	}
}

// TestAFaultyRowLeavesTheOthersTheirLeases: a group that is stored in halves after a
// fault of one row has one reservation for each delivery.
func TestAFaultyRowLeavesTheOthersTheirLeases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.db.Exec(t.Context(), `ALTER TABLE invites ADD CONSTRAINT faulty CHECK (external_user_id <> 'user-3')`); err != nil {
		t.Fatal(err)
	}
	var r rooms
	s := w.process(func(p *issue.Params) { p.Reserve = r.reserve })
	var wg sync.WaitGroup
	var failed sync.Map
	for i := range 8 {
		wg.Go(func() {
			if _, err := s.Create(t.Context(), w.key, ask(fmt.Sprint("user-", i)), issue.Meta{Route: "POST /v1/invites", RequestID: "req_1"}); err != nil {
				failed.Store(i, true)
			}
		})
	}
	wg.Wait()
	failures := 0
	failed.Range(func(any, any) bool { failures++; return true })
	if _, ok := failed.Load(3); !ok || failures != 1 {
		t.Errorf("%d creates failed", failures)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := w.count(`SELECT count(*) FROM deliveries WHERE lease_owner = 42`); n != 7 || len(r.started) != 7 || r.canceled != r.reserved-7 {
		t.Errorf("%d leases, %d begun, %d of %d reservations canceled", n, len(r.started), r.canceled, r.reserved)
	}
}

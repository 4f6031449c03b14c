package dispatch

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// TestNewJobIsTheStoredDelivery: work that begins without a claim decides by the
// same facts as work that begins with one.
func TestNewJobIsTheStoredDelivery(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	lane := invite.Place{Project: "p", Live: true}.Lane(invite.Email)
	if err := ledger.EnsureLane(t.Context(), db, lane); err != nil {
		t.Fatal(err)
	}
	var rows []ledger.New
	for _, change := range []func(*ledger.New){
		func(*ledger.New) {},
		func(r *ledger.New) { r.LinkType = invite.ConnectLink },
		func(r *ledger.New) { r.ValidFor = 72 * time.Hour },
		func(r *ledger.New) { r.Status, r.Link = invite.Pending, nil },
		func(r *ledger.New) { r.Status, r.Link, r.ValidFor = invite.Pending, nil, 48*time.Hour },
		func(r *ledger.New) {
			r.ExternalUserID, r.SealedUserID, r.UserHash = "placeholder", []byte("sealed user"), make(seal.Hash, 32)
		},
		func(r *ledger.New) { r.App.AuthType, r.OAuthAppID, r.InitiatedBy = "", "", invite.ByProduct },
	} {
		id, raw := invite.New[invite.ID](), invite.New[invite.LinkID]().UUID()
		row := ledger.New{
			ID: id, Place: invite.Place{Project: "p", Live: true}, Environment: "production", Status: invite.Active,
			Channel: invite.Email, LinkType: invite.InviteLink, InitiatedBy: invite.ByUser, ExternalUserID: "user-1",
			App: invite.App{Slug: "slack", Name: "Slack", AuthType: "oauth"}, OAuthAppID: "oa_1", Content: []byte("content"),
			ExpiresIn: time.Hour, CreatedBy: invite.New[invite.KeyID](),
			Link: &ledger.Link{
				ID: invite.New[invite.LinkID](), URL: []byte("url"), TokenDigest: raw[:], WebhookDigest: raw[:], Granted: time.Hour,
				Left: 59*time.Minute + 123456789*time.Nanosecond, ExpiresAtRaw: "raw",
			},
			Delivery: &ledger.Delivery{
				ID: invite.New[invite.DeliveryID](), Number: 1, Channel: invite.Email, Kind: "first", Lane: lane,
				Lease: &ledger.NewLease{Owner: 42, Lasts: time.Minute},
			},
			Code:  ledger.Code{ID: invite.New[invite.EventID]().UUID(), Digest: raw[:], Sealed: []byte("code")},
			Event: invite.Event{ID: invite.New[invite.EventID](), Type: invite.EventCreated},
		}
		change(&row)
		rows = append(rows, row)
	}
	stored, err := ledger.Insert(t.Context(), db, rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		if !stored[i].Leased {
			t.Fatalf("%d: stored without its lease", i)
		}
		got := newJob(row, stored[i])
		want, ok, err := queue.FindJob(t.Context(), db, got.Lease)
		if err != nil || !ok {
			t.Fatalf("%d: find the job by the lease: %t, %v", i, ok, err)
		}
		if age := want.Now.Sub(got.Now); age < 0 {
			t.Errorf("%d: the job's time is %s later than the next one", i, -age)
		}
		got.Now = want.Now
		// The database adds what a link has left in microseconds.
		equalTime := cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() <= time.Microsecond })
		if diff := cmp.Diff(want, got, equalTime, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Errorf("%d: stored (-), in memory (+):\n%s", i, diff)
		}
	}
}

// TestReserveLeavesWhatWaitsItsTurn: room that is freed goes to deliveries that wait
// in the queue first.
func TestReserveLeavesWhatWaitsItsTurn(t *testing.T) {
	t.Parallel()
	lane, other := invite.Place{Project: "p"}.Lane(invite.SMS), invite.Place{Project: "q"}.Lane(invite.SMS)
	d := newDispatcher(Params{InFlight: 8, PerLane: 4})
	reserve := func(l invite.Lane) string {
		if _, ok := d.Reserve(l); !ok {
			return "no"
		}
		return "yes"
	}
	jobs := func(n int) []queue.Job { return make([]queue.Job, n) }
	var got []string
	step := func(format string, args ...any) { got = append(got, fmt.Sprintf(format, args...)) }

	step("without the lock: %s", reserve(lane))
	d.setOwner(7)
	first, ok := d.Reserve(lane)
	step("with it: %t", ok)
	step("up to the lane's share: %s %s %s %s", reserve(lane), reserve(lane), reserve(lane), reserve(lane))
	first.Cancel()
	step("with room again, but one waits: %s", reserve(lane))
	step("another lane: %s", reserve(other))
	// A claim that could take none of the lane leaves it as it is.
	d.noteBacklog(queue.Want{Batch: 8, PerLane: 4, Room: map[invite.Lane]int{lane: 0}}, nil)
	step("after a claim without room: %s", reserve(lane))
	full := jobs(4)
	for i := range full {
		full[i].Lane = lane
	}
	d.noteBacklog(queue.Want{Batch: 8, PerLane: 4}, full)
	step("after a claim that filled the lane: %s", reserve(lane))
	d.noteBacklog(queue.Want{Batch: 2, PerLane: 4}, full[:2])
	step("after a claim that ended early: %s", reserve(lane))
	d.noteBacklog(queue.Want{Batch: 8, PerLane: 4}, full[:1])
	step("after a claim that took all: %s", reserve(lane))
	d.stopping.Store(true)
	step("at a stop: %s", reserve(other))

	want := []string{
		"without the lock: no", "with it: true", "up to the lane's share: yes yes yes no", "with room again, but one waits: no",
		"another lane: yes", "after a claim without room: no", "after a claim that filled the lane: no", "after a claim that ended early: no",
		"after a claim that took all: yes", "at a stop: no",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

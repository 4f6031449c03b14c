package dispatch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// state reads an invite's state as the fold knows it.
func (w *world) state(id invite.ID) invite.State {
	w.t.Helper()
	var s invite.State
	w.must(postgres.InTx(w.t.Context(), w.db, func(tx pgx.Tx) error {
		locked, err := ledger.Lock(w.t.Context(), tx, id)
		s = locked.State
		return err
	}))
	return s
}

func (w *world) append(id invite.ID, events ...invite.Event) {
	w.t.Helper()
	w.must(postgres.InTx(w.t.Context(), w.db, func(tx pgx.Tx) error {
		_, err := ledger.Append(w.t.Context(), tx, w.rig.Box, id, events...)
		return err
	}))
}

func newAttempt(j queue.Job) queue.NewAttempt {
	return queue.NewAttempt{
		Lease: j.Lease, ID: invite.New[invite.AttemptID](), Version: j.Invite.Version, Provider: "twilio", Account: "x", TemplateVersion: "1",
	}
}

func (w *world) begin(a queue.NewAttempt) queue.Begun {
	w.t.Helper()
	begun, err := queue.Begin(w.t.Context(), w.db, []queue.NewAttempt{a}, time.Minute)
	w.must(err)
	return begun[a.ID]
}

// Begin writes one transition without the fold: it must be the fold's.
func TestBeginWritesTheTransitionOfTheFold(t *testing.T) {
	t.Parallel()
	retry := invite.Data{Reason: invite.ProviderDown, ProviderCode: "503", Provider: "vonage"}
	for name, before := range map[string][]invite.EventType{
		"queued":    nil,
		"retried":   {invite.EventDeliverySending, invite.EventDeliveryRetry},
		"sending":   {invite.EventDeliverySending},
		"accepted":  {invite.EventDeliverySending, invite.EventDeliveryAccepted},
		"deferred":  {invite.EventDeliverySending, invite.EventDeliveryDeferred},
		"no report": {invite.EventDeliverySending, invite.EventDeliveryAccepted, invite.EventDeliveryNoReceipt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			l := w.load(1, chaos.Load{Channel: invite.SMS})[0]
			for _, typ := range before {
				w.append(l.InviteID, invite.Event{Type: typ, DeliveryID: l.DeliveryID, Data: retry})
			}
			w.exec(`UPDATE deliveries SET next_at = now()`)
			jobs, err := queue.Claim(t.Context(), w.db, queue.Want{Owner: 1, Lease: time.Hour, Batch: 1, PerLane: 1})
			if err != nil || len(jobs) != 1 {
				t.Fatalf("%d jobs, %v", len(jobs), err)
			}
			want, effects := invite.Fold(w.state(l.InviteID), invite.Event{
				Type: invite.EventDeliverySending, DeliveryID: l.DeliveryID, Data: invite.Data{Provider: "twilio"},
			})
			want.Version-- // no event is stored
			if len(effects) > 0 {
				t.Errorf("the fold asks for %v, which the statement does not do", effects)
			}
			if b := w.begin(newAttempt(jobs[0])); !b.OK {
				t.Fatalf("not begun: %+v", b)
			}
			if diff := cmp.Diff(want, w.state(l.InviteID), cmpopts.EquateComparable(invite.DeliveryID{})); diff != "" {
				t.Errorf("the fold and the statement differ:\n%s", diff)
			}
		})
	}
}

func TestBeginRefusesWhatChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.load(4, chaos.Load{Channel: invite.SMS})
	jobs, err := queue.Claim(t.Context(), w.db, queue.Want{Owner: 1, Lease: time.Hour, Batch: 4, PerLane: 4})
	if err != nil || len(jobs) != len(made) {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	hash := seal.Hash("of an address that must not be written to")
	w.exec(`INSERT INTO suppressions (id, project_id, livemode, channel, kind, hash, source, created_by)
		VALUES (gen_random_uuid(), 'default', false, 'sms', 'by_hand', '` + fmt.Sprintf(`\x%x`, []byte(hash)) + `', 'api', 'staff')`)
	stale, blocked, lost := newAttempt(jobs[0]), newAttempt(jobs[1]), newAttempt(jobs[2])
	w.append(jobs[0].InviteID, invite.Event{Type: invite.EventFetched})
	blocked.BlockKeys = []seal.Hash{seal.Hash("another"), hash}
	lost.Token--
	begun, err := queue.Begin(t.Context(), w.db, []queue.NewAttempt{stale, blocked, lost, newAttempt(jobs[3])}, time.Minute)
	w.must(err)
	want := map[invite.AttemptID]queue.Begun{stale.ID: {Stale: true}, blocked.ID: {Block: invite.ByHand}, lost.ID: {}}
	for id, b := range want {
		if begun[id] != b {
			t.Errorf("%+v, want %+v", begun[id], b)
		}
	}
	if n := w.count(`SELECT count(*) FROM attempts`); n != 1 {
		t.Errorf("%d attempts are recorded, want that of the fourth", n)
	}
}

// A writer that changes an invite while an attempt begins holds its deliveries'
// locks: the attempt waits for it, and sees the change.
func TestBeginWaitsForAChangeOfItsInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.load(1, chaos.Load{Channel: invite.SMS})[0]
	jobs, err := queue.Claim(t.Context(), w.db, queue.Want{Owner: 1, Lease: time.Hour, Batch: 1, PerLane: 1})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	answer := make(chan queue.Begun, 1)
	a := newAttempt(jobs[0])
	w.must(postgres.InTx(t.Context(), w.db, func(tx pgx.Tx) error {
		if _, err := ledger.Append(t.Context(), tx, w.rig.Box, l.InviteID, invite.Event{Type: invite.EventFetched}); err != nil {
			return err
		}
		go func() {
			begun, err := queue.Begin(w.t.Context(), w.db, []queue.NewAttempt{a}, time.Minute)
			if err != nil {
				w.t.Error(err)
			}
			answer <- begun[a.ID]
		}()
		w.until("the attempt waits", func() bool {
			return w.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
		})
		return nil
	}))
	if b := <-answer; b != (queue.Begun{Stale: true}) {
		t.Errorf("begun with the message of an older state: %+v", b)
	}
}

package restore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/restore"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/recovery"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// moreThanABatch is a number of invites that takes two transactions.
const moreThanABatch = 501

// world is a database with live invites whose message is queued and that have a reminder
// which is due and a fallback.
type world struct {
	*tracktest.Kit
	t *testing.T
	// failAt is the number of the call to Publish that fails; 0: none does.
	failAt, calls int
}

type errInterrupted struct{}

func (errInterrupted) Error() string { return "interrupted" }

func newWorld(t *testing.T, invites int) *world {
	t.Helper()
	w := &world{Kit: tracktest.New(t), t: t}
	for range invites {
		w.Invite(tracktest.Options{Channel: invite.SMS})
	}
	w.exec(`UPDATE invites SET livemode = true, fallback_channel = 'email', fallback_after = 'not_visited', fallback_delay_s = 1800, remind_at = now() - interval '1 minute', reminders = 2`)
	w.exec(`UPDATE deliveries SET livemode = true, status = 'queued', lane = 'default/sms/live', next_at = now(), lease_owner = NULL`)
	return w
}

func (w *world) exec(sql string) {
	w.t.Helper()
	if _, err := w.Pool.Exec(w.t.Context(), sql); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count(sql string) (n int) {
	w.t.Helper()
	if err := w.Pool.QueryRow(w.t.Context(), "SELECT count(*)::int FROM "+sql).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) service() *restore.Service {
	w.t.Helper()
	enqueue := publish.NewOutbox(w.Box).Enqueue
	s, err := restore.New(restore.Params{
		DB: w.Pool, Box: w.Box, By: access.Principal{Kind: access.KindSystem},
		Publish: func(ctx context.Context, tx pgx.Tx, applied ...ledger.Applied) error {
			if w.calls++; w.calls == w.failAt {
				return errInterrupted{}
			}
			return enqueue(ctx, tx, applied...)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// TestADeclaredRestoreCanBeRepeatedAfterAnInterruption fails the second transaction of
// two. Processes refuse the database until the repetition has ended, and each automatic
// message is skipped once.
func TestADeclaredRestoreCanBeRepeatedAfterAnInterruption(t *testing.T) {
	t.Parallel()
	w := newWorld(t, moreThanABatch)
	ctx := t.Context()
	if err := recovery.Check(ctx, w.Pool); err != nil {
		t.Fatal(err)
	}
	w.exec(`INSERT INTO bulk_acts (project_id, livemode, id, staff_id, act, selection, state, items, emails, texts, cost, due_at)
		VALUES ('default', true, gen_random_uuid(), gen_random_uuid(), 'resend', 'all', 'running', 1, 1, 0, 0, now())`)
	w.exec(`INSERT INTO bulk_items (project_id, livemode, bulk_id, number, id, invite_id, state)
		SELECT 'default', true, (SELECT id FROM bulk_acts), row_number() OVER (), id, id, 'waiting' FROM invites LIMIT 2`)
	w.exec(`UPDATE bulk_items SET state = 'done' WHERE number = 1`)
	w.exec(`UPDATE database_identity SET system = '1'`)
	w.failAt = 2
	if _, err := w.service().Declare(ctx); !errors.Is(err, errInterrupted{}) {
		t.Fatalf("Declare = %v, want the interruption", err)
	}
	if err := recovery.Check(ctx, w.Pool); !errors.Is(err, recovery.ErrCopied) {
		t.Errorf("after the interruption Check = %v, want %v", err, recovery.ErrCopied)
	}
	if n := w.count(`restores`); n != 0 {
		t.Errorf("%d restores are recorded after the interruption", n)
	}
	r, err := w.service().Declare(ctx)
	if err != nil || r.Deliveries != moreThanABatch || r.Reminders != 1 || r.Fallbacks != 1 {
		t.Errorf("the repetition: %+v, %v; want all deliveries and the one invite that was left", r, err)
	}
	if err := recovery.Check(ctx, w.Pool); err != nil {
		t.Errorf("after the repetition Check = %v", err)
	}
	for _, typ := range []string{"fallback.skipped", "reminder.skipped"} {
		if n := w.count(`events WHERE data ->> 'reason' = 'database_restored' AND type = '` + typ + `'`); n != moreThanABatch {
			t.Errorf("%d × %s, want one for each of %d invites", n, typ, moreThanABatch)
		}
	}
	if n := w.count(`invites WHERE remind_at <= now() OR fallback_channel <> ''`); n != 0 {
		t.Errorf("%d invites still have an automatic message to come", n)
	}
	if acts, items := w.count(`bulk_acts WHERE state = 'stopped' AND due_at IS NULL`), w.count(`bulk_items WHERE number = 2 AND state = 'stopped'`); acts != 1 || items != 1 {
		t.Errorf("%d bulk acts and %d of their waiting items are stopped", acts, items)
	}
	if n := w.count(`audit WHERE act = 'restore_declared'`); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
}

// TestADeclaredMoveChangesNoMessage records the server and leaves the queue as it was.
func TestADeclaredMoveChangesNoMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ctx := t.Context()
	if err := recovery.Check(ctx, w.Pool); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE database_identity SET system = '1'`)
	if err := w.service().AcceptMove(ctx); err != nil {
		t.Fatal(err)
	}
	if err := recovery.Check(ctx, w.Pool); err != nil {
		t.Errorf("Check = %v", err)
	}
	if n := w.count(`deliveries WHERE restored_at IS NOT NULL`); n != 0 {
		t.Errorf("%d deliveries are marked", n)
	}
	if n := w.count(`invites WHERE fallback_channel <> '' AND remind_at IS NOT NULL`); n != 1 {
		t.Error("the automatic messages are gone")
	}
	if n := w.count(`audit WHERE act = 'restore_declared' AND data @> '{"outcome": "nothing_lost"}'`); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
}

// TestARestoreIsRefusedWhileProcessesRun connects as dispatch does.
func TestARestoreIsRefusedWhileProcessesRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	conn, err := w.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), `SET application_name = 'connectlink dispatch'`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service().Declare(t.Context()); !errors.Is(err, restore.ErrProcessesRun) {
		t.Errorf("Declare = %v, want %v", err, restore.ErrProcessesRun)
	}
	if err := w.service().AcceptMove(t.Context()); !errors.Is(err, restore.ErrProcessesRun) {
		t.Errorf("AcceptMove = %v, want %v", err, restore.ErrProcessesRun)
	}
	if n := w.count(`deliveries WHERE restored_at IS NOT NULL`) + w.count(`restores`); n != 0 {
		t.Errorf("%d rows were changed", n)
	}
}

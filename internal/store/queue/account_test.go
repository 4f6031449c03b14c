package queue_test

import (
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/waittest"
)

var trip = queue.Trip{Threshold: 3, First: 2 * time.Second, Max: 5 * time.Second}

func TestTheBreakerOpensAtTheThreshold(t *testing.T) {
	t.Parallel()
	tx, ctx := postgrestest.Tx(t), t.Context()
	for i, want := range []time.Duration{0, 0, 2 * time.Second} {
		got, err := queue.AddFailures(ctx, tx, queue.FailureReport{Account: "a", Failures: 1}, trip)
		if err != nil || got != want {
			t.Fatalf("failure %d: open for %v, %v; want %v", i+1, got, err, want)
		}
	}
	if open, _, err := queue.SetWorking(ctx, tx, "a", nil); err != nil || !open {
		t.Fatalf("closing it: was open %v, %v", open, err)
	}
	if got, err := queue.AddFailures(ctx, tx, queue.FailureReport{Account: "a", Failures: 1}, trip); err != nil || got != 0 {
		t.Fatalf("after closing one failure opens it for %v, %v", got, err)
	}
}

func TestARefusedAccountOpensAtOnce(t *testing.T) {
	t.Parallel()
	tx, ctx := postgrestest.Tx(t), t.Context()
	for range 2 { // the first makes the row, the second changes it
		got, err := queue.AddFailures(ctx, tx, queue.FailureReport{Account: "a", Failures: 1, Rest: 30 * time.Second}, trip)
		if err != nil || got != 30*time.Second {
			t.Fatalf("open for %v, %v", got, err)
		}
	}
	list, err := queue.ListAccounts(ctx, tx)
	if err != nil || len(list) != 1 || !list[0].Open || list[0].OpenFor != 30*time.Second || list[0].ReportedAgo >= 0 {
		t.Fatalf("listed as %+v, %v", list, err)
	}
}

func TestTheBucketIsSharedAndFills(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	total := 0
	begun := time.Now()
	for total < 8 {
		// 5 at once, then 20 a second.
		got, wait, err := queue.TakeTokens(ctx, db, "x", 2, 20, 5)
		if err != nil {
			t.Fatal(err)
		}
		total += got
		if got == 0 && wait > 60*time.Millisecond {
			t.Fatalf("told to wait %v for the next of 20 a second", wait)
		}
		if time.Since(begun) > waittest.Limit {
			t.Fatalf("only %d in %v", total, time.Since(begun))
		}
	}
	if took := time.Since(begun); took < 100*time.Millisecond {
		t.Errorf("%d in %v", total, took)
	}
	// However long no message is sent, the bucket holds no more than its size.
	if _, err := db.Exec(ctx, `UPDATE provider_accounts SET filled_at = filled_at - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	if got, _, err := queue.TakeTokens(ctx, db, "x", 100, 20, 5); err != nil || got != 5 {
		t.Errorf("after an hour at rest %d at once, %v; want 5", got, err)
	}
}

func TestOneProbeAtATime(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	take := func() bool {
		ok, err := queue.TakeProbe(ctx, db, "x", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if take() {
		t.Error("a probe of an account that nobody knows")
	}
	if _, err := queue.AddFailures(ctx, db, queue.FailureReport{Account: "x", Rest: time.Hour}, trip); err != nil {
		t.Fatal(err)
	}
	if take() {
		t.Error("a probe before its time")
	}
	if _, err := db.Exec(ctx, `UPDATE provider_accounts SET open_until = now()`); err != nil {
		t.Fatal(err)
	}
	if !take() || take() {
		t.Error("want one probe, and one only")
	}
	if err := queue.DropProbe(ctx, db, "x"); err != nil {
		t.Fatal(err)
	}
	if !take() {
		t.Error("a probe that was given back is gone")
	}
	if err := queue.DropProbes(ctx, db); err != nil {
		t.Fatal(err)
	}
	if !take() {
		t.Error("the probe of a process that died is still taken")
	}
	// The probe fails: open again, for longer, and the next probe is free.
	again, err := queue.AddFailures(ctx, db, queue.FailureReport{Account: "x", Failures: 1}, trip)
	if err != nil || again != 4*time.Second {
		t.Errorf("open for %v, %v; want twice the first time", again, err)
	}
}

// F9: what waits for a project that was removed is found.
func TestF9DeliveriesOfARemovedProjectAreListed(t *testing.T) {
	t.Parallel()
	tx, ctx := postgrestest.Tx(t), t.Context()
	insert(t, tx, "kept/sms/live", 2)
	insert(t, tx, "removed/sms/live", 3)
	insert(t, tx, "removed/email/test", 1)
	got, err := queue.ListOrphans(ctx, tx, []string{"kept", "other"})
	if err != nil || len(got) != 1 || got[0] != (queue.Orphan{ProjectID: "removed", Waiting: 4}) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := queue.ListOrphans(ctx, tx, []string{"kept", "removed"}); err != nil || len(got) != 0 {
		t.Errorf("with every project configured: %v, %v", got, err)
	}
}

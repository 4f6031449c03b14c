package queue_test

import (
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/queue"
)

var trip = queue.Trip{Threshold: 3, First: 2 * time.Second, Max: 5 * time.Second}

func TestTheBreakerOpensAtTheThreshold(t *testing.T) {
	t.Parallel()
	tx, ctx := postgrestest.Tx(t), t.Context()
	for i, want := range []time.Duration{0, 0, 2 * time.Second} {
		got, err := queue.AddFailures(ctx, tx, queue.Blow{Account: "a", Failures: 1}, trip)
		if err != nil || got != want {
			t.Fatalf("failure %d: open for %v, %v; want %v", i+1, got, err, want)
		}
	}
	if open, _, err := queue.SetWorking(ctx, tx, "a", nil); err != nil || !open {
		t.Fatalf("closing it: was open %v, %v", open, err)
	}
	if got, err := queue.AddFailures(ctx, tx, queue.Blow{Account: "a", Failures: 1}, trip); err != nil || got != 0 {
		t.Fatalf("after closing one failure opens it for %v, %v", got, err)
	}
}

func TestARefusedAccountOpensAtOnce(t *testing.T) {
	t.Parallel()
	tx, ctx := postgrestest.Tx(t), t.Context()
	for range 2 { // the first makes the row, the second changes it
		got, err := queue.AddFailures(ctx, tx, queue.Blow{Account: "a", Failures: 1, Rest: 30 * time.Second}, trip)
		if err != nil || got != 30*time.Second {
			t.Fatalf("open for %v, %v", got, err)
		}
	}
	list, err := queue.ListAccounts(ctx, tx)
	if err != nil || len(list) != 1 || !list[0].Open || list[0].OpenFor != 30*time.Second || list[0].ReportedAgo >= 0 {
		t.Fatalf("listed as %+v, %v", list, err)
	}
}

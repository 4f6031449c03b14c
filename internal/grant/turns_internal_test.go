package grant

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// Security F3: 40 sign-ins at once kept staff out. A password of a known device waits
// for the comparison that runs and for one of an unknown device at most, however
// many wait; and of the unknown ones a bounded number waits.
func TestF3AKnownDeviceWaitsForTwoComparisonsAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const comparison = time.Second // of the test's own clock
		turns := newTurns()
		type finished struct {
			known bool
			after time.Duration
		}
		running, most, done := 0, 0, make(chan finished, 100)
		began := time.Now()
		compare := func(known bool) {
			release, err := turns.wait(t.Context(), known)
			if err != nil {
				t.Error(err)
				return
			}
			running++
			most = max(most, running)
			<-time.After(comparison) // by the clock of the bubble, which no one waits for
			running--
			release()
			done <- finished{known, time.Since(began)}
		}
		for range maxWaiting + 1 { // one of them is compared
			go compare(false)
		}
		synctest.Wait()
		if _, err := turns.wait(t.Context(), false); !errors.Is(err, ErrBusy) {
			t.Errorf("beyond the bound: %v", err)
		}
		go compare(true)
		unknownBefore := 0
		for range maxWaiting + 2 {
			f := <-done
			if f.known {
				if unknownBefore > 2 || f.after > 3*comparison {
					t.Errorf("the known device waited for %d comparisons, until %s", unknownBefore, f.after)
				}
				unknownBefore = -1000
			}
			unknownBefore++
		}
		if most != maxChecking {
			t.Errorf("%d comparisons ran at once", most)
		}
	})
}

func TestWhoGivesUpLeavesTheQueue(t *testing.T) {
	t.Parallel()
	turns := newTurns()
	release, err := turns.wait(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, known := range []bool{false, true} {
		for range maxWaiting + 5 { // as many as may wait, and more: none stays
			if _, err := turns.wait(gone, known); !errors.Is(err, context.Canceled) {
				t.Fatalf("known %t: %v", known, err)
			}
		}
	}
	release()
	if release, err = turns.wait(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	release()
}

func BenchmarkComparePassword(b *testing.B) {
	for b.Loop() {
		if _, err := checkPassword(dummy, secret.New("correct horse battery staple")); err != nil {
			b.Fatal(err)
		}
	}
}

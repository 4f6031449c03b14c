package grant

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
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
			release, err := turns.wait(t.Context(), known, "192.0.2.7")
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
		if _, err := turns.wait(t.Context(), false, "192.0.2.7"); !errors.Is(err, ErrBusy) {
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

// Security F3: a crowd of unknown devices in one network delays an unknown device of
// another network by three comparisons, and does not keep it out of a full queue.
func TestF3ACrowdDelaysItsOwnNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const comparison = time.Second // of the test's own clock
		turns := newTurns()
		began := time.Now()
		var busy, compared atomic.Int64
		compare := func(client string) time.Duration {
			release, err := turns.wait(t.Context(), false, client)
			if errors.Is(err, ErrBusy) {
				busy.Add(1)
				return 0
			}
			if err != nil {
				t.Error(err)
				return 0
			}
			<-time.After(comparison)
			release()
			compared.Add(1)
			return time.Since(began)
		}
		// One is compared, one is next, and the others wait.
		for i := range maxWaiting + 1 {
			go compare(fmt.Sprintf("203.0.113.%d", i))
		}
		synctest.Wait()
		if n := busy.Load(); n != 0 {
			t.Errorf("%d are refused before the queue is full", n)
		}
		if after := compare("198.51.100.7"); after == 0 || after > 4*comparison {
			t.Errorf("another network's is compared after %s", after)
		}
		if n := busy.Load(); n != 1 {
			t.Errorf("%d made way", n)
		}
		<-time.After(100 * comparison)
		synctest.Wait()
		if compared.Load() != maxWaiting+1 || turns.waiting != 0 || len(turns.lines) != 0 || len(turns.inTurn) != 0 || turns.taken {
			t.Errorf("%d compared; the queue stands as %+v", compared.Load(), turns.lines)
		}
	})
}

func TestNetworkOfAClient(t *testing.T) {
	t.Parallel()
	for client, want := range map[string]string{
		"203.0.113.9": "203.0.113.0/24", "::ffff:203.0.113.9": "203.0.113.0/24", "2001:db8:1:2::3": "2001:db8:1::/48", "2001:db8:1:2::/64": "2001:db8:1::/48", "": "", "x": "x",
	} {
		if got := networkOf(client); got != want {
			t.Errorf("networkOf(%q) = %q, want %q", client, got, want)
		}
	}
}

func TestWhoGivesUpLeavesTheQueue(t *testing.T) {
	t.Parallel()
	turns := newTurns()
	release, err := turns.wait(t.Context(), false, "192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, known := range []bool{false, true} {
		for range maxWaiting + 5 { // as many as may wait, and more: none stays
			if _, err := turns.wait(gone, known, "192.0.2.7"); !errors.Is(err, context.Canceled) {
				t.Fatalf("known %t: %v", known, err)
			}
		}
	}
	release()
	if release, err = turns.wait(t.Context(), true, ""); err != nil {
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

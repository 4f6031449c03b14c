package dispatch

import (
	"slices"
	"sync"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/waittest"
)

func TestALaneWithMuchDoesNotKeepAnotherWaiting(t *testing.T) {
	t.Parallel()
	q := newFairly[int]()
	for i := range 100 {
		q.put(laneOf("import"), i)
	}
	q.put(laneOf("other"), 1000)
	q.put(laneOf("third"), 2000)
	q.put(laneOf("other"), 1001)
	got, more := q.take(nil, 6)
	if want := []int{0, 1000, 2000, 1, 1001, 2}; !slices.Equal(got, want) || !more {
		t.Errorf("took %v, more %v; want %v and more", got, more, want)
	}
	rest, more := q.take(nil, 1000)
	if len(rest) != 97 || more || rest[0] != 3 || rest[96] != 99 {
		t.Errorf("then %d, more %v, want the other 97 in their order", len(rest), more)
	}
	if none, more := q.take(nil, 1); len(none) > 0 || more {
		t.Error("there is something left")
	}
}

func TestTurnsAreGivenToOneLaneAfterTheOther(t *testing.T) {
	t.Parallel()
	turns := newTurns(1)
	turns.wait(laneOf("import"))
	order := make(chan string, 4)
	var all sync.WaitGroup
	queued := func() int {
		turns.waiting.mu.Lock()
		defer turns.waiting.mu.Unlock()
		n := 0
		for _, l := range turns.waiting.lanes {
			n += len(l)
		}
		return n
	}
	for i, lane := range []invite.Lane{laneOf("import"), laneOf("import"), laneOf("import"), laneOf("other")} {
		all.Go(func() {
			turns.wait(lane)
			order <- lane.Project
			turns.done()
		})
		waittest.Until(t, "the work waits for its turn", func() bool { return queued() == i+1 })
	}
	turns.done()
	all.Wait()
	close(order)
	var got []string
	for lane := range order {
		got = append(got, lane)
	}
	if want := []string{"import", "other", "import", "import"}; !slices.Equal(got, want) {
		t.Errorf("turns were %v, want %v", got, want)
	}
	if turns.free != 1 {
		t.Errorf("%d are free in the end, want 1", turns.free)
	}
}

func laneOf(project string) invite.Lane { return invite.Place{Project: project}.Lane(invite.Email) }

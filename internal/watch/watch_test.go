package watch_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/waittest"
	"github.com/connectlink/connectlink/internal/watch"
)

// patience bounds what happens by itself; no test takes it when all is well.
const patience = waittest.Limit

// world is a database and the processes on it.
type world struct {
	*tracktest.Kit
	t testing.TB
}

func newWorld(t testing.TB) *world { return &world{Kit: tracktest.New(t), t: t} }

func (w *world) versions(ctx context.Context, ids []invite.ID) (map[invite.ID]int, error) {
	return find.Versions(ctx, w.Pool, ids)
}

// run starts a Registry, as a process does, and stops it at the test's end.
func (w *world) run(p watch.Params) (r *watch.Registry, stop func()) {
	w.t.Helper()
	p.Versions = w.versions
	r = watch.New(p)
	log := slog.New(slog.DiscardHandler)
	l := postgres.NewListener(postgres.ListenerParams{URL: w.Pool.Config().ConnString(), Log: log})
	heard := l.Listen(watch.Channel)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	var g sync.WaitGroup
	g.Go(func() { _ = l.Run(ctx) })
	g.Go(func() {
		if err := r.Run(ctx, heard); err != nil {
			w.t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); g.Wait() })
	w.t.Cleanup(stop)
	return r, stop
}

// wait joins, reads as a request does, says so on joined, and returns the
// version at which it was sent home.
func (w *world) wait(r *watch.Registry, id invite.ID, joined chan<- int) int {
	ticket, ok := r.Join(id)
	if !ok {
		w.t.Error("there is no place")
		return 0
	}
	defer ticket.Leave()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	first := 0
	for {
		versions, err := w.versions(ctx, []invite.ID{id})
		if err != nil {
			w.t.Error(err)
			return 0
		}
		switch {
		case first == 0:
			first = versions[id]
			joined <- first
		case versions[id] > first, r.Closed():
			return versions[id]
		}
		if !ticket.Wait(ctx, versions[id]) {
			w.t.Error("waited in vain")
			return 0
		}
	}
}

// waiting starts wait and returns once it has read.
func (w *world) waiting(r *watch.Registry, id invite.ID) <-chan int {
	joined, home := make(chan int, 1), make(chan int, 1)
	go func() { home <- w.wait(r, id, joined) }()
	select {
	case <-joined:
	case <-time.After(patience):
		w.t.Error("never began to wait")
	}
	return home
}

func (w *world) visit(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventVisited}) }

func TestAMoveInThisProcessWakesWhoWaitsForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, _ := w.run(watch.Params{Every: time.Hour})
	mine, other := w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{})
	home, still := w.waiting(r, mine.ID), w.waiting(r, other.ID)
	w.visit(mine)
	r.Moved(mine.ID)
	if got := <-home; got != 2 {
		t.Errorf("sent home at version %d", got)
	}
	select {
	case <-still:
		t.Error("who waits for another invite was sent home")
	default:
	}
	w.visit(other)
	r.Moved(other.ID)
	<-still
	if n := r.Waiting(); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}

func TestAMoveBetweenReadingAndWaitingIsNotMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, _ := w.run(watch.Params{Every: time.Hour})
	m := w.Invite(tracktest.Options{})
	ticket, _ := r.Join(m.ID)
	defer ticket.Leave()
	w.visit(m) // after the reading at version 1
	r.Moved(m.ID)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if !ticket.Wait(ctx, 1) {
		t.Error("waited in vain")
	}
}

func TestAMoveInAnotherProcessIsHeard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, _ := w.run(watch.Params{Every: time.Hour})
	n := postgres.NewNotifier(postgres.NotifierParams{URL: w.Pool.Config().ConnString(), Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	var g sync.WaitGroup
	g.Go(func() { _ = n.Run(ctx) })
	t.Cleanup(func() { cancel(); g.Wait() })
	m := w.Invite(tracktest.Options{})
	home := w.waiting(r, m.ID)
	w.visit(m)
	n.Notify(watch.Channel, m.ID.String())
	if got := <-home; got != 2 {
		t.Errorf("sent home at version %d", got)
	}
}

func TestAMoveNobodySpokeOfIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, _ := w.run(watch.Params{Every: 20 * time.Millisecond})
	m := w.Invite(tracktest.Options{})
	home := w.waiting(r, m.ID)
	w.visit(m)
	if got := <-home; got != 2 {
		t.Errorf("sent home at version %d", got)
	}
}

func TestAMoveDuringALostConnectionIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, _ := w.run(watch.Params{Every: time.Hour})
	m := w.Invite(tracktest.Options{})
	home := w.waiting(r, m.ID)
	listens := `FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'connectlink listener' AND query LIKE 'LISTEN%'`
	for deadline := time.Now().Add(patience); w.Count(`SELECT count(*) `+listens) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody listens")
		}
	}
	// A commit while no process listens is announced to none.
	w.Exec(`SELECT pg_terminate_backend(pid) ` + listens)
	w.visit(m)
	if got := <-home; got != 2 {
		t.Errorf("sent home at version %d", got)
	}
}

func TestADeletedInviteKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, _ := w.run(watch.Params{Every: 20 * time.Millisecond})
	m := w.Invite(tracktest.Options{})
	ticket, _ := r.Join(m.ID)
	defer ticket.Leave()
	w.Exec(`DELETE FROM invites WHERE id = $1`, m.ID)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if !ticket.Wait(ctx, 1) {
		t.Error("waited in vain")
	}
}

func TestPlacesAreBounded(t *testing.T) {
	t.Parallel()
	r := watch.New(watch.Params{Max: 3, PerInvite: 2})
	one, two := invite.New[invite.ID](), invite.New[invite.ID]()
	a, ok1 := r.Join(one)
	_, ok2 := r.Join(one)
	_, third := r.Join(one)
	_, ok4 := r.Join(two)
	_, fifth := r.Join(invite.New[invite.ID]())
	if !ok1 || !ok2 || third || !ok4 || fifth {
		t.Errorf("places: %v %v %v %v %v", ok1, ok2, third, ok4, fifth)
	}
	a.Leave()
	a.Leave() // twice is once
	if n := r.Waiting(); n != 2 {
		t.Errorf("%d places taken, want 2", n)
	}
	if _, ok := r.Join(one); !ok {
		t.Error("a place that was given up stays taken")
	}
}

func TestAnEndingProcessSendsEverybodyHome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, stop := w.run(watch.Params{Every: time.Hour})
	m := w.Invite(tracktest.Options{})
	home := w.waiting(r, m.ID)
	stop()
	if got := <-home; got != 1 {
		t.Errorf("sent home at version %d", got)
	}
	if _, ok := r.Join(m.ID); ok {
		t.Error("somebody may still begin to wait")
	}
}

// Waking for nothing must not become reading for nothing: who knows the
// present version is left alone by every look.
func TestALookWakesOnlyThoseWhoAreBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, _ := w.run(watch.Params{Every: 5 * time.Millisecond})
	still, moved := w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{})
	ticket, _ := r.Join(still.ID)
	defer ticket.Leave()
	ctx, cancel := context.WithCancel(t.Context())
	woken := make(chan int, 1)
	go func() {
		n := 0
		for ticket.Wait(ctx, 1) {
			n++
		}
		woken <- n
	}()
	home := w.waiting(r, moved.ID)
	w.visit(moved)
	<-home // several looks later
	cancel()
	// One read may fall between joining and giving the known version.
	if n := <-woken; n > 1 {
		t.Errorf("woken %d times although nothing moved", n)
	}
}

// BenchmarkLook is what 2,000 waiting requests cost a process each second.
func BenchmarkLook(b *testing.B) {
	w := newWorld(b)
	ids := make([]invite.ID, 2000)
	for i := range ids {
		ids[i] = invite.New[invite.ID]()
	}
	looked := make(chan struct{})
	r := watch.New(watch.Params{Every: time.Hour, Versions: func(ctx context.Context, some []invite.ID) (map[invite.ID]int, error) {
		defer func() { looked <- struct{}{} }()
		return w.versions(ctx, some)
	}})
	m := w.Invite(tracktest.Options{})
	ids[0] = m.ID
	for _, id := range ids {
		if _, ok := r.Join(id); !ok {
			b.Fatal("there is no place")
		}
	}
	heard := make(chan string)
	ctx, cancel := context.WithCancel(b.Context())
	var g sync.WaitGroup
	g.Go(func() { _ = r.Run(ctx, heard) })
	for b.Loop() {
		heard <- "" // look at everything
		<-looked
	}
	cancel()
	g.Wait()
}

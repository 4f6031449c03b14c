package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// Channel is the database's channel for invites that moved; the payload is an
// invite's id, or nothing for "look at everything".
const Channel = "connectlink_moved"

// Defaults of Params.
const (
	DefaultMax       = 20_000
	DefaultPerInvite = 32
	DefaultEvery     = time.Second
)

// Params are what a Registry needs.
type Params struct {
	// Versions reads the present versions of invites; those that are gone are
	// left out. find.Versions does.
	Versions  func(ctx context.Context, ids []invite.ID) (map[invite.ID]int, error)
	Max       int           // waiting requests in all
	PerInvite int           // and for one invite
	Every     time.Duration // between two reads of the versions
	Log       *slog.Logger
}

// Registry knows who waits. It is safe for concurrent use.
type Registry struct {
	p Params

	mu      sync.Mutex
	waiting map[invite.ID]map[*Ticket]struct{}
	count   int
	closed  bool
}

// Ticket is one request's place. Leave must be called.
type Ticket struct {
	r     *Registry
	id    invite.ID
	seen  int // the version its holder knows; 0 before it has said so
	moved chan struct{}
}

// New makes a Registry. Without Run it hears of moves in this process only.
func New(p Params) *Registry {
	if p.Max <= 0 {
		p.Max = DefaultMax
	}
	if p.PerInvite <= 0 {
		p.PerInvite = DefaultPerInvite
	}
	if p.Every <= 0 {
		p.Every = DefaultEvery
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Registry{p: p, waiting: map[invite.ID]map[*Ticket]struct{}{}}
}

// Join takes a place for an invite. ok is false when there is none left, or
// when the process is about to end: then do not wait.
func (r *Registry) Join(id invite.ID) (t *Ticket, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.count >= r.p.Max || len(r.waiting[id]) >= r.p.PerInvite {
		return nil, false
	}
	t = &Ticket{r: r, id: id, moved: make(chan struct{}, 1)}
	if r.waiting[id] == nil {
		r.waiting[id] = map[*Ticket]struct{}{}
	}
	r.waiting[id][t] = struct{}{}
	r.count++
	return t, true
}

// Leave gives the place up.
func (t *Ticket) Leave() {
	r := t.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.waiting[t.id][t]; !ok {
		return
	}
	delete(r.waiting[t.id], t)
	if len(r.waiting[t.id]) == 0 {
		delete(r.waiting, t.id)
	}
	r.count--
}

// Wait returns when the invite may have moved on from a version, or the
// process is about to end (true), or ctx ended (false). It may wake for
// nothing: read again.
func (t *Ticket) Wait(ctx context.Context, seen int) bool {
	t.r.mu.Lock()
	t.seen = seen
	closed := t.r.closed
	t.r.mu.Unlock()
	if closed {
		return true
	}
	select {
	case <-t.moved:
		return true
	case <-ctx.Done():
		return false
	}
}

// Moved wakes the waiters of an invite.
func (r *Registry) Moved(id invite.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := range r.waiting[id] {
		t.wake()
	}
}

func (t *Ticket) wake() {
	select {
	case t.moved <- struct{}{}:
	default: // woken already
	}
}

// Waiting is how many requests wait, for a metric.
func (r *Registry) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// Closed says that Run has ended, so that who waits can answer at once.
func (r *Registry) Closed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// Run hears of other processes' moves and looks for missed ones, until ctx
// ends; then it sends everybody home and returns nil. heard is a subscription
// to Channel.
func (r *Registry) Run(ctx context.Context, heard <-chan string) error {
	defer r.close()
	tick := time.NewTicker(r.p.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case payload := <-heard:
			if id, err := invite.Parse[invite.ID](payload); err == nil {
				r.Moved(id)
				continue
			}
			// The connection was lost, or there was too much to list.
		case <-tick.C:
		}
		if err := r.catchUp(ctx); err != nil && ctx.Err() == nil {
			r.p.Log.WarnContext(ctx, "look for invites that moved", "err", err)
		}
	}
}

// batch is how many invites one query asks for.
const batch = 5000

// catchUp wakes those whose invite has moved past the version they know.
// Waking all of them would have all of them read at once.
func (r *Registry) catchUp(ctx context.Context) error {
	ids := r.watched()
	for len(ids) > 0 {
		some := ids[:min(batch, len(ids))]
		ids = ids[len(some):]
		versions, err := r.p.Versions(ctx, some)
		if err != nil {
			return err
		}
		r.compare(some, versions)
	}
	return nil
}

// watched lists the invites with waiters.
func (r *Registry) watched() []invite.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]invite.ID, 0, len(r.waiting))
	for id := range r.waiting {
		ids = append(ids, id)
	}
	return ids
}

func (r *Registry) compare(ids []invite.ID, versions map[invite.ID]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		version, exists := versions[id]
		for t := range r.waiting[id] {
			if !exists || version > t.seen {
				t.wake()
			}
		}
	}
}

func (r *Registry) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, tickets := range r.waiting {
		for t := range tickets {
			t.wake()
		}
	}
}

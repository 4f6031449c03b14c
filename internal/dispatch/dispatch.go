package dispatch

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/traffic"
	"github.com/connectlink/connectlink/internal/trace"
)

// Pace limits the sends through a provider account; zero means unlimited.
type Pace struct {
	PerSecond float64
	Burst     int
}

// DefaultInFlight is how many deliveries a process has under way at a time.
const DefaultInFlight = 512

// Params are what a Dispatcher needs. Knobs that are zero get the defaults named.
type Params struct {
	DB *pgxpool.Pool
	// DirectURL reaches the database without a pooler: the process lock is a
	// session's.
	DirectURL secret.Text
	// Sockets open the lock's connection; nil makes a set of its own.
	Sockets *postgres.Sockets
	Box     *seal.Box
	Minters mint.Set
	// Senders are tried in order; the second is the way out when the first is down.
	Senders  func(place invite.Place, ch invite.Channel) []provider.Sender
	Project  func(id string) (config.Project, bool)
	Composer *compose.Composer
	// CallbackURL is where a provider reports on one attempt; "" when it cannot reach us.
	CallbackURL func(place invite.Place, provider, inviteID, attemptID string) string
	// BlockKeys are the keys under which a suppression of an address would be stored.
	BlockKeys func(place invite.Place, ch invite.Channel, address string) []seal.Hash
	// Publish hands on what follows from events, in the transaction that records them.
	Publish func(ctx context.Context, tx pgx.Tx, applied ...ledger.Applied) error
	// Pauses are those of countries, ranges of numbers and keys.
	Pauses  Pauses
	Pace    func(account string) Pace // nil: unlimited
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: not registered
	Tracer  *trace.Tracer         // nil: records nothing
	Now     func() time.Time      // this machine's clock, for durations only; time.Now
	// Passing is called at each Point; nil but in package chaos's own processes.
	Passing func(Point)

	Lease        time.Duration // 8 s
	Renew        time.Duration // 2 s
	Reap         time.Duration // 500 ms
	Poll         time.Duration // 250 ms: how often to look without being told; twice that at rest
	CallDeadline time.Duration // 10 s: one call to a provider
	StopWithin   time.Duration // CallDeadline + 3 s: how long work in progress may take at a stop
	InFlight     int           // DefaultInFlight: deliveries at a time in this process
	PerLane      int           // 128 of them of one lane: so many are in doubt when its provider goes away
	Group        int           // 128 attempts or results a commit at most
	RetryFirst   time.Duration // 1 s
	RetryMax     time.Duration // 60 s
	DeferFirst   time.Duration // 60 × RetryFirst: after the recipient's side asked to wait
	DeferMax     time.Duration // 10 × RetryMax
	Trip         queue.Trip    // 5 failures; 2 s, doubled up to 30 s: so late at most a return is noticed
	AccountHold  time.Duration // 30 s: how long a refused account rests at least
	Park         int           // 5: failures of the message itself until it is parked
	PausedFirst  time.Duration // 15 s: how long a paused message waits; doubled up to PausedMax
	PausedMax    time.Duration // 10 min
}

// Pauses are the pauses of sending, as this process knows them.
type Pauses interface {
	// Any reports whether anything of a project and mode is paused.
	Any(place invite.Place) bool
	// Find returns the pause that concerns a message.
	Find(m traffic.Message) (traffic.Pause, bool)
}

// callMargin is how much longer than the call's deadline its lease lasts.
const callMargin = 3 * time.Second

func (p Params) withDefaults() Params {
	orDefault(&p.Lease, 8*time.Second)
	orDefault(&p.Renew, 2*time.Second)
	orDefault(&p.Reap, 500*time.Millisecond)
	orDefault(&p.Poll, 250*time.Millisecond)
	orDefault(&p.CallDeadline, 10*time.Second)
	orDefault(&p.StopWithin, p.CallDeadline+callMargin)
	orDefault(&p.InFlight, DefaultInFlight)
	orDefault(&p.PerLane, 128)
	orDefault(&p.Group, 128)
	orDefault(&p.RetryFirst, time.Second)
	orDefault(&p.RetryMax, 60*time.Second)
	orDefault(&p.DeferFirst, 60*p.RetryFirst)
	orDefault(&p.DeferMax, 10*p.RetryMax)
	orDefault(&p.Trip.Threshold, 5)
	orDefault(&p.Trip.First, 2*time.Second)
	orDefault(&p.Trip.Max, 30*time.Second)
	orDefault(&p.AccountHold, 30*time.Second)
	orDefault(&p.Park, 5)
	orDefault(&p.PausedFirst, 15*time.Second)
	orDefault(&p.PausedMax, 10*time.Minute)
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Pace == nil {
		p.Pace = func(string) Pace { return Pace{} }
	}
	if p.Passing == nil {
		p.Passing = func(Point) {}
	}
	return p
}

func orDefault[T int | time.Duration](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}

// Dispatcher is one process's share of the work. Any number of processes may
// run one over the same database.
type Dispatcher struct {
	p        Params
	metrics  *metrics
	wake     chan struct{}
	pass     chan struct{} // wakes the claims that pass by busy lanes
	turns    *turns        // for what only the processor slows down
	begins   passable[*begin]
	finishes passable[*finish]
	accounts *accounts
	// reservations are those to start; there is room for all.
	reservations chan reservedTask

	mu     sync.Mutex
	owner  int64     // key of the process lock; 0 while it is not held
	proven time.Time // when a claim last succeeded
	worked time.Time // when a claim last got deliveries
	held   map[queue.Ref]*task
	lanes  map[invite.Lane]int  // deliveries in work or with room reserved, by lane
	behind map[invite.Lane]bool // lanes of which deliveries wait in the queue
	// reserved counts the reservations that are neither started nor canceled.
	reserved int
	after    invite.Lane // lane at which the last claim ended
	short    bool        // the last claim had no room, in some lane or at all

	shared atomic.Int64 // this machine's time when several lanes were last in work

	working  sync.WaitGroup
	stopping atomic.Bool
}

// New makes a Dispatcher. It starts nothing. A missing collaborator is an error.
func New(p Params) (*Dispatcher, error) {
	err := required.Check("dispatch.Params", map[string]any{
		"DB": p.DB, "Box": p.Box, "Minters": p.Minters, "Senders": p.Senders, "Project": p.Project, "Composer": p.Composer,
		"CallbackURL": p.CallbackURL, "BlockKeys": p.BlockKeys, "Publish": p.Publish, "Pauses": p.Pauses,
	})
	if err != nil {
		return nil, err
	}
	return newDispatcher(p), nil
}

func newDispatcher(p Params) *Dispatcher {
	p = p.withDefaults()
	d := &Dispatcher{
		p: p, metrics: newMetrics(p.Metrics), wake: make(chan struct{}, 1), pass: make(chan struct{}, 1),
		held: make(map[queue.Ref]*task), lanes: make(map[invite.Lane]int),
		behind: make(map[invite.Lane]bool), reservations: make(chan reservedTask, p.InFlight),
	}
	d.accounts = newAccounts(d)
	d.turns = newTurns(runtime.GOMAXPROCS(0))
	d.begins = newPassable(func() int { return d.atOnce(p.Group) }, d.rest, d.writeBegins)
	d.finishes = newPassable(func() int { return d.atOnce(p.Group) }, d.rest, d.writeFinishes)
	return d
}

// Wake tells the claim loops that something is due. It never blocks.
func (d *Dispatcher) Wake() {
	d.again()
	if d.crowded() {
		wakeUp(d.pass)
	}
}

// again makes one more claim for the remaining rows, or for freed
// capacity.
func (d *Dispatcher) again() { wakeUp(d.wake) }

func wakeUp(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will look anyway
	}
}

// Run works until ctx ends; then it claims nothing more, lets calls in progress
// end, releases deliveries without an attempt, and returns. After
// Params.StopWithin it no longer waits for the database: results that are not
// recorded by then are reconciled later, as after a crash.
func (d *Dispatcher) Run(ctx context.Context) error {
	// Work outlives ctx: a call that is cut off has an unknown outcome.
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	d.stopping.Store(false)
	defer context.AfterFunc(ctx, func() {
		d.stopping.Store(true)
		waitFor(working, d.p.StopWithin)
		stopWork()
	})()

	var writers errgroup.Group
	for _, run := range []func(context.Context){d.begins.all.run, d.begins.passing.run, d.finishes.all.run, d.finishes.passing.run} {
		writers.Go(func() error { run(working); return nil })
	}

	locked, unlock := context.WithCancel(working)
	var lock errgroup.Group
	lock.Go(func() error { d.holdLock(locked); return nil })
	lock.Go(func() error { d.every(locked, d.p.Renew, "renew", d.renew); return nil })

	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { d.claimLoop(gctx, working); return nil })
	g.Go(func() error { d.passLoop(gctx, working); return nil })
	g.Go(func() error { d.startLoop(gctx, working); return nil })
	g.Go(func() error { d.every(gctx, d.p.Reap, "reap", d.reap); return nil })
	g.Go(func() error {
		d.every(gctx, accountRefresh, "accounts", func(c context.Context) error { return d.refreshAccounts(c, working) })
		return nil
	})
	g.Go(func() error { d.every(gctx, measureEvery, "measure", d.measure); return nil })
	err := g.Wait()

	d.working.Wait()
	unlock()
	_ = lock.Wait()
	stopWork()
	_ = writers.Wait()
	return err
}

// stepTimeout bounds each statement of the loops, by which all else lives: a
// connection that fell silent must be given up while leases can still be saved.
const stepTimeout = 5 * time.Second

func (d *Dispatcher) stepContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, min(d.p.Lease, stepTimeout))
}

const measureEvery = 5 * time.Second

// every runs step at intervals. A failing step is logged and tried again: the
// database may be restarting.
func (d *Dispatcher) every(ctx context.Context, interval time.Duration, name string, step func(context.Context) error) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		within, cancel := d.stepContext(ctx)
		err := step(within)
		cancel()
		if err != nil && ctx.Err() == nil {
			d.p.Log.WarnContext(ctx, "dispatch step", "step", name, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (d *Dispatcher) measure(ctx context.Context) error {
	w, err := queue.Measure(ctx, d.p.DB, 10_000)
	if err != nil {
		return err
	}
	d.metrics.due.Set(float64(w.Due))
	d.metrics.oldest.Set(w.Oldest.Seconds())
	d.metrics.inDoubt.Set(float64(w.InDoubt))
	return nil
}

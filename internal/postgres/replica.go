package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// ReplicaParams describes a Replica.
type ReplicaParams struct {
	URL     string        // of the standby, or of several
	Primary *pgxpool.Pool // answers in its place, and tells its own position
	// MaxConns, AppName and Sockets are those of the pool, as in Params.
	MaxConns int32
	AppName  string
	Sockets  *Sockets
	Log      *slog.Logger
	Every    time.Duration // 500 ms: between two probes
	// CatchUp is how long a read waits for the standby to replay the commits acknowledged
	// before, and how long a connection to it may take; 250 ms.
	CatchUp time.Duration
	// Within is how long a start waits for migrations that were applied a moment ago; 5 s.
	Within time.Duration
}

func (p ReplicaParams) withDefaults() ReplicaParams {
	p.Every = orDefault(p.Every, 500*time.Millisecond)
	p.CatchUp = orDefault(p.CatchUp, 250*time.Millisecond)
	p.Within = orDefault(p.Within, 5*time.Second)
	return p
}

// Replica runs reads on a standby, and on the primary while the standby cannot serve
// them: it does not answer, is behind, was promoted, or follows another history.
//
// A read is given the position of the primary's log at its start. The standby must have
// replayed the log up to there, on the connection that then runs the read. So the answer
// has everything that was acknowledged before, to any caller through any process, and
// an idle primary is never taken for lag.
type Replica struct {
	p     ReplicaParams
	known identity // of the primary
	pool  atomic.Pointer[pgxpool.Pool]

	onReplica, onPrimary atomic.Int64

	mu      sync.Mutex
	samples []sample
	state   ReplicaState
	logged  ReplicaProblem
}

// ReplicaProblem is why reads are not served by the standby; empty: they are.
type ReplicaProblem string

// The problems of a standby.
const (
	ReplicaUnreachable ReplicaProblem = "unreachable" // it does not answer
	ReplicaBehind      ReplicaProblem = "behind"      // it does not catch up in time
	ReplicaForeign     ReplicaProblem = "foreign"     // it is no standby of the primary (any more)
)

// ReplicaState is what the last probe found.
type ReplicaState struct {
	Problem ReplicaProblem
	// Lag is how old the standby's data is at most, by this process's clock and the
	// positions that it asked the primary for.
	Lag time.Duration
}

// sample is a position of the primary: everything acknowledged before At is in the log
// up to there.
type sample struct {
	position
	At time.Time
}

// keepSamples is the greatest lag that is measured.
const keepSamples = 2 * time.Minute

// replicaStatement is the limit of a statement on the standby. What takes longer is
// read from the primary.
const replicaStatement = 2 * time.Second

// OpenReplica connects to the standby and compares it with the primary. One that
// cannot be reached is no error: Run goes on trying.
//
// Errors: *ReplicaError when the URL does not name a standby of the primary.
func OpenReplica(ctx context.Context, p ReplicaParams) (*Replica, error) {
	p = p.withDefaults()
	r := &Replica{p: p, state: ReplicaState{Problem: ReplicaUnreachable}}
	var err error
	if r.known, err = identify(ctx, p.Primary); err != nil {
		return nil, fmt.Errorf("identify the primary: %w", err)
	}
	err = r.open(ctx)
	if errors.Is(err, ErrUnavailable) {
		r.report(ctx, err)
		return r, nil
	}
	if err == nil {
		err = awaitSchema(ctx, p.URL, p.Within)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	r.probe(ctx)
	return r, nil
}

// open makes the pool.
func (r *Replica) open(ctx context.Context) error {
	pool, err := openStandby(ctx, r.known, Params{
		URL: r.p.URL, MaxConns: r.p.MaxConns, AppName: r.p.AppName, Sockets: r.p.Sockets,
		StatementTimeout: replicaStatement, AcquireTimeout: r.p.CatchUp,
	})
	if err != nil {
		return err
	}
	r.pool.Store(pool)
	return nil
}

// Close closes the connections to the standby.
func (r *Replica) Close() {
	if pool := r.pool.Load(); pool != nil {
		pool.Close()
	}
}

// Pool returns the connections to the standby; nil until it was reached.
func (r *Replica) Pool() *pgxpool.Pool { return r.pool.Load() }

// State returns what the last probe or read found.
func (r *Replica) State() ReplicaState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Counts returns how many reads the standby and the primary have served.
func (r *Replica) Counts() (replica, primary int64) { return r.onReplica.Load(), r.onPrimary.Load() }

// Run probes the standby until ctx ends; it returns nil.
func (r *Replica) Run(ctx context.Context) error {
	for waitFor(ctx, r.p.Every) {
		if r.pool.Load() == nil {
			if err := r.open(ctx); err != nil {
				r.report(ctx, err)
				continue
			}
		}
		r.probe(ctx)
	}
	return nil
}

// probe measures the lag, and decides whether reads go to the standby.
func (r *Replica) probe(ctx context.Context) {
	begun := time.Now()
	target, err := readPosition(ctx, r.p.Primary)
	if err != nil {
		return // it says nothing about the standby
	}
	r.sample(sample{position: target, At: begun})
	err = r.borrow(ctx, target, func(DB) error { return nil })
	if ctx.Err() == nil {
		r.report(ctx, err)
	}
}

// report keeps the result of a probe. Changes are logged here only, so at most once for
// each probe.
func (r *Replica) report(ctx context.Context, err error) {
	problem := problemOf(err)
	r.mu.Lock()
	r.state.Problem = problem
	changed := problem != r.logged
	r.logged = problem
	lag := r.state.Lag
	r.mu.Unlock()
	switch {
	case !changed:
	case problem == "":
		r.p.Log.InfoContext(ctx, "lists are read from the replica")
	default:
		r.p.Log.WarnContext(ctx, "lists are read from the primary", "replica", string(problem), "lag", lag.Round(time.Millisecond).String(), "err", err)
	}
}

// errBehind is a standby that has not replayed the log up to a position in time.
var errBehind = errors.New("the replica has not replayed what the primary had acknowledged")

func problemOf(err error) ReplicaProblem {
	var foreign *ReplicaError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &foreign):
		return ReplicaForeign
	case errors.Is(err, errBehind):
		return ReplicaBehind
	}
	return ReplicaUnreachable
}

// sample keeps a position of the primary.
func (r *Replica) sample(s sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := 0
	for first < len(r.samples) && s.At.Sub(r.samples[first].At) > keepSamples {
		first++
	}
	r.samples = append(r.samples[first:], s)
}

// replayed notes how far the standby is: its data is as old as the newest sample that
// it has replayed.
func (r *Replica) replayed(position int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.samples) - 1; i >= 0; i-- {
		if s := r.samples[i]; i == 0 || s.Position <= position {
			r.state.Lag = time.Since(s.At)
			return
		}
	}
}

// sampleSince returns the position that has everything acknowledged before at.
func (r *Replica) sampleSince(at time.Time) (sample, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.samples {
		if !s.At.Before(at) {
			return s, true
		}
	}
	return sample{}, false
}

// Lists chooses the server that a list is read from. fn must do nothing but read: it is
// called again with another server if the first one fails.
type Lists interface {
	Read(ctx context.Context, fn func(db DB) error) error
}

// Primary reads lists from the database that all else is read from.
type Primary struct{ DB DB }

// Read implements Lists.
func (p Primary) Read(_ context.Context, fn func(db DB) error) error { return fn(p.DB) }

// Reader runs reads whose answers lack nothing that was acknowledged longer than
// Staleness before; nothing at all with 0.
type Reader struct {
	Replica   *Replica
	Staleness time.Duration
}

// Read implements Lists: it runs fn on the standby, or on the primary, and returns its
// last error.
func (r Reader) Read(ctx context.Context, fn func(db DB) error) error {
	if r.Replica.serves(r.Staleness) {
		if err := r.Replica.read(ctx, r.Staleness, fn); err == nil || ctx.Err() != nil {
			return err
		}
	}
	r.Replica.onPrimary.Add(1)
	return fn(r.Replica.p.Primary)
}

// serves reports whether the standby is asked. One that is behind serves reads that may
// be older.
func (r *Replica) serves(staleness time.Duration) bool {
	s := r.State()
	return s.Problem == "" || s.Problem == ReplicaBehind && staleness > 0
}

// read runs fn on the standby once that has what the read needs.
func (r *Replica) read(ctx context.Context, staleness time.Duration, fn func(db DB) error) error {
	target, err := r.target(ctx, staleness)
	if err != nil {
		return err
	}
	err = r.borrow(ctx, target, fn)
	if err == nil {
		r.onReplica.Add(1)
		return nil
	}
	if ctx.Err() == nil && showsProblem(err) {
		// Until the next probe no other read waits for it.
		r.mu.Lock()
		r.state.Problem = problemOf(err)
		r.mu.Unlock()
	}
	return err
}

// showsProblem reports whether the next read would fare no better. A full pool, a read
// that the standby cancels for the sake of its replay and the read's own errors do not.
func showsProblem(err error) bool {
	err = Translate(err)
	return problemOf(err) != ReplicaUnreachable || errors.Is(err, ErrUnavailable) && !isPoolFull(err)
}

// target returns the position that a read needs. Without staleness it is the present
// one of the primary.
func (r *Replica) target(ctx context.Context, staleness time.Duration) (position, error) {
	if staleness > 0 {
		if s, ok := r.sampleSince(time.Now().Add(-staleness)); ok {
			return s.position, nil
		}
	}
	return readPosition(ctx, r.p.Primary)
}

// borrow gives fn a connection to the standby that has replayed the log up to target.
func (r *Replica) borrow(ctx context.Context, target position, fn func(db DB) error) error {
	pool := r.pool.Load()
	if pool == nil {
		return errNoAnswer
	}
	until := time.Now().Add(r.p.CatchUp)
	// A statement that is broken off costs the connection, so it may end a little later.
	asking, cancel := context.WithDeadline(ctx, until.Add(r.p.CatchUp))
	defer cancel()
	conn, err := pool.Acquire(asking)
	if err != nil {
		return noReplica(ctx, err)
	}
	defer conn.Release()
	// The first look can be the only one; later ones are further apart.
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		at, err := readReplayed(asking, conn)
		if err != nil {
			return noReplica(ctx, err)
		}
		r.replayed(at.Position)
		switch {
		case !at.Standby:
			return &ReplicaError{Problem: "names a server that is no standby any more", Fix: fixStandby}
		case at.Timeline != target.Timeline:
			return otherHistory(at, target)
		case at.Position >= target.Position:
			return fn(conn)
		}
		if time.Until(until) < pause {
			return errBehind
		}
		if !waitFor(ctx, pause) {
			return ctx.Err()
		}
	}
}

// noReplica tells the end of the time for an answer from the caller's.
func noReplica(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case callerGaveUp(err):
		return errNoAnswer
	}
	return err
}

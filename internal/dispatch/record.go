package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

var (
	// errLost: another process owns the lease. Stop, write nothing more.
	errLost = errors.New("the lease is lost")
	// errStale: the invite moved since it was read. Read it again.
	errStale = errors.New("the invite moved meanwhile")
	// errAgain ends a group's transaction to leave out those who fell out of it.
	errAgain = errors.New("again without the others")
)

// inTx opens a transaction whose locks do not outlast a frozen process: the
// server ends it when it hears nothing for half a lease, so that others need not
// wait for longer than for the lease itself. It has an end on this side too: what
// waits behind it, renewed by a process that lives, is taken over by no other.
func (d *Dispatcher) inTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, txTimeout)
	defer cancel()
	return postgres.InTx(ctx, shortTx{d.p.DB, d.p.Lease / 2}, func(tx pgx.Tx) error { return fn(ctx, tx) })
}

// txTimeout bounds a transaction of a group; then its connection is closed.
const txTimeout = 8 * time.Second

type shortTx struct {
	db   *pgxpool.Pool
	idle time.Duration
}

// Begin implements postgres.Beginner, in one round trip.
func (s shortTx) Begin(ctx context.Context) (pgx.Tx, error) {
	return s.db.BeginTx(ctx, pgx.TxOptions{
		BeginQuery: fmt.Sprintf("BEGIN; SET LOCAL idle_in_transaction_session_timeout = %d; %s", max(s.idle.Milliseconds(), 500), queue.KeyBound),
	})
}

// begin is an attempt about to be made.
type begin struct {
	queue.NewAttempt
	version   int         // of the invite when the message was made
	lane      invite.Lane // whose turn it is written in
	event     invite.Event
	blockKeys []seal.Hash // of the address it goes to
	done      chan error  // nil, errLost, errStale, a *blockedError, or the database's
}

// blockedError: the address may not be written to. It may have been when the
// invite was made.
type blockedError struct{ kind invite.Block }

func (e *blockedError) Error() string { return "the address is blocked: " + string(e.kind) }

// findSuppressed finds out whose address is blocked, with one question for all.
func findSuppressed(ctx context.Context, tx pgx.Tx, items []*begin, out map[invite.AttemptID]error) error {
	var keys []seal.Hash
	for _, b := range items {
		keys = append(keys, b.blockKeys...)
	}
	standing, err := suppression.ListStanding(ctx, tx, keys)
	if err != nil {
		return err
	}
	for _, st := range standing {
		for _, b := range items {
			same := func(k seal.Hash) bool { return bytes.Equal(k, st.Hash) }
			if out[b.ID] == nil && slices.ContainsFunc(b.blockKeys, same) {
				out[b.ID] = &blockedError{st.Kind}
			}
		}
	}
	return nil
}

// recordBegin commits an attempt; with nil the call may be made.
func (d *Dispatcher) recordBegin(ctx context.Context, b *begin) error {
	b.done = make(chan error, 1)
	d.begins.add(b.lane, d.passes(b.lane), b)
	select {
	case err := <-b.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeBegins commits attempts in one transaction. Those that turn out to have
// lost the lease, or to have made a message of an older state, fall out, and the
// transaction is made again without them: that is rare, and costs the others
// nothing when it does not happen.
//
// After an error about the connection the same group is tried again, as long as
// its leases last; after one about a row it is halved, until the row is alone.
func (d *Dispatcher) writeBegins(ctx context.Context, items []*begin) {
	retry := newGroupRetry(d.p.Lease / 2)
	for len(items) > 0 {
		out := make(map[invite.AttemptID]error)
		committing := false
		err := d.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			committing = false
			err := d.beginAll(ctx, tx, items, out)
			if err == nil {
				d.p.Passing(PointAttemptWritten)
				committing = true
			}
			return err
		})
		if err != nil && !errors.Is(err, errAgain) {
			// Once a commit was sent it may have happened.
			if postgres.IsPassing(err) && !committing && retry.wait(ctx) {
				continue
			}
			if len(items) > 1 && !postgres.IsPassing(err) {
				d.writeBegins(ctx, items[:len(items)/2])
				d.writeBegins(ctx, items[len(items)/2:])
				return
			}
			for _, b := range items {
				b.done <- err
			}
			return
		}
		var rest []*begin
		for _, b := range items {
			switch fault, fell := out[b.ID]; {
			case fell:
				b.done <- fault
			case err == nil:
				b.done <- nil
			default:
				rest = append(rest, b)
			}
		}
		items = rest
	}
}

func (d *Dispatcher) beginAll(ctx context.Context, tx pgx.Tx, items []*begin, out map[invite.AttemptID]error) error {
	batches := make([]ledger.Batch, 0, len(items))
	attempts := make([]queue.NewAttempt, 0, len(items))
	for _, b := range items {
		batches = append(batches, ledger.Batch{ID: b.InviteID, Events: []invite.Event{b.event}})
		attempts = append(attempts, b.NewAttempt)
	}
	applied, err := ledger.AppendAll(ctx, tx, d.p.Box, batches)
	if err != nil {
		return err
	}
	before := make(map[invite.ID]invite.State, len(applied))
	for _, a := range applied {
		before[a.ID] = a.Before
	}
	for _, b := range items {
		s, ok := before[b.InviteID]
		switch {
		case !ok:
			out[b.ID] = errLost
		case s.Version != b.version:
			out[b.ID] = errStale
		}
	}
	if err := findSuppressed(ctx, tx, items, out); err != nil {
		return err
	}
	if len(out) > 0 {
		return errAgain
	}
	held, err := queue.Begin(ctx, tx, attempts, d.p.CallDeadline+callMargin)
	if err != nil {
		return err
	}
	for _, b := range items {
		if !held[b.ID] {
			out[b.ID] = errLost
		}
	}
	if len(out) > 0 {
		return errAgain
	}
	for _, b := range items {
		if b.LinkID.IsZero() {
			continue
		}
		// The link itself is about to leave our hands.
		if err := ledger.SetHandedOut(ctx, tx, b.InviteID, b.LinkID); err != nil {
			return err
		}
	}
	return d.publish(ctx, tx, applied)
}

// finish is what became of a delivery's turn.
type finish struct {
	queue.Lease
	// fact marks events that are true under any lease; others, and next, are
	// written by the lease's owner only.
	fact   bool
	events []invite.Event
	result *queue.Result
	next   *time.Duration // due again after
	lane   invite.Lane    // whose turn it is written in
	done   chan error     // nil, errLost or the database's
}

// recordFinish writes a result, and goes on trying while the database is away:
// what a provider said must not be forgotten.
func (d *Dispatcher) recordFinish(ctx context.Context, f *finish) error {
	giveUp := d.p.Now().Add(resultPatience)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		f.done = make(chan error, 1)
		d.finishes.add(f.lane, d.passes(f.lane), f)
		var err error
		select {
		case err = <-f.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err == nil {
			d.p.Passing(PointResultCommitted)
		}
		if err == nil || errors.Is(err, errLost) || ctx.Err() != nil || d.p.Now().After(giveUp) {
			return err
		}
		d.p.Log.WarnContext(ctx, "a result waits for the database", "delivery", f.DeliveryID, "err", err)
		waitFor(ctx, wait)
	}
}

// resultPatience is how long results wait in memory for the database.
const resultPatience = 2 * time.Minute

func (d *Dispatcher) writeFinishes(ctx context.Context, items []*finish) {
	held := make(map[queue.Lease]bool)
	err := d.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		err := d.finishAll(ctx, tx, items, held)
		if err == nil {
			d.p.Passing(PointResultWritten)
		}
		return err
	})
	if err != nil && len(items) > 1 && !postgres.IsPassing(err) {
		// One row is at fault: halves, until it harms only itself.
		d.writeFinishes(ctx, items[:len(items)/2])
		d.writeFinishes(ctx, items[len(items)/2:])
		return
	}
	for _, f := range items {
		switch {
		case err != nil:
			f.done <- err
		case !f.fact && !held[f.Lease]:
			f.done <- errLost
		default:
			if f.next != nil && *f.next <= 0 {
				d.Wake() // due again at once
			}
			f.done <- nil
		}
	}
}

func (d *Dispatcher) finishAll(ctx context.Context, tx pgx.Tx, items []*finish, held map[queue.Lease]bool) error {
	clear(held)
	if err := d.fence(ctx, tx, items, held); err != nil {
		return err
	}
	var batches []ledger.Batch
	var results []queue.Result
	var leases []queue.Lease
	var after []time.Duration
	for _, f := range items {
		if f.result != nil {
			results = append(results, *f.result)
		}
		if !f.fact && !held[f.Lease] {
			continue
		}
		if len(f.events) > 0 {
			batches = append(batches, ledger.Batch{ID: f.InviteID, Events: f.events})
		}
		if f.next != nil && held[f.Lease] {
			leases, after = append(leases, f.Lease), append(after, *f.next)
		}
	}
	if len(batches) > 0 {
		applied, err := ledger.AppendAll(ctx, tx, d.p.Box, batches)
		if err != nil {
			return err
		}
		if err := d.publish(ctx, tx, applied); err != nil {
			return err
		}
	}
	if len(results) > 0 {
		if err := queue.SetResults(ctx, tx, results); err != nil {
			return err
		}
	}
	if len(leases) > 0 {
		return queue.SetNext(ctx, tx, leases, after)
	}
	return nil
}

// fence asks, under the invites' locks, who holds its lease. Facts need none.
func (d *Dispatcher) fence(ctx context.Context, tx pgx.Tx, items []*finish, held map[queue.Lease]bool) error {
	var ids []invite.ID
	var leases []queue.Lease
	for _, f := range items {
		ids = append(ids, f.InviteID)
		if !f.fact {
			leases = append(leases, f.Lease)
		}
	}
	if len(leases) == 0 {
		return nil
	}
	if _, err := ledger.LockAll(ctx, tx, ids); err != nil {
		return err
	}
	still, err := queue.Held(ctx, tx, leases)
	if err != nil {
		return err
	}
	for l := range still {
		held[l] = true
	}
	return nil
}

func (d *Dispatcher) publish(ctx context.Context, tx pgx.Tx, applied []ledger.Applied) error {
	for _, a := range applied {
		if len(a.Effects) == 0 {
			continue
		}
		if err := d.p.Publish(ctx, tx, a); err != nil {
			return err
		}
	}
	return nil
}

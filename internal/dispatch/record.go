package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

var (
	// errLost: another process owns the lease. Stop, write nothing more.
	errLost = errors.New("the lease is lost")
	// errStale: the invite moved since it was read. Read it again.
	errStale = errors.New("the invite moved meanwhile")
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
	lane invite.Lane // whose turn it is written in
	at   time.Time   // when the attempt was recorded, by the database
	done chan error  // nil, errLost, errStale, a *blockedError, or the database's
}

// blockedError: the address may not be written to. It may have been when the
// invite was made.
type blockedError struct{ kind invite.Block }

func (e *blockedError) Error() string { return "the address is blocked: " + string(e.kind) }

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

// writeBegins commits attempts in one transaction. Those that lost their lease, or
// whose message is of an older state, are left out by the statement.
//
// After an error about the connection the same group is tried again, as long as
// its leases last; after one about a row it is halved, until the row is alone.
func (d *Dispatcher) writeBegins(ctx context.Context, items []*begin) {
	attempts := make([]queue.NewAttempt, len(items))
	var links []ledger.HandedOut
	for i, b := range items {
		attempts[i] = b.NewAttempt
		if !b.LinkID.IsZero() {
			// The link itself is about to leave our hands.
			links = append(links, ledger.HandedOut{InviteID: b.InviteID, LinkID: b.LinkID, AttemptID: b.ID})
		}
	}
	for retry := newGroupRetry(d.p.Lease / 2); ; {
		within, cancel := context.WithTimeout(ctx, txTimeout)
		begun, err := queue.Begin(within, d.p.DB, attempts, d.p.CallDeadline+callMargin, func(batch *pgx.Batch) {
			ledger.QueueHandedOut(batch, links)
		})
		cancel()
		switch {
		case err == nil:
		case postgres.IsPassing(err) && postgres.IsRolledBack(err) && retry.wait(ctx):
			continue
		case len(items) > 1 && !postgres.IsPassing(err):
			d.writeBegins(ctx, items[:len(items)/2])
			d.writeBegins(ctx, items[len(items)/2:])
			return
		}
		for _, b := range items {
			b.at = begun[b.ID].At
			b.done <- beginError(begun[b.ID], err)
		}
		return
	}
}

// beginError is nil for an attempt whose call may be made.
func beginError(b queue.Begun, err error) error {
	switch {
	case err != nil:
		return err
	case b.OK:
		return nil
	case b.Stale:
		return errStale
	case b.Block != "":
		return &blockedError{b.Block}
	}
	return errLost
}

// finish is what became of a delivery's turn.
type finish struct {
	queue.Lease
	// fact marks events that are true under any lease; others, and next, are
	// written by the lease's owner only.
	fact   bool
	events []invite.Event
	result *queue.Result
	sent   *traffic.Sent  // counted with the result; nil: not counted
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
	var sent []traffic.Sent
	var leases []queue.Lease
	var after []time.Duration
	for _, f := range items {
		if f.result != nil {
			results = append(results, *f.result)
		}
		if f.sent != nil {
			sent = append(sent, *f.sent)
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
	applied, err := ledger.AppendAll(ctx, tx, d.p.Box, batches, func(batch *pgx.Batch) {
		queue.QueueResults(batch, results)
		queue.QueueNext(batch, leases, after)
		traffic.QueueSent(batch, sent)
	})
	if err != nil {
		return err
	}
	return d.publish(ctx, tx, applied)
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
	var told []ledger.Applied
	for _, a := range applied {
		if len(a.Effects) > 0 {
			told = append(told, a)
		}
	}
	if len(told) == 0 {
		return nil
	}
	return d.p.Publish(ctx, tx, told...)
}

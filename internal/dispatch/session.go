package dispatch

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/recovery"
)

// WakeChannel is where processes that only accept work tell those that dispatch.
const WakeChannel = "connectlink_queue"

// provenFor is how long a claim that succeeded shows that this process works.
const provenFor = 10 * time.Second

// holdLock keeps the process lock: a session's advisory lock whose key is the
// owner of this process's leases. When the process dies, however it does, the
// server frees the lock, and others take over at once. Each hold draws a new
// key: leases of an earlier one are void.
func (d *Dispatcher) holdLock(ctx context.Context) {
	for wait := 50 * time.Millisecond; ctx.Err() == nil; {
		begun := d.p.Now()
		err := d.hold(ctx)
		d.setOwner(0)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, recovery.ErrRestored) || errors.Is(err, recovery.ErrCopied) {
			d.p.Log.ErrorContext(ctx, "nothing is sent", "err", err)
		} else {
			d.p.Log.WarnContext(ctx, "the process lock was lost", "err", err)
		}
		if d.p.Now().Sub(begun) > 10*time.Second {
			wait = 50 * time.Millisecond
		}
		waitFor(ctx, wait)
		wait = min(2*wait, 2*time.Second)
	}
}

func (d *Dispatcher) hold(ctx context.Context) error {
	if err := d.checkDatabase(ctx); err != nil {
		return err
	}
	key := newOwner()
	// The session that holds the lock listens too: its end is the end of both.
	held, err := postgres.HoldLock(ctx, postgres.LockParams{
		URL: d.p.DirectURL.Reveal(), Key: key, Name: "connectlink dispatch", Sockets: d.p.Sockets, Channel: WakeChannel, Notified: d.Wake,
	})
	if err != nil {
		return fmt.Errorf("take the process lock: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = held.Release(ctx)
	}()
	d.setOwner(key)
	d.Wake()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-held.Lost():
		return fmt.Errorf("hold the process lock: %w", held.Cause())
	}
}

// checkDatabase refuses a database that was restored to an earlier time: each
// connection may lead to another server than the one before.
func (d *Dispatcher) checkDatabase(ctx context.Context) error {
	ctx, cancel := d.stepContext(ctx)
	defer cancel()
	return recovery.Check(ctx, d.p.DB)
}

func newOwner() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return int64(binary.BigEndian.Uint64(b[:])>>1) | 1 // positive, never 0
}

// Working reports whether this process does its work: it holds its lock, without
// which it claims nothing, and a claim succeeded a moment ago. While it has room
// for no more, a renewal that succeeded counts instead.
func (d *Dispatcher) Working() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.owner != 0 && d.p.Now().Sub(d.proven) < provenFor
}

// prove notes that a claim, or what counts as one, succeeded.
func (d *Dispatcher) prove() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.proven = d.p.Now()
}

func (d *Dispatcher) setOwner(key int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owner = key
}

func waitFor(ctx context.Context, t time.Duration) {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

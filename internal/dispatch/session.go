package dispatch

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
)

// WakeChannel is where processes that only accept work tell those that dispatch.
const WakeChannel = "connectlink_queue"

const (
	// heartbeat notices a connection that died in silence.
	heartbeat   = 5 * time.Second
	lockTimeout = 3 * time.Second
)

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
		d.p.Log.WarnContext(ctx, "the process lock was lost", "err", err)
		if d.p.Now().Sub(begun) > 10*time.Second {
			wait = 50 * time.Millisecond
		}
		sleep(ctx, wait)
		wait = min(2*wait, 2*time.Second)
	}
}

func (d *Dispatcher) hold(ctx context.Context) error {
	dialing, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	conn, err := pgx.Connect(dialing, d.p.DirectURL.Reveal())
	if err != nil {
		return fmt.Errorf("connect for the process lock: %w", postgres.Translate(err))
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	key := newOwner()
	if _, err := conn.Exec(dialing, `SELECT pg_advisory_lock($1)`, key); err != nil {
		return fmt.Errorf("take the process lock: %w", postgres.Translate(err))
	}
	// The same session listens: its end is the end of both.
	if _, err := conn.Exec(dialing, `LISTEN `+WakeChannel); err != nil {
		return fmt.Errorf("listen: %w", postgres.Translate(err))
	}
	d.setOwner(key)
	d.Wake()
	for {
		waiting, cancel := context.WithTimeout(ctx, heartbeat)
		_, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil:
			d.Wake()
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case waiting.Err() == nil || conn.IsClosed():
			return fmt.Errorf("hold the process lock: %w", postgres.Translate(err))
		}
		beating, cancel := context.WithTimeout(ctx, lockTimeout)
		err = conn.Ping(beating)
		cancel()
		if err != nil {
			return fmt.Errorf("hold the process lock: %w", postgres.Translate(err))
		}
	}
}

// Ready says whether the process lock is held: without it nothing is claimed.
func (d *Dispatcher) Ready() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.owner != 0
}

func newOwner() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return int64(binary.BigEndian.Uint64(b[:])>>1) | 1 // positive, never 0
}

// Working says whether this process holds its lock, without which it claims
// nothing.
func (d *Dispatcher) Working() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.owner != 0
}

func (d *Dispatcher) setOwner(key int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owner = key
}

func sleep(ctx context.Context, t time.Duration) {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

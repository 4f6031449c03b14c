package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrLockHeld says that another session has the lock.
var ErrLockHeld = errors.New("advisory lock is held by another session")

// Held is a session advisory lock: a proof towards other processes that this
// one lives, since the database frees it when the connection ends.
type Held struct {
	conn *pgx.Conn
	stop context.CancelFunc
	done chan struct{} // the watch has ended; conn is free
	lost chan struct{}
	once sync.Once

	cause    error // set before lost is closed
	notified func()
}

// holdHeartbeat is how long the connection is trusted without a sign of life.
const holdHeartbeat = 2 * time.Second

// lockTimeout bounds taking a lock on a connection that stands.
const lockTimeout = 3 * time.Second

// LockParams describe a lock. Name, Sockets and the channel are optional.
type LockParams struct {
	URL     string // a direct one: a pooler has no sessions
	Key     int64
	Name    string // shown in pg_stat_activity; "connectlink owner lock"
	Sockets *Sockets
	// Channel is listened to on the same connection, whose end is the end of both;
	// Notified is called for each notification.
	Channel  string
	Notified func()
}

// HoldLock takes the lock on a connection of its own and watches over it. ctx
// bounds the taking only; call Release in the end.
//
// Errors: ErrLockHeld, ErrUnavailable.
func HoldLock(ctx context.Context, p LockParams) (*Held, error) {
	// Each host has a time of its own: a silent one does not hide the next.
	conn, err := DialSession(ctx, SessionParams{URL: p.URL, Name: orDefault(p.Name, "connectlink owner lock"), Sockets: p.Sockets})
	if err != nil {
		return nil, fmt.Errorf("connect for an advisory lock: %w", err)
	}
	if err := takeLock(ctx, conn, p); err != nil {
		hangUp(ctx, conn)
		return nil, fmt.Errorf("take advisory lock %d: %w", p.Key, Translate(err))
	}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	h := &Held{conn: conn, stop: stop, done: make(chan struct{}), lost: make(chan struct{}), notified: p.Notified}
	go h.watch(watch)
	return h, nil
}

func takeLock(ctx context.Context, conn *pgx.Conn, p LockParams) error {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	var got bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", p.Key).Scan(&got); err != nil {
		return err
	}
	if !got {
		return ErrLockHeld
	}
	if p.Channel == "" {
		return nil
	}
	_, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{p.Channel}.Sanitize())
	return err
}

// Lost is closed when the lock can no longer be relied upon: the connection
// ended, or did not answer for five seconds. It stays open after a Release.
func (h *Held) Lost() <-chan struct{} { return h.lost }

// Cause is why the lock was lost; nil before that.
func (h *Held) Cause() error {
	select {
	case <-h.lost:
		return h.cause
	default:
		return nil
	}
}

// Release gives the lock back; it returns when the database has it, or ctx ends. A
// lost or released lock needs none, but may get one.
func (h *Held) Release(ctx context.Context) error {
	var err error
	h.once.Do(func() {
		h.stop()
		select {
		case <-h.done:
		case <-ctx.Done():
			// It waits for a sign of life that may not come. The server frees the lock
			// when the connection ends.
			err = ctx.Err()
			go func() {
				<-h.done
				hangUp(context.WithoutCancel(ctx), h.conn)
			}()
			return
		}
		if h.conn.IsClosed() {
			return
		}
		// Unlocking is waited for; closing alone would leave the lock until the
		// server gets round to it.
		_, err = h.conn.Exec(ctx, "SELECT pg_advisory_unlock_all()")
		hangUp(ctx, h.conn)
	})
	if err != nil {
		return fmt.Errorf("release an advisory lock: %w", Translate(err))
	}
	return nil
}

func (h *Held) watch(ctx context.Context) {
	defer close(h.done)
	for {
		note, err := awaitNotification(ctx, h.conn, holdHeartbeat)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			hangUp(ctx, h.conn)
			h.cause = Translate(err)
			close(h.lost)
			return
		}
		if note != nil && h.notified != nil {
			h.notified()
		}
	}
}

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
}

// holdHeartbeat is how long the connection is trusted without a sign of life.
const holdHeartbeat = 2 * time.Second

// HoldLock takes the lock on a connection of its own and watches over it. url
// must be a direct one. ctx bounds the taking only; call Release in the end.
//
// Errors: ErrLockHeld, ErrUnavailable.
func HoldLock(ctx context.Context, url string, key int64) (*Held, error) {
	conn, err := DialSession(ctx, SessionParams{URL: url, Name: "connectlink owner lock"})
	if err != nil {
		return nil, fmt.Errorf("connect for an advisory lock: %w", err)
	}
	var got bool
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", key).Scan(&got)
	if err != nil || !got {
		hangUp(ctx, conn)
		if err == nil {
			err = ErrLockHeld
		}
		return nil, fmt.Errorf("take advisory lock %d: %w", key, Translate(err))
	}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	h := &Held{conn: conn, stop: stop, done: make(chan struct{}), lost: make(chan struct{})}
	go h.watch(watch)
	return h, nil
}

// Lost is closed when the lock can no longer be relied upon: the connection
// ended, or did not answer for five seconds. It stays open after a Release.
func (h *Held) Lost() <-chan struct{} { return h.lost }

// Release gives the lock back; it returns when the database has it. A lost or
// released lock needs none, but may get one.
func (h *Held) Release(ctx context.Context) error {
	var err error
	h.once.Do(func() {
		h.stop()
		<-h.done
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
		_, err := awaitNotification(ctx, h.conn, holdHeartbeat)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			hangUp(ctx, h.conn)
			close(h.lost)
			return
		}
	}
}

package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

func timeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

func hold(t *testing.T, url string, key int64) *postgres.Held {
	t.Helper()
	h, err := postgres.HoldLock(t.Context(), postgres.LockParams{URL: url, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Release(context.Background()) })
	return h
}

func TestHoldLock(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	key := freshKey()
	h := hold(t, url, key)
	if _, err := postgres.HoldLock(t.Context(), postgres.LockParams{URL: url, Key: key}); !errors.Is(err, postgres.ErrLockHeld) {
		t.Errorf("a second holder: got %v, want ErrLockHeld", err)
	}
	if err := h.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	hold(t, url, key) // free at once, no waiting
	select {
	case <-h.Lost():
		t.Error("a released lock counts as lost")
	default:
	}
	if err := h.Release(t.Context()); err != nil {
		t.Errorf("a second Release: %v", err)
	}
}

func TestHoldLockIsLostWithItsConnection(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	h := hold(t, url, freshKey())
	kick(t, connect(t, url), "connectlink owner lock")
	began := time.Now()
	receive(t, h.Lost(), "word that the lock is lost")
	// Noticed by the closed connection, not by the next heartbeat.
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v", took)
	}
	if err := h.Release(t.Context()); err != nil {
		t.Errorf("Release of a lost lock: %v", err)
	}
}

// The connection that holds a lock can listen as well.
func TestHoldLockListens(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	heard := make(chan struct{}, 1)
	h, err := postgres.HoldLock(t.Context(), postgres.LockParams{
		URL: url, Key: freshKey(), Channel: "lock_test", Notified: func() { heard <- struct{}{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Release(context.Background()) })
	exec(t, connect(t, url), `NOTIFY lock_test`)
	receive(t, heard, "the notification")
	if err := h.Cause(); err != nil {
		t.Errorf("a lock that stands has a cause of its loss: %v", err)
	}
}

// A process that stops while its database is silent does not wait for it.
func TestHoldLockIsReleasedInSilence(t *testing.T) {
	t.Parallel()
	way := newLink(t, postgrestest.NewEmpty(t), 0)
	h := hold(t, way.url, freshKey())
	way.goSilent()
	ctx, cancel := timeout(t, 50*time.Millisecond)
	defer cancel()
	if err := h.Release(ctx); err == nil {
		t.Error("a lock was given back to a server that answers nothing")
	}
}

func TestHoldLockIsLostInSilence(t *testing.T) {
	t.Parallel()
	way := newLink(t, postgrestest.NewEmpty(t), 0)
	h := hold(t, way.url, freshKey())
	way.goSilent()
	receive(t, h.Lost(), "word that the lock is lost")
	if h.Cause() == nil {
		t.Error("it has no cause")
	}
}

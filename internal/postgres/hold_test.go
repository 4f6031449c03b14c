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
	h, err := postgres.HoldLock(t.Context(), url, key)
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
	if _, err := postgres.HoldLock(t.Context(), url, key); !errors.Is(err, postgres.ErrLockHeld) {
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

func TestHoldLockIsLostInSilence(t *testing.T) {
	t.Parallel()
	way := newLink(t, postgrestest.NewEmpty(t), 0)
	h := hold(t, way.url, freshKey())
	way.goSilent()
	receive(t, h.Lost(), "word that the lock is lost")
}

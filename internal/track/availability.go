package track

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/queue"
)

const (
	// renewServerEvery is how often a process says that it takes callbacks.
	renewServerEvery = 2 * time.Second
	// lateReport is the age of an event at its arrival from which reports count
	// as late. SendGrid posts batches about every 30 s.
	lateReport = 2 * time.Minute
	// leaveWithin bounds the farewell of a process that stops.
	leaveWithin = 2 * time.Second
)

// Availability records when callbacks may have been missed: times without a
// process that takes them, processes that died with posts under way, and posts
// that were not answered with 2xx. The absence of a report means nothing for
// attempts that were made before the end of such a gap. It is safe for
// concurrent use.
type Availability struct {
	db  postgres.DB
	log *slog.Logger

	mu   sync.Mutex
	id   uuid.UUID         // of this process; zero while it is not registered
	gaps map[string]string // cause by scope: still to be written
}

// NewAvailability makes an Availability; Run starts its record.
func NewAvailability(db postgres.DB, log *slog.Logger) *Availability {
	return &Availability{db: db, log: log, gaps: make(map[string]string)}
}

// Run registers the process and renews its registration until ctx ends. It does
// not remove it: Leave does, once the last callback was answered.
func (a *Availability) Run(ctx context.Context) {
	tick := time.NewTicker(renewServerEvery)
	defer tick.Stop()
	for {
		call, cancel := context.WithTimeout(ctx, renewServerEvery)
		if err := a.renew(call); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "record the availability of the callback endpoint", "err", err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// renew also writes the gaps that are still to be written: a post that was
// refused because the database was away is recorded when it is back.
func (a *Availability) renew(ctx context.Context) error {
	a.mu.Lock()
	id := a.id
	var scope, cause string
	for scope, cause = range a.gaps {
		break
	}
	a.mu.Unlock()
	if scope != "" {
		if err := a.write(ctx, scope, cause); err != nil {
			return err
		}
	}
	if id != uuid.Nil {
		renewed, err := queue.RenewCallbackServer(ctx, a.db, id)
		if err != nil || renewed {
			return err
		}
	}
	// A new id: a registration that expired has been counted as a gap.
	id = uuid.New()
	if err := queue.RegisterCallbackServer(ctx, a.db, id); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.id = id
	return nil
}

// Missed records that a post of a provider for a project and mode was not taken,
// or came late. The cause is one of package queue's.
func (a *Availability) Missed(ctx context.Context, provider string, place invite.Place, cause string) {
	scope := queue.GapScope(provider, place)
	a.mu.Lock()
	_, known := a.gaps[scope]
	a.gaps[scope] = cause
	a.mu.Unlock()
	if known {
		return // being written, or waiting for the database
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewServerEvery)
	defer cancel()
	if err := a.write(call, scope, cause); err != nil {
		a.log.WarnContext(ctx, "record a missed callback", "scope", scope, "cause", cause, "err", err)
	}
}

// write keeps the gap for the next renewal where it cannot be written now.
func (a *Availability) write(ctx context.Context, scope, cause string) error {
	if err := queue.SetGap(ctx, a.db, scope, cause); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.gaps, scope)
	return nil
}

// Leave removes the registration of a process that has answered its last
// callback. Without it the process counts as lost, and its last posts as missed.
func (a *Availability) Leave(ctx context.Context) {
	a.mu.Lock()
	id, pending := a.id, len(a.gaps)
	a.id = uuid.Nil
	a.mu.Unlock()
	if id == uuid.Nil || pending > 0 {
		return
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	if err := queue.RemoveCallbackServer(call, a.db, id); err != nil {
		a.log.WarnContext(ctx, "leave the callback servers", "err", err)
	}
}

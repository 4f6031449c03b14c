package pause

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/refresh"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// refreshEvery is how old a process's picture of the pauses may be.
const refreshEvery = time.Second

// Board is this process's picture of the pauses of all projects, so that neither an
// accept nor an attempt asks the database. It is safe for concurrent use.
type Board struct {
	db  postgres.DB
	log *slog.Logger

	mu     sync.RWMutex
	pauses map[invite.Place][]traffic.Pause
	lanes  map[invite.Lane]bool
}

// NewBoard returns an empty Board; Load fills it.
func NewBoard(db postgres.DB, log *slog.Logger) (*Board, error) {
	if err := required.Check("pause.NewBoard", map[string]any{"db": db, "log": log}); err != nil {
		return nil, err
	}
	return &Board{db: db, log: log}, nil
}

// Load reads the pauses. After an error the earlier picture stays.
func (b *Board) Load(ctx context.Context) error {
	list, err := traffic.ListPauses(ctx, b.db)
	if err != nil {
		return fmt.Errorf("load the pauses: %w", err)
	}
	held, err := queue.ListAllHeld(ctx, b.db)
	if err != nil {
		return fmt.Errorf("load the pauses: %w", err)
	}
	pauses, lanes := make(map[invite.Place][]traffic.Pause), make(map[invite.Lane]bool, len(held))
	for _, p := range list {
		pauses[p.Place] = append(pauses[p.Place], p)
	}
	for _, l := range held {
		lanes[l] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pauses, b.lanes = pauses, lanes
	return nil
}

// Run keeps the picture fresh until ctx ends.
func (b *Board) Run(ctx context.Context) error {
	return refresh.Keep(ctx, refreshEvery, b.Load, func(err error) {
		b.log.WarnContext(ctx, "the pauses could not be read; the last known ones hold", "err", err)
	})
}

// Find returns the pause that concerns a message.
func (b *Board) Find(m traffic.Message) (traffic.Pause, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, p := range b.pauses[m.Place] {
		if p.Concerns(m) {
			return p, true
		}
	}
	return traffic.Pause{}, false
}

// Any reports whether anything in a project and mode is paused, but for channels.
func (b *Board) Any(place invite.Place) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.pauses[place]) > 0
}

// Held reports whether staff paused a channel.
func (b *Board) Held(lane invite.Lane) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.lanes[lane]
}

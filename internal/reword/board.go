package reword

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/refresh"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/store/wording"
)

// refreshEvery is how old a process's texts may be.
const refreshEvery = 2 * time.Second

// Board has this process's renderers of all projects and modes, so that no message asks
// the database for its texts. It is safe for concurrent use.
type Board struct {
	db     postgres.DB
	places []invite.Place
	own    func(project string) *message.Renderer
	log    *slog.Logger

	mu    sync.RWMutex
	texts map[invite.Place]texts
}

// texts are a project's in one mode.
type texts struct {
	head     int64 // the version they were read at
	renderer *message.Renderer
}

// NewBoard returns a Board of the projects and modes; own returns the renderer of a
// project without stored texts. Until Load the Board has those.
func NewBoard(db postgres.DB, places []invite.Place, own func(project string) *message.Renderer, log *slog.Logger) (*Board, error) {
	if err := required.Check("reword.NewBoard", map[string]any{"db": db, "own": own, "log": log}); err != nil {
		return nil, err
	}
	return &Board{db: db, places: places, own: own, log: log, texts: map[invite.Place]texts{}}, nil
}

// Messages returns the renderer of a project and mode.
func (b *Board) Messages(place invite.Place) *message.Renderer {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if t, ok := b.texts[place]; ok {
		return t.renderer
	}
	return b.own(place.Project)
}

// Load reads the texts of projects and modes that changed since they were read. After an
// error the earlier texts stay.
func (b *Board) Load(ctx context.Context) error {
	heads, err := wording.Heads(ctx, b.db, b.places)
	if err != nil {
		return fmt.Errorf("load the texts of messages: %w", err)
	}
	for place, head := range heads {
		b.mu.RLock()
		known := b.texts[place].head
		b.mu.RUnlock()
		if head == known {
			continue
		}
		list, err := wording.ListCurrent(ctx, b.db, place)
		if err != nil {
			return fmt.Errorf("load the texts of messages: %w", err)
		}
		for _, v := range list { // later additions are read here too
			head = max(head, v.Number)
		}
		renderer := b.render(ctx, place, list)
		b.mu.Lock()
		if head > b.texts[place].head {
			b.texts[place] = texts{head, renderer}
		}
		b.mu.Unlock()
	}
	return nil
}

// render returns a renderer with the texts. A text that cannot be rendered, for example
// since the templates changed, is left out: its message says what the templates say.
func (b *Board) render(ctx context.Context, place invite.Place, list []wording.Version) *message.Renderer {
	own, all := b.own(place.Project), map[message.Slot]message.Wording{}
	for _, v := range list {
		all[v.Slot] = v.Wording
	}
	if r, err := own.With(all); err == nil {
		return r
	}
	for slot, w := range all {
		if _, err := own.With(map[message.Slot]message.Wording{slot: w}); err != nil {
			b.log.WarnContext(ctx, "a stored text of a message cannot be rendered; the message says what the templates say",
				"project", place.Project, "live", place.Live, "language", slot.Language, "situation", string(slot.Situation))
			delete(all, slot)
		}
	}
	if r, err := own.With(all); err == nil {
		return r
	}
	return own
}

// Run keeps the texts fresh until ctx ends.
func (b *Board) Run(ctx context.Context) error {
	return refresh.Keep(ctx, refreshEvery, b.Load, func(err error) {
		b.log.WarnContext(ctx, "the texts of messages could not be read; the last known ones are used", "err", err)
	})
}

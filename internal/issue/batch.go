package issue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/trace"
)

const (
	// MaxBatch is how many creates one batch carries.
	MaxBatch = 100
	// buildsAtOnce bounds how many items of a batch ask Pipedream at a time.
	buildsAtOnce = 16
	// buildWithin bounds how long a batch waits for Pipedream. Items that have no
	// link by then are stored without one, as a single create is.
	buildWithin = 10 * time.Second
)

// BatchItem is one create of a batch.
type BatchItem struct {
	Request CreateRequest
	Meta    Meta
	// Err is why the item could not be read: it is answered with it.
	Err error
}

// BatchResult is what one item of a batch came to: an answer, or an error as of
// Create.
type BatchResult struct {
	Answer Answer
	Err    error
}

// batchEntry is an item on its way.
type batchEntry struct {
	req     CreateRequest
	meta    Meta
	o       order
	block   *block
	idem    *ledger.Idempotency // nil: the item has no key
	earlier earlier
	first   find.Invite // of a repeated item, as it was made
	row     ledger.New
	outcome ledger.Outcome
	done    bool
	result  BatchResult
}

func (e *batchEntry) fail(err error) { e.done, e.result.Err = true, err }

func (e *batchEntry) answer(a Answer, err error) {
	if err == nil {
		a.Warnings = changed(e.req, e.o)
	}
	e.done, e.result = true, BatchResult{a, err}
}

// CreateBatch makes invites as Create does and answers each item for itself: one
// that is refused hinders no other. Each step is one round trip to the database
// for all items together, but for items with if_active, which are stored one by
// one under a lock. The error is of the whole batch, of which nothing was stored.
func (s *Service) CreateBatch(ctx context.Context, p access.Principal, items []BatchItem) ([]BatchResult, error) {
	project, err := s.project(p)
	if err != nil {
		return nil, err
	}
	p = placed(p, project)
	entries := make([]*batchEntry, len(items))
	for i, item := range items {
		e := &batchEntry{req: item.Request, meta: item.Meta}
		entries[i] = e
		if item.Err != nil {
			e.fail(item.Err)
		} else if e.o, err = validate(item.Request, p, project, s.p.PublicURL, s.p.Now()); err != nil {
			e.fail(err)
		}
	}
	if err := s.readBatch(ctx, p, entries); err != nil {
		return nil, err
	}
	s.buildBatch(ctx, p, entries)
	s.storeBatch(ctx, p, entries)
	results := make([]BatchResult, len(entries))
	for i, e := range entries {
		results[i] = e.result
	}
	return results, nil
}

// open are the entries that have no result yet.
func open(entries []*batchEntry) []*batchEntry {
	var out []*batchEntry
	for _, e := range entries {
		if !e.done {
			out = append(out, e)
		}
	}
	return out
}

// readBatch reads which recipients are suppressed and which items are repeats.
func (s *Service) readBatch(ctx context.Context, p access.Principal, entries []*batchEntry) error {
	key, err := asker(p)
	if err != nil {
		return fmt.Errorf("batch: principal: %w", err)
	}
	err = s.read(ctx, func(b *pgx.Batch) {
		for _, e := range open(entries) {
			e.block = s.block(p, e.o.channel, e.o.content.Recipient)
			e.block.ask(b)
			if e.meta.IdempotencyKey == "" {
				continue
			}
			idem, err := s.record(p, e.meta, e.req)
			if err != nil {
				e.fail(err)
				continue
			}
			e.idem = &idem
			e.earlier.ask(b, key, idem, e.meta)
		}
	})
	if err != nil {
		return err
	}
	for _, e := range open(entries) {
		if e.earlier.found {
			if err := e.earlier.check(s.p.Box, p, *e.idem, e.meta); err != nil {
				e.fail(err)
			}
		} else if err := e.block.err(); err != nil {
			e.fail(err)
		}
	}
	return s.replayBatch(ctx, p, entries)
}

// replayBatch answers repeated items.
func (s *Service) replayBatch(ctx context.Context, p access.Principal, entries []*batchEntry) error {
	if !slices.ContainsFunc(open(entries), func(e *batchEntry) bool { return e.earlier.found }) {
		return nil
	}
	if err := postgres.AwaitDurable(ctx, s.p.DB); err != nil {
		return err
	}
	err := s.read(ctx, func(b *pgx.Batch) {
		for _, e := range open(entries) {
			if e.earlier.found {
				find.AskCreated(b, p.Place, e.earlier.was.InviteID, &e.first)
			}
		}
	})
	if err != nil {
		return err
	}
	for _, e := range open(entries) {
		switch {
		case !e.earlier.found:
		case e.first.ID.IsZero():
			e.fail(notFound(find.ErrNotFound, e.earlier.was.InviteID))
		default:
			r, err := resource.Present(s.p.Box, e.first, s.links(p))
			e.answer(Answer{Invite: r, Outcome: e.earlier.was.Outcome, Replayed: true}, err)
		}
	}
	return nil
}

// buildBatch asks Pipedream for what each item needs. Items with if_active
// or if_connected, and those of kind reconnect, are created here as a single create is.
func (s *Service) buildBatch(ctx context.Context, p access.Principal, entries []*batchEntry) {
	within, cancel := context.WithTimeout(ctx, buildWithin)
	defer cancel()
	apps := &appsOnce{find: s.app}
	var g errgroup.Group
	g.SetLimit(buildsAtOnce)
	for _, e := range entries {
		switch {
		case e.done && e.result.Err != nil:
			g.Go(func() error {
				e.fail(s.withNearestApp(within, p, e.req.App, e.result.Err))
				return nil
			})
		case e.done:
		case e.o.ifActive != "" || e.o.ifConnected != "" || e.o.kind == invite.PurposeReconnect:
			g.Go(func() error {
				ctx, span := s.traceItem(within)
				a, err := s.create(ctx, p, e.o, e.idem, e.meta)
				e.answer(a, err)
				span.End(faultOf(err))
				return nil
			})
		default:
			g.Go(func() (err error) {
				ctx, span := s.traceItem(within)
				if e.row, e.outcome, err = s.build(ctx, p, e.o, e.idem, e.meta, apps.app); err != nil {
					e.fail(err)
				}
				span.End(faultOf(err))
				return nil
			})
		}
	}
	_ = g.Wait() // each entry has its own error
}

// traceItem begins a trace of one item's own, so that each invite has one.
func (s *Service) traceItem(ctx context.Context) (context.Context, trace.Span) {
	return s.p.Tracer.StartOwn(ctx, trace.Internal, "create item of batch")
}

// faultOf is an error's word for a trace.
func faultOf(err error) string {
	var e *invite.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return string(e.Code)
	}
	return "internal"
}

// storeBatch hands all rows to the committer side by side: they go in one commit,
// or in two where other accepts wait before them.
func (s *Service) storeBatch(ctx context.Context, p access.Principal, entries []*batchEntry) {
	var accepts []*accept
	waiting := open(entries)
	for _, e := range waiting {
		if e.row.Delivery != nil {
			if err := s.lanes.ensure(ctx, s.p.DB, e.row.Delivery.Lane); err != nil {
				e.fail(err)
				continue
			}
		}
		accepts = append(accepts, newAccept(e.row))
	}
	if len(accepts) == 0 {
		return
	}
	s.commits.groups.add(accepts...)
	for i, e := range open(waiting) {
		in, err := accepts[i].wait(ctx)
		if err != nil {
			e.fail(s.refused.note(err))
			continue
		}
		e.answer(s.stored(ctx, p, e.row, in, e.outcome, e.meta))
	}
}

// appsOnce looks each app up once for a batch: in an outage of Pipedream the
// answer is not remembered, and every item would wait for it.
type appsOnce struct {
	find findApp
	mu   sync.Mutex
	apps map[string]func() (invite.App, error)
}

func (a *appsOnce) app(ctx context.Context, m *mint.Minter, slug string) (invite.App, error) {
	a.mu.Lock()
	if a.apps == nil {
		a.apps = make(map[string]func() (invite.App, error))
	}
	look, ok := a.apps[slug]
	if !ok {
		look = sync.OnceValues(func() (invite.App, error) { return a.find(ctx, m, slug) })
		a.apps[slug] = look
	}
	a.mu.Unlock()
	return look()
}

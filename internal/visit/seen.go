package visit

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// eventsKept bounds how often one thing that costs a visitor nothing is put on
// the timeline: a scanner may come back for days.
const eventsKept = 20

// Fetched records a request for the page by a person or a program.
func (s *Service) Fetched(ctx context.Context, code secret.Text, e Evidence) error {
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok || row.Content == nil {
		return err
	}
	return s.fetched(ctx, row, e)
}

func (s *Service) fetched(ctx context.Context, row ledger.Coded, e Evidence) error {
	return s.capped(ctx, row.ID, invite.Event{Type: invite.EventFetched, Actor: recipientActor(), Data: e.data(row.SinceDelivery)})
}

// capped appends an event of which only the first few are kept.
func (s *Service) capped(ctx context.Context, id invite.ID, e invite.Event) error {
	n, err := ledger.CountEvents(ctx, s.p.DB, id, e.Type, eventsKept)
	if err != nil || n >= eventsKept {
		return err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := ledger.Lock(ctx, tx, id); err != nil {
			return err
		}
		// Counted again under the lock, else many at once would all be "few".
		n, err := ledger.CountEvents(ctx, tx, id, e.Type, eventsKept)
		if err != nil || n >= eventsKept {
			return err
		}
		return s.record(ctx, tx, id, e)
	})
	if err != nil {
		return fmt.Errorf("record %s of invite %s: %w", e.Type, id, err)
	}
	return nil
}

// Seen takes the page's beacon: a person has had the page before their eyes.
// Only the first counts, and none of a declared robot.
func (s *Service) Seen(ctx context.Context, code secret.Text, e Evidence) error {
	e.Beacon = true
	row, ok, err := s.find(ctx, code)
	e.Automated = e.Automated && row.Live // in test mode programs look for their product's tests
	if err != nil || !ok || row.Progress != invite.NotOpened || !stateOf(row).open() || e.LooksLike() != Person {
		return err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		locked, err := ledger.Lock(ctx, tx, row.ID)
		if err != nil || locked.State.Progress != invite.NotOpened {
			return err
		}
		return s.record(ctx, tx, row.ID, invite.Event{Type: invite.EventVisited, Actor: recipientActor(), Data: e.data(row.SinceDelivery)})
	})
	if err != nil {
		return fmt.Errorf("record visit of invite %s: %w", row.ID, err)
	}
	return nil
}

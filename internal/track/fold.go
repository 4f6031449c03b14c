package track

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// fact is what a provider said about one delivery. That it said anything
// means that it took the attempt's message.
type fact struct {
	taken ledger.Taken
	event invite.Event
}

// fold records facts: on the deliveries through the state machine, and on the
// attempts, where they settle what a lost answer left open.
func (t *Tracker) fold(ctx context.Context, tx pgx.Tx, facts []fact) error {
	if len(facts) == 0 {
		return nil
	}
	ids := make([]invite.ID, 0, len(facts))
	for _, f := range facts {
		ids = append(ids, f.taken.InviteID)
	}
	locked, err := ledger.LockAll(ctx, tx, ids)
	if err != nil {
		return err
	}
	ended := make(map[invite.DeliveryID]time.Time)
	now := make(map[invite.ID]time.Time, len(locked))
	for _, l := range locked {
		now[l.ID] = l.Now
		for _, d := range l.State.Deliveries {
			ended[d.ID] = d.EndedAt
		}
	}
	taken := make([]ledger.Taken, 0, len(facts))
	batches := make([]ledger.Batch, 0, len(facts))
	for _, f := range facts {
		e := f.event
		e.At = credible(e.At, ended[e.DeliveryID], now[f.taken.InviteID])
		taken = append(taken, f.taken)
		batches = append(batches, ledger.Batch{ID: f.taken.InviteID, Events: []invite.Event{e}})
	}
	if err := ledger.SetTaken(ctx, tx, taken); err != nil {
		return err
	}
	applied, err := ledger.AppendAll(ctx, tx, t.p.Box, batches)
	if err != nil {
		return err
	}
	for _, a := range applied {
		if err := t.p.Publish(ctx, tx, a); err != nil {
			return err
		}
	}
	return nil
}

// credible is the time by which a fact competes with an end that was recorded.
// A provider that gives no time (Twilio) would be ordered by arrival, which is
// chance: its facts take the recorded end's time, so that only rank decides.
// A time in the future would win against everything for ever.
func credible(at, ended, now time.Time) time.Time {
	switch {
	case at.IsZero() && !ended.IsZero():
		return ended
	case at.IsZero() || at.After(now):
		return now
	}
	return at
}

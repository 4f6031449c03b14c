package track

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// fact is what a provider said about one delivery. That it said anything
// means that it took the attempt's message; only not where whose the fact is
// was inferred.
type fact struct {
	taken    ledger.Taken
	event    invite.Event
	inferred bool
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
		e.At = credibleTime(e.At, ended[e.DeliveryID], now[f.taken.InviteID])
		if !f.inferred {
			taken = append(taken, f.taken)
		}
		batches = append(batches, ledger.Batch{ID: f.taken.InviteID, Events: []invite.Event{e}})
	}
	if len(taken) > 0 {
		if err := ledger.SetTaken(ctx, tx, taken); err != nil {
			return err
		}
	}
	applied, err := ledger.AppendAll(ctx, tx, t.p.Box, batches)
	if err != nil {
		return err
	}
	return t.p.Publish(ctx, tx, applied...)
}

// noteReceipts tells dispatch that receipts arrive, and since when: only where
// they do may silence be read as "not taken". It comes after the commit, since
// the accounts' rows are shared by all; when it is lost the next callback
// makes up for it.
func (t *Tracker) noteReceipts(ctx context.Context, facts []fact) {
	refs := make([]queue.AttemptRef, 0, len(facts))
	for _, f := range facts {
		if !f.inferred {
			refs = append(refs, queue.AttemptRef{InviteID: f.taken.InviteID, AttemptID: f.taken.AttemptID})
		}
	}
	if len(refs) == 0 {
		return
	}
	if err := queue.NoteReceipts(ctx, t.p.DB, refs); err != nil {
		t.p.Log.WarnContext(ctx, "note receipts", "err", err)
	}
}

// plainCode makes a provider's code fit to be stored as it is: it comes from
// outside, and Postgres takes neither NUL nor broken UTF-8.
func plainCode(code string) string {
	code = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, code)
	return code[:min(len(code), 120)]
}

// credibleTime is the time by which a fact competes with an end that was recorded.
// A provider that gives no time (Twilio) would be ordered by arrival, which is
// chance: its facts take the recorded end's time, so that only rank decides.
// A time in the future would win against everything for ever.
func credibleTime(at, ended, now time.Time) time.Time {
	switch {
	case at.IsZero() && !ended.IsZero():
		return ended
	case at.IsZero() || at.After(now):
		return now
	}
	return at
}

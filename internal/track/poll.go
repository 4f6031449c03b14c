package track

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/internal/store/ledger"
)

const (
	pollsAtOnce   = 25
	pollsParallel = 4
	// putOff is how long an invite waits when its project's budget is spent
	// and no other time is given.
	putOff = time.Second
)

// Poll reads Pipedream's accounts for every due invite, until none is due,
// and returns their number. Several processes may do so at the same time. One
// invite's failure delays no other: it is due again after a minute.
func (t *Tracker) Poll(ctx context.Context) (int, error) {
	looked := 0
	for {
		due, err := ledger.ClaimPolls(ctx, t.p.DB, pollsAtOnce)
		if err != nil || len(due) == 0 {
			return looked, err
		}
		results := make([]bool, len(due))
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(pollsParallel)
		for i, c := range due {
			group.Go(func() error {
				var err error
				results[i], err = t.poll(groupCtx, c)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return looked, err
		}
		before := looked
		for _, did := range results {
			if did {
				looked++
			}
		}
		if looked == before {
			return looked, nil // budgets are spent: the rest waits for the next round
		}
	}
}

// poll looks up one invite. It reports whether the look-up took place; its
// error is the database's, Pipedream's are logged.
func (t *Tracker) poll(ctx context.Context, c ledger.Candidate) (bool, error) {
	if ok, after := t.p.Budget.Allow(budgetKey(c)); !ok {
		return false, ledger.SetPollLater(ctx, t.p.DB, c, max(after, putOff))
	}
	if c.AccountID == "" && c.FirstOut != nil {
		_, err := t.look(ctx, c, fromPoll)
		if errors.Is(err, ErrLater) {
			t.p.Log.WarnContext(ctx, "poll for accounts", "invite_id", c.ID.String(), "err", err)
			return true, nil // the claim lapses, and then it is due again
		}
		if err != nil {
			return false, err
		}
	}
	_, err := ledger.SetPolled(ctx, t.p.DB, c)
	return true, err
}

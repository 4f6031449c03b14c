package track

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const (
	// keepUnmatched is how long a callback waits for its attempt. Providers
	// repeat theirs for a day too.
	keepUnmatched = 24 * time.Hour

	joinedAtOnce = 200
)

// wait notes callbacks that match nothing yet.
func (t *Tracker) wait(ctx context.Context, tx pgx.Tx, list []ledger.Unmatched) error {
	if len(list) == 0 {
		return nil
	}
	return ledger.InsertUnmatched(ctx, tx, list, keepUnmatched)
}

// Join retries callbacks whose attempt was unknown when they came: most of
// them overtook the answer to our own call, which contains a message's id. It
// returns the number joined.
func (t *Tracker) Join(ctx context.Context) (int, error) {
	total := 0
	for {
		var due []ledger.Unmatched
		var facts []fact
		err := t.inTx(ctx, func(tx pgx.Tx) error {
			var err error
			if due, err = ledger.LockUnmatched(ctx, tx, joinedAtOnce); err != nil || len(due) == 0 {
				return err
			}
			facts, err = t.join(ctx, tx, due)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("join callbacks: %w", err)
		}
		t.noteReceipts(ctx, facts)
		if total += len(facts); len(due) < joinedAtOnce {
			return total, nil
		}
	}
}

func (t *Tracker) join(ctx context.Context, tx pgx.Tx, due []ledger.Unmatched) ([]fact, error) {
	var facts []fact
	var matched, later [][16]byte
	var invites []invite.ID
	for _, u := range due {
		f, ok, err := t.tryAgain(ctx, tx, u)
		if err != nil {
			return nil, err
		}
		if !ok {
			later = append(later, u.CallbackID)
			continue
		}
		facts = append(facts, f)
		matched, invites = append(matched, u.CallbackID), append(invites, f.taken.InviteID)
	}
	if len(matched) > 0 {
		if err := ledger.SetMatched(ctx, tx, matched, invites); err != nil {
			return nil, err
		}
	}
	if len(later) > 0 {
		if err := ledger.SetUnmatchedLater(ctx, tx, later); err != nil {
			return nil, err
		}
	}
	return facts, t.fold(ctx, tx, facts)
}

// tryAgain reads a kept callback as it was read when it came. One that cannot
// be opened or read any more (its key is gone) waits until its time is over.
func (t *Tracker) tryAgain(ctx context.Context, tx pgx.Tx, u ledger.Unmatched) (fact, bool, error) {
	body, err := t.p.Box.Open(u.Body, seal.AD{Column: "callbacks.body", ID: u.CallbackID})
	if err != nil {
		t.p.Log.WarnContext(ctx, "a kept callback cannot be opened", "provider", u.Provider, "err", err)
		return fact{}, false, nil
	}
	of := origin{provider: u.Provider, Place: u.Place}
	callbacks, ok := t.p.Callbacks(of.provider, of.Place)
	if !ok {
		return fact{}, false, nil // the provider was taken out of the configuration
	}
	read, err := callbacks.Reread(body)
	if err != nil {
		return fact{}, false, nil
	}
	if read.InviteID == "" && read.AttemptID == "" && !u.Invite.IsZero() && !u.Attempt.IsZero() {
		read.InviteID, read.AttemptID = u.Invite.String(), u.Attempt.String()
	}
	if read.ByAddress && read.At.IsZero() {
		read.At = u.ReceivedAt
	}
	one := []report{{Report: read}}
	if err := t.match(ctx, tx, of, one); err != nil {
		return fact{}, false, err
	}
	f, ok := one[0].fact(of.provider)
	return f, ok, nil
}

package track

import (
	"context"
	"errors"
	"fmt"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// isAgain reports whether an account is the one that an invite asks to connect again.
// Pipedream keeps its id and its creation; only its last change is new then.
func isAgain(c ledger.Candidate, a pipedream.Account) bool {
	return c.ReconnectAccount != "" && a.ID == c.ReconnectAccount
}

// lookAgain reads the account that an invite asks to connect again, and connects the
// invite if the account is healthy and was changed since the link was handed out. An
// account that never changed is no evidence that the person did anything.
func (t *Tracker) lookAgain(ctx context.Context, accounts Accounts, c ledger.Candidate, user, source string) (bool, error) {
	a, err := accounts.Account(ctx, c.ReconnectAccount)
	if errors.Is(err, pipedream.ErrNotFound) {
		return false, nil // deleted: a new account may come instead
	}
	if err != nil {
		return false, fmt.Errorf("look for the account of invite %s: %w: %w", c.ID, ErrLater, err)
	}
	one := []pipedream.Account{a}
	if err := t.ourTime(ctx, one); err != nil {
		return false, err
	}
	a = one[0]
	if a.ExternalID != user || (a.AppSlug != "" && a.AppSlug != c.AppSlug) || !a.Healthy || a.UpdatedAt.Before(*accountsSince(c)) {
		return false, nil
	}
	return t.connect(ctx, c, a, source)
}

// assignAgain gives an account that was connected again to the invite that asked for
// it, unless another one has been given this change already. The invites by which
// the account was connected before keep it.
func assignAgain(c ledger.Candidate, rivals []ledger.Candidate, a pipedream.Account) assignment {
	self, from := c.ID, accountsSince(c)
	if from == nil {
		return assignment{}
	}
	d := assignment{winner: self, selfHas: true}
	for _, r := range rivals {
		switch {
		case r.ID == self && r.AccountID != "":
			return assignment{selfHas: true, holder: self}
		case r.ID != self && r.AccountID == a.ID && r.ConnectedAt != nil && r.ConnectedAt.After(*from) && !r.ConnectedAt.Before(a.UpdatedAt.Add(-clockNoise)):
			// A connection from before the link left our hands took an earlier change.
			d = assignment{holder: r.ID, losers: []invite.ID{self}}
		}
	}
	return d
}

package app

import (
	"context"
	"errors"
	"slices"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/store/find"
)

// advance moves an invite of test mode: in time, or by what becomes of its connected
// account, which is then checked at once.
func (a *App) advance(ctx context.Context, p access.Principal, id invite.ID, to string) error {
	state := sandbox.AccountState(to)
	if p.Live || a.standins == nil || !slices.Contains(sandbox.AccountStates(), state) {
		return a.Issue.Advance(ctx, p, id, to)
	}
	inv, err := find.Get(ctx, a.api, p.Place, id)
	if errors.Is(err, find.ErrNotFound) {
		return invite.Errorf(invite.CodeInviteNotFound, "There is no invite %s for this key.", id)
	}
	if err != nil {
		return err
	}
	if inv.AccountID == "" {
		return invite.Errorf(invite.CodeNotConnected, "Invite %s has no connected account to make %s.", id, to)
	}
	err = a.standins.sandbox.SetAccount(ctx, inv.AccountID, state)
	if errors.Is(err, sandbox.ErrNoAccount) {
		return invite.Errorf(invite.CodeNotConnected, "The account of invite %s was deleted; connect a new one.", id)
	}
	if err != nil {
		return err
	}
	return a.track.CheckConnection(ctx, p.Place, id)
}

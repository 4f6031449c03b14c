package app

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/visit"
)

// blocked reports whether a recipient may not be written to. Dispatch asks again
// before it sends; this is so that a page queues nothing in vain.
func (a *App) blocked(ctx context.Context, tx pgx.Tx, to visit.Address) (bool, error) {
	if !to.Livemode && isScripted(to.To.Reveal()) {
		return false, nil
	}
	standing, err := suppression.ListStanding(ctx, tx, a.blockKeys(to.ProjectID, to.Livemode, to.Channel, to.To.Reveal()))
	return len(standing) > 0, err
}

// block does what a recipient asked for on the page: no more messages.
func (a *App) block(ctx context.Context, tx pgx.Tx, to visit.Address) error {
	if !to.Livemode && isScripted(to.To.Reveal()) {
		return nil // the next test of the same fate wants a message
	}
	scope := suppression.Scope{ProjectID: to.ProjectID, Livemode: to.Livemode, Senders: a.textSenders(to.ProjectID, to.Livemode)}
	kind := invite.NotMe
	if to.OptOut && len(scope.Senders) > 0 {
		kind = invite.OptOut
	}
	_, _, err := suppression.Insert(ctx, tx, a.box, scope, suppression.New{
		Channel: to.Channel, Kind: kind, Address: to.To, Source: suppression.FromPage, InviteID: to.InviteID,
	})
	return err
}

// resume takes an opt-out back, as the reply START does.
func (a *App) resume(ctx context.Context, tx pgx.Tx, to visit.Address) error {
	keys := a.blockKeys(to.ProjectID, to.Livemode, to.Channel, to.To.Reveal())
	_, err := suppression.SetLifted(ctx, tx, a.box, keys, true, "recipient", secret.Text{})
	return err
}

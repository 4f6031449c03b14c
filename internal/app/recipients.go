package app

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/visit"
)

// blocked reports whether a recipient may not be written to. Dispatch asks again
// before it sends; this is so that a page queues nothing in vain.
func (a *App) blocked(ctx context.Context, tx pgx.Tx, to visit.Address) (bool, error) {
	if !to.Live && isScripted(to.To.Reveal()) {
		return false, nil
	}
	standing, err := suppression.ListStanding(ctx, tx, a.blockKeys(to.Place, to.Channel, to.To.Reveal()))
	return len(standing) > 0, err
}

// block does what a recipient asked for on the page: no more messages.
func (a *App) block(ctx context.Context, tx pgx.Tx, to visit.Address) error {
	if !to.Live && isScripted(to.To.Reveal()) {
		return nil // the next test of the same fate wants a message
	}
	scope := suppression.Scope{Place: to.Place, Senders: a.optOutSenders(to)}
	kind := invite.NotMe
	if to.OptOut && len(scope.Senders) > 0 {
		kind = invite.OptOut
	}
	_, _, err := suppression.Insert(ctx, tx, a.box, scope, suppression.New{
		Channel: to.Channel, Kind: kind, Address: to.To, Source: suppression.FromPage, InviteID: to.InviteID,
	})
	return err
}

// resume takes an opt-out back, as the reply START does: the one that was said to
// the sender of this message, and no other.
func (a *App) resume(ctx context.Context, tx pgx.Tx, to visit.Address) error {
	senders := a.optOutSenders(to)
	if len(senders) == 0 {
		return nil
	}
	scope := suppression.Scope{Place: to.Place, Senders: senders[:1]}
	_, err := suppression.SetLifted(ctx, tx, a.box, suppression.Keys(a.box, scope, to.Channel, to.To.Reveal()), true, "recipient", secret.Text{})
	return err
}

// optOutSenders are what a project's texts come from, first the sender of the
// message that carried the link: what is said on its page is said to that one.
func (a *App) optOutSenders(to visit.Address) []string {
	all := a.textSenders(to.Place)
	from := a.senderOf(to.Provider, to.Place)
	if from == "" {
		return all
	}
	return append([]string{from}, slices.DeleteFunc(all, func(s string) bool { return s == from })...)
}

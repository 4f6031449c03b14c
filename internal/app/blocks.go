package app

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// follow hands on what follows from events, in the transaction that records
// them: the product is told, addresses are blocked, and visits counted.
func (a *App) follow(ctx context.Context, tx pgx.Tx, applied ...ledger.Applied) error {
	if err := a.outbox.Enqueue(ctx, tx, applied...); err != nil {
		return err
	}
	for _, one := range applied {
		a.tell(tx, one)
		a.funnel.Note(ctx, tx, one)
		if err := a.suppress.Note(ctx, tx, one); err != nil {
			return err
		}
		if err := a.firewall.Note(ctx, tx, one); err != nil {
			return err
		}
	}
	return nil
}

// announce returns the public event of an invite that is about to be stored, which the
// statement that stores it stores too.
func (a *App) announce(show func(at time.Time) find.Invite) (ledger.NewPublic, error) {
	return a.outbox.Created(show)
}

// textSenders are what a project's texts come from; opt-outs are said to them.
func (a *App) textSenders(place invite.Place) []string {
	if v, ok := a.vendors[place]; ok {
		return v.textSenders()
	}
	return nil
}

// senderOf is what a provider's texts come from for a project.
func (a *App) senderOf(name string, place invite.Place) string {
	if p, ok := a.provider(name, place); ok && p.Sender != nil {
		return p.Sender.Identity().Sender
	}
	return ""
}

// isOneWay reports whether people cannot reply to what a project's texts come from
// first.
func (a *App) isOneWay(place invite.Place) bool {
	v, ok := a.vendors[place]
	return ok && v.isOneWay()
}

// sentOneWay reports whether people cannot reply to the text that a provider sent
// for a project; where the provider is not known, to the first choice's.
func (a *App) sentOneWay(name string, place invite.Place) bool {
	if p, ok := a.provider(name, place); ok && p.Sender != nil && p.Channel.Spec().OptOutByReply {
		return p.Sender.Identity().OneWay
	}
	return a.isOneWay(place)
}

// unlister is the first provider of email that keeps suppression lists of its own.
func (a *App) unlister(place invite.Place) (provider.Unlister, bool) {
	v, ok := a.vendors[place]
	if !ok {
		return nil, false
	}
	for _, p := range v.providers {
		if p.Unlister != nil {
			return p.Unlister, true
		}
	}
	return nil, false
}

func (a *App) blockKeys(place invite.Place, ch invite.Channel, address string) []seal.Hash {
	return suppression.Keys(a.box, suppression.Scope{Place: place, Senders: a.textSenders(place)}, ch, address)
}

// isScripted reports whether an address of test mode has a scripted fate.
func isScripted(address string) bool {
	if phone, err := contact.ParsePhoneTest(address, ""); err == nil {
		return phone.Type == contact.TypeScripted
	}
	return strings.HasSuffix(strings.ToLower(address), "@connectlink.test")
}

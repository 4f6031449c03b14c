package suppress

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// Suppressed reports whether a recipient may not be written to. Dispatch asks again
// before it sends; this is so that a page queues nothing in vain.
func (s *Service) Suppressed(ctx context.Context, tx pgx.Tx, to suppression.Recipient) (bool, error) {
	if s.isScripted(to) {
		return false, nil
	}
	standing, err := suppression.ListStanding(ctx, tx, suppression.Keys(s.p.Box, s.scope(to.Place), to.Channel, to.To.Reveal()))
	return len(standing) > 0, err
}

// Suppress does what a recipient asked for on the page: no more messages. It reports
// whether the address was not blocked before.
func (s *Service) Suppress(ctx context.Context, tx pgx.Tx, to suppression.Recipient) (bool, error) {
	if s.isScripted(to) {
		return true, nil // the next test of the same fate wants a message, and its product the event
	}
	scope := suppression.Scope{Place: to.Place, Senders: s.optOutSenders(to)}
	kind := invite.NotMe
	if to.OptOut && len(scope.Senders) > 0 {
		kind = invite.OptOut
	}
	_, fresh, err := suppression.Insert(ctx, tx, s.p.Box, scope, suppression.New{
		Channel: to.Channel, Kind: kind, Address: to.To, Source: suppression.FromPage, InviteID: to.InviteID,
	})
	return fresh, err
}

// Unsuppress lifts the blocks that the page of an invite made since a time: by Suppress, or by
// Note with the report that began then. of are the addresses of the invite; no other block of
// them is lifted.
func (s *Service) Unsuppress(ctx context.Context, tx pgx.Tx, id invite.ID, of []suppression.Recipient, since time.Time) error {
	var keys []seal.Hash
	for _, to := range of {
		if !s.isScripted(to) { // nothing was stored
			keys = append(keys, suppression.Keys(s.p.Box, suppression.Scope{Place: to.Place}, to.Channel, to.To.Reveal())...)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return suppression.SetWithdrawn(ctx, tx, keys, id, since)
}

// Resume takes an opt-out back, as the reply START does: the one that was said to
// the sender of this message, and no other. It reports whether there was one.
func (s *Service) Resume(ctx context.Context, tx pgx.Tx, to suppression.Recipient) (bool, error) {
	if s.isScripted(to) {
		return true, nil // nothing was stored
	}
	senders := s.optOutSenders(to)
	if len(senders) == 0 {
		return false, nil
	}
	scope := suppression.Scope{Place: to.Place, Senders: senders[:1]}
	n, err := suppression.SetLifted(ctx, tx, s.p.Box, suppression.Keys(s.p.Box, scope, to.Channel, to.To.Reveal()), true, "recipient", secret.Text{})
	return n > 0, err
}

func (s *Service) isScripted(to suppression.Recipient) bool {
	return !to.Live && s.p.Scripted(to.To.Reveal())
}

// optOutSenders are what a project's texts come from, first the sender of the
// message that carried the link: what is said on its page is said to that one.
func (s *Service) optOutSenders(to suppression.Recipient) []string {
	all := s.p.Senders(to.Place)
	from := s.p.SenderOf(to.Provider, to.Place)
	if from == "" {
		return all
	}
	return append([]string{from}, slices.DeleteFunc(all, func(s string) bool { return s == from })...)
}

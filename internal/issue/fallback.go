package issue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// FallBack sends by the other channel for every invite whose fallback is due,
// and returns the number of queued messages. In the recipient's night a fallback
// of live mode waits for the morning; to a suppressed address none is sent, and
// the timeline has the reason.
func (s *Service) FallBack(ctx context.Context) (int, error) {
	n, err := unasked(ctx, s, func(d ledger.Due) invite.ID { return d.ID }, ledger.LockFallbacks, s.fallBack)
	if err != nil {
		return n, fmt.Errorf("fall back: %w", err)
	}
	return n, nil
}

func (s *Service) fallBack(ctx context.Context, tx pgx.Tx, d ledger.Due) (lane invite.Lane, err error) {
	by := invite.Actor{Kind: invite.ActorSystem, ID: "fallback"}
	m, err := s.moment(ctx, tx, d)
	switch {
	case err != nil:
		return lane, err
	case m.never != nil:
		return lane, s.append(ctx, tx, d.ID, invite.Event{Type: invite.EventFallbackSkipped, Actor: by, Data: *m.never})
	case m.wait > 0:
		return lane, ledger.SetFallbackLater(ctx, tx, d.ID, m.wait)
	}
	// "first": its reader has not received a message of this invite by this
	// channel.
	delivery, wait, err := s.queueUnasked(ctx, tx, d, m.to, "first")
	if err != nil {
		return lane, err
	}
	if wait > 0 {
		return lane, ledger.SetFallbackLater(ctx, tx, d.ID, wait)
	}
	return delivery.Lane, s.append(ctx, tx, d.ID,
		invite.Event{Type: invite.EventFallback, Actor: by, Data: invite.Data{Channel: d.Channel}},
		invite.Event{Type: invite.EventDeliveryQueued, Actor: by, DeliveryID: delivery.ID, Data: invite.Data{Channel: d.Channel}})
}

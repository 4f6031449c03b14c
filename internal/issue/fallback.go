package issue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// fallbacksAtOnce bounds one transaction.
const fallbacksAtOnce = 50

// Why a fallback was not made, beside the reasons for suppressed addresses; for
// the timeline.
const (
	skippedNoAddress = "no_address"
	skippedNoTime    = "no_daytime_left" // the invite ends before we may write
)

// FallBack tries the other channel for every invite that calls for it, in
// batches, and returns how many messages it queued. In the recipient's night a
// fallback of live mode waits for the morning; to an address that is not to be written to it
// is not made at all, and the timeline says why.
func (s *Service) FallBack(ctx context.Context) (int, error) {
	total := 0
	for {
		n, queued := 0, map[string]int{}
		err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
			clear(queued)
			due, err := ledger.LockFallbacks(ctx, tx, fallbacksAtOnce)
			if err != nil {
				return err
			}
			n = len(due)
			for _, d := range due {
				lane, err := s.fallBack(ctx, tx, d)
				if err != nil {
					return fmt.Errorf("fallback of invite %s: %w", d.ID, err)
				}
				if lane != "" {
					queued[lane]++
				}
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		for lane, k := range queued {
			s.p.Wake(lane)
			total += k
		}
		if n < fallbacksAtOnce {
			return total, nil
		}
	}
}

// fallBack decides for one locked invite. It returns the lane that has work now.
func (s *Service) fallBack(ctx context.Context, tx pgx.Tx, d ledger.FallbackDue) (lane string, err error) {
	content, err := find.Open(s.p.Box, d.ID, d.Content)
	if err != nil {
		// Its own harm only: the others of the batch go on.
		s.p.Log.ErrorContext(ctx, "a fallback cannot be read", "invite", d.ID.String(), "error", err)
		return "", ledger.SetFallbackLater(ctx, tx, d.ID, time.Hour)
	}
	skip := func(data invite.Data) (string, error) {
		data.Channel = d.Channel
		return "", s.append(ctx, tx, d.ID, invite.Event{Type: invite.EventFallbackSkipped, Actor: system(), Data: data})
	}
	to := content.Recipient
	if to.Address(d.Channel) == "" {
		return skip(invite.Data{Outcome: skippedNoAddress}) // corrected or erased since
	}
	// The block is looked for again when the message leaves; here it keeps the
	// invite from seeming to be under way.
	b := s.block(access.Principal{ProjectID: d.ProjectID, Livemode: d.Livemode}, d.Channel, to)
	if err := b.askIn(ctx, tx); err != nil {
		return "", err
	}
	if len(b.standing) > 0 {
		return skip(invite.Data{Reason: b.standing[0].Kind.Reason()})
	}
	wait := time.Duration(0)
	if d.Livemode { // nobody is woken by test mode, and nobody should wait for it
		wait = invite.UntilDaytime(d.Now, zones(to)...)
	}
	granted := time.Duration(d.ExpiresInS) * time.Second
	if d.ValidForS != nil {
		granted = time.Duration(*d.ValidForS) * time.Second
	}
	if !invite.EnoughLeft(granted, d.GivesUpAt.Sub(d.Now)-wait) {
		return skip(invite.Data{Outcome: skippedNoTime})
	}
	if wait > 0 {
		return "", ledger.SetFallbackLater(ctx, tx, d.ID, wait)
	}
	lane = Lane(d.ProjectID, d.Channel, d.Livemode)
	return lane, s.storeFallback(ctx, tx, d, lane)
}

func (s *Service) storeFallback(ctx context.Context, tx pgx.Tx, d ledger.FallbackDue, lane string) error {
	_, code, err := s.newCode()
	if err != nil {
		return err
	}
	if err := ledger.EnsureLane(ctx, tx, lane); err != nil {
		return err
	}
	// "first": whoever reads it has not heard of the invite by this channel.
	delivery := ledger.Delivery{ID: invite.New[invite.DeliveryID](), Number: d.Messages + 1, Channel: d.Channel, Kind: "first", Lane: lane}
	if err := ledger.InsertDelivery(ctx, tx, d.ID, delivery); err != nil {
		return err
	}
	if err := ledger.InsertCode(ctx, tx, d.ID, delivery.ID, code); err != nil {
		return err
	}
	return s.append(ctx, tx, d.ID,
		invite.Event{Type: invite.EventFallback, Actor: system(), Data: invite.Data{Channel: d.Channel}},
		invite.Event{Type: invite.EventDeliveryQueued, Actor: system(), DeliveryID: delivery.ID, Data: invite.Data{Channel: d.Channel}})
}

func (s *Service) append(ctx context.Context, tx pgx.Tx, id invite.ID, events ...invite.Event) error {
	applied, err := ledger.Append(ctx, tx, s.p.Box, id, events...)
	if err != nil {
		return err
	}
	return s.p.Publish(ctx, tx, applied)
}

func system() invite.Actor { return invite.Actor{Kind: invite.ActorSystem, ID: "fallback"} }

// zones are where the recipient may live: their own zone, where it is known,
// else those of their number, else none.
func zones(r invite.Recipient) []*time.Location {
	if r.TimeZone != "" {
		if zone, err := contact.ParseTimeZone(r.TimeZone); err == nil {
			return []*time.Location{zone}
		}
	}
	if r.Phone != "" {
		return contact.PhoneZones(r.Phone)
	}
	return nil
}

package issue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Checks shared by the two kinds of automatic message, fallbacks and
// reminders.

// unaskedAtOnce bounds one transaction.
const unaskedAtOnce = 50

// Why such a message was not made, beside the reasons for suppressed addresses;
// for the timeline.
const (
	skippedNoAddress = "no_address"
	skippedNoTime    = "no_daytime_left" // the invite ends before we may write
)

// unasked decides about everything that is due, in batches, and returns how many
// messages were queued. One decides for one locked invite; it returns the lane
// that has work now.
func unasked[D any](ctx context.Context, s *Service, id func(D) invite.ID,
	lock func(context.Context, pgx.Tx, int) ([]D, error), one func(context.Context, pgx.Tx, D) (lane invite.Lane, err error),
) (int, error) {
	total := 0
	for {
		n, queued := 0, map[invite.Lane]int{}
		err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
			clear(queued)
			due, err := lock(ctx, tx, unaskedAtOnce)
			if err != nil {
				return err
			}
			n = len(due)
			for _, d := range due {
				lane, err := one(ctx, tx, d)
				if err != nil {
					return fmt.Errorf("invite %s: %w", id(d), err)
				}
				if lane != (invite.Lane{}) {
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
		if n < unaskedAtOnce {
			return total, nil
		}
	}
}

// moment is whether a message may be made now.
type moment struct {
	never *invite.Data     // it must not be made at all: why, for the timeline
	wait  time.Duration    // else, how long until it is to be looked at again
	to    invite.Recipient // else, its recipient
}

// moment reports whether an automatic message may be sent: to an existing
// address that is not suppressed, and not in the night, as long as the link
// remains valid long enough after it.
func (s *Service) moment(ctx context.Context, tx pgx.Tx, d ledger.Due) (moment, error) {
	never := func(data invite.Data) (moment, error) {
		data.Channel = d.Channel
		return moment{never: &data}, nil
	}
	content, err := find.Open(s.p.Box, d.ID, d.Content)
	if err != nil {
		// Its own harm only: the others of the batch go on.
		s.p.Log.ErrorContext(ctx, "an invite that is due for a message cannot be read", "invite", d.ID.String(), "error", err)
		return moment{wait: time.Hour}, nil
	}
	to := content.Recipient
	if to.Address(d.Channel) == "" {
		return never(invite.Data{Outcome: skippedNoAddress}) // corrected or erased since
	}
	// The block is looked for again when the message leaves; here it keeps the
	// invite from seeming to be under way.
	b := s.block(access.Principal{Place: d.Place}, d.Channel, to)
	if err := b.askIn(ctx, tx); err != nil {
		return moment{}, err
	}
	if len(b.standing) > 0 {
		return never(invite.Data{Reason: b.standing[0].Kind.Reason()})
	}
	wait := time.Duration(0)
	if d.Live { // test mode wakes no person, and no test should wait for the morning
		wait = invite.UntilDaytime(d.Now, zones(to)...)
	}
	granted := time.Duration(d.ExpiresInS) * time.Second
	if d.ValidForS != nil {
		granted = time.Duration(*d.ValidForS) * time.Second
	}
	if !invite.EnoughLeft(granted, d.GivesUpAt.Sub(d.Now)-wait) {
		return never(invite.Data{Outcome: skippedNoTime})
	}
	return moment{wait: wait, to: to}, nil
}

// queueUnasked puts one more message of an invite into its lane, with a code of
// its own. Where a sending limit refuses it, nothing is queued, and wait is the
// time until the message is allowed.
func (s *Service) queueUnasked(ctx context.Context, tx pgx.Tx, d ledger.Due, to invite.Recipient, kind string) (delivery ledger.Delivery, wait time.Duration, err error) {
	delivery = ledger.Delivery{
		ID: invite.New[invite.DeliveryID](), Number: d.Messages + 1, Channel: d.Channel, Kind: kind,
		Lane: d.Lane(d.Channel),
	}
	_, code, err := s.newCode()
	if err != nil {
		return delivery, 0, err
	}
	if err := ledger.EnsureLane(ctx, tx, delivery.Lane); err != nil {
		return delivery, 0, err
	}
	uses := s.p.Uses(quota.Message{Place: d.Place, Channel: d.Channel, Address: to.Address(d.Channel), User: d.UserHash})
	// A refusal must not undo decisions about other invites of the batch.
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return ledger.InsertDelivery(ctx, tx, d.ID, delivery, uses) })
	var over *ledger.LimitError
	if errors.As(err, &over) {
		return delivery, over.FreeIn, nil
	}
	if err != nil {
		return delivery, 0, err
	}
	return delivery, 0, ledger.InsertCode(ctx, tx, d.ID, delivery.ID, code)
}

func (s *Service) append(ctx context.Context, tx pgx.Tx, id invite.ID, events ...invite.Event) error {
	applied, err := ledger.Append(ctx, tx, s.p.Box, id, events...)
	if err != nil {
		return err
	}
	return s.p.Publish(ctx, tx, applied)
}

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

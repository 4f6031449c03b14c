package issue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const (
	remindersAtOnce = 50
	// remindAfterSending is when to look again while the message before a
	// reminder is still on its way to the provider.
	remindAfterSending = 10 * time.Minute
)

// Remind reminds whoever has not opened the page yet, where that was asked for,
// in batches, and returns how many messages it queued. A visit ends it, and so
// do the invite's end, a message that did not get through, and a block. In the
// recipient's night a reminder of live mode waits for the morning.
func (s *Service) Remind(ctx context.Context) (int, error) {
	total := 0
	for {
		n, queued := 0, map[string]int{}
		err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
			clear(queued)
			due, err := ledger.LockReminders(ctx, tx, remindersAtOnce)
			if err != nil {
				return err
			}
			n = len(due)
			for _, d := range due {
				lane, err := s.remind(ctx, tx, d)
				if err != nil {
					return fmt.Errorf("reminder of invite %s: %w", d.ID, err)
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
		if n < remindersAtOnce {
			return total, nil
		}
	}
}

// remind decides for one locked invite. It returns the lane that has work now.
func (s *Service) remind(ctx context.Context, tx pgx.Tx, d ledger.ReminderDue) (lane string, err error) {
	later := func(after time.Duration) (string, error) {
		return "", ledger.SetReminder(ctx, tx, d.ID, d.Reminded, &after)
	}
	never := func() (string, error) { return "", ledger.SetReminder(ctx, tx, d.ID, d.Reminded, nil) }
	skip := func(data invite.Data) (string, error) {
		data.Channel = d.Channel
		if err := s.append(ctx, tx, d.ID, invite.Event{Type: invite.EventReminderSkipped, Actor: reminding(), Data: data}); err != nil {
			return "", err
		}
		return never()
	}
	switch {
	case !d.Status.Open() || d.Progress != invite.NotOpened || d.Reminded >= d.Reminders || d.Last == nil:
		return never() // nothing to remind of: the timeline says why
	case !d.Last.Ended():
		return later(remindAfterSending)
	case d.Last.DidNotArrive():
		return never() // it went nowhere, and a reminder would too
	}
	content, err := find.Open(s.p.Box, d.ID, d.Content)
	if err != nil {
		// Its own harm only: the others of the batch go on.
		s.p.Log.ErrorContext(ctx, "a reminder cannot be read", "invite", d.ID.String(), "error", err)
		return later(time.Hour)
	}
	if content.Recipient.Address(d.Channel) == "" {
		return skip(invite.Data{Outcome: skippedNoAddress}) // erased since
	}
	b := s.block(access.Principal{ProjectID: d.ProjectID, Livemode: d.Livemode}, d.Channel, content.Recipient)
	if err := b.askIn(ctx, tx); err != nil {
		return "", err
	}
	if len(b.standing) > 0 {
		return skip(invite.Data{Reason: b.standing[0].Kind.Reason()})
	}
	wait := time.Duration(0)
	if d.Livemode { // nobody is woken by test mode, and nobody should wait for it
		wait = invite.UntilDaytime(d.Now, zones(content.Recipient)...)
	}
	granted := time.Duration(d.ExpiresInS) * time.Second
	if d.ValidForS != nil {
		granted = time.Duration(*d.ValidForS) * time.Second
	}
	left := d.GivesUpAt.Sub(d.Now)
	switch {
	case !invite.EnoughLeft(granted, left-wait):
		return skip(invite.Data{Outcome: skippedNoTime})
	case wait > 0:
		return later(wait)
	}
	lane = Lane(d.ProjectID, d.Channel, d.Livemode)
	if err := s.storeReminder(ctx, tx, d, lane); err != nil {
		return "", err
	}
	if d.Reminded+1 == d.Reminders {
		return lane, ledger.SetReminder(ctx, tx, d.ID, d.Reminded+1, nil)
	}
	next := left / time.Duration(d.Reminders-d.Reminded)
	return lane, ledger.SetReminder(ctx, tx, d.ID, d.Reminded+1, &next)
}

func (s *Service) storeReminder(ctx context.Context, tx pgx.Tx, d ledger.ReminderDue, lane string) error {
	_, code, err := s.newCode()
	if err != nil {
		return err
	}
	if err := ledger.EnsureLane(ctx, tx, lane); err != nil {
		return err
	}
	delivery := ledger.Delivery{ID: invite.New[invite.DeliveryID](), Number: d.Messages + 1, Channel: d.Channel, Kind: invite.KindReminder, Lane: lane}
	if err := ledger.InsertDelivery(ctx, tx, d.ID, delivery); err != nil {
		return err
	}
	if err := ledger.InsertCode(ctx, tx, d.ID, delivery.ID, code); err != nil {
		return err
	}
	number := d.Reminded + 1
	return s.append(ctx, tx, d.ID,
		invite.Event{Type: invite.EventReminded, Actor: reminding(), Data: invite.Data{Channel: d.Channel, Reminder: number}},
		invite.Event{Type: invite.EventDeliveryQueued, Actor: reminding(), DeliveryID: delivery.ID, Data: invite.Data{Channel: d.Channel, Kind: invite.KindReminder}})
}

func reminding() invite.Actor { return invite.Actor{Kind: invite.ActorSystem, ID: "reminder"} }

package issue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// remindAfterSending is when to look again while the message before a reminder
// is still on its way to the provider.
const remindAfterSending = 10 * time.Minute

// Remind sends the due reminders to recipients who have not opened the page,
// and returns the number of queued messages. Reminders end with a visit, the
// invite's end, a failed message, or a suppression. In the recipient's night a
// reminder of live mode waits for the morning.
func (s *Service) Remind(ctx context.Context) (int, error) {
	n, err := unasked(ctx, s, func(d ledger.ReminderDue) invite.ID { return d.ID }, ledger.LockReminders, s.remind)
	if err != nil {
		return n, fmt.Errorf("remind: %w", err)
	}
	return n, nil
}

func (s *Service) remind(ctx context.Context, tx pgx.Tx, d ledger.ReminderDue) (lane invite.Lane, err error) {
	later := func(after time.Duration) (invite.Lane, error) {
		return lane, ledger.SetReminder(ctx, tx, d.ID, d.Reminded, &after)
	}
	never := func() (invite.Lane, error) { return lane, ledger.SetReminder(ctx, tx, d.ID, d.Reminded, nil) }
	switch {
	case !d.Status.Open() || d.Progress != invite.NotOpened || d.Reminded >= d.Reminders || d.Last == nil:
		return never() // no reason for a reminder; the timeline has the cause
	case !d.Last.Ended():
		return later(remindAfterSending)
	case d.Last.DidNotArrive():
		return never() // it went nowhere, and a reminder would too
	}
	by := invite.Actor{Kind: invite.ActorSystem, ID: "reminder"}
	m, err := s.moment(ctx, tx, d.Due)
	switch {
	case err != nil:
		return lane, err
	case m.never != nil:
		if err := s.append(ctx, tx, d.ID, invite.Event{Type: invite.EventReminderSkipped, Actor: by, Data: *m.never}); err != nil {
			return lane, err
		}
		return never()
	case m.wait > 0:
		return later(m.wait)
	}
	delivery, wait, err := s.queueUnasked(ctx, tx, d.Due, m.to, invite.KindReminder)
	if err != nil {
		return lane, err
	}
	if wait > 0 {
		return later(wait)
	}
	number := d.Reminded + 1
	err = s.append(ctx, tx, d.ID,
		invite.Event{Type: invite.EventReminded, Actor: by, Data: invite.Data{Channel: d.Channel, Reminder: number}},
		invite.Event{Type: invite.EventDeliveryQueued, Actor: by, DeliveryID: delivery.ID, Data: invite.Data{Channel: d.Channel, Kind: invite.KindReminder}})
	if err != nil {
		return lane, err
	}
	var next *time.Duration // the rest of the time in equal parts; none after the last
	if number < d.Reminders {
		part := d.GivesUpAt.Sub(d.Now) / time.Duration(d.Reminders-d.Reminded)
		next = &part
	}
	return delivery.Lane, ledger.SetReminder(ctx, tx, d.ID, number, next)
}

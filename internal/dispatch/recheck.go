package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// recheck settles a delivery that was queued at the time to which the database was
// restored: it may have been sent afterwards, by an attempt that the database has lost.
// It is sent only if every provider of its channel was asked and has no such message.
func (d *Dispatcher) recheck(ctx context.Context, t *task) (again bool, err error) {
	b, by, found, after := d.enquireRestored(ctx, t)
	d.p.Log.InfoContext(ctx, "check after a restore", "invite", t.InviteID, "delivery", t.DeliveryID, "belief", int(b), "again_ms", after.Milliseconds())
	provider := ""
	if by != nil {
		provider = by.Provider()
	}
	d.metrics.rechecked.WithLabelValues(provider, beliefWord(b)).Inc()
	switch b {
	case beliefWait:
		d.release(ctx, t, after)
		return false, nil
	case beliefTaken:
		return d.recordFound(ctx, t, by, found)
	case beliefHold:
		// The project's policy on unknown outcomes is about single messages. Here it could
		// send each message of an hour again.
		return false, d.conclude(ctx, t, invite.EventDeliveryUnknown, invite.DatabaseRestored)
	}
	return true, queue.SetRechecked(ctx, d.p.DB, t.Lease)
}

// enquireRestored asks each provider of the channel. A provider that cannot be asked,
// such as SendGrid or an SMTP server, makes the delivery one for a person.
func (d *Dispatcher) enquireRestored(ctx context.Context, t *task) (b belief, by provider.Sender, found provider.Found, after time.Duration) {
	age := t.Now.Sub(*t.RestoredAt)
	// Its connect link may have been replaced since by one that is lost: finding the
	// message with the link that is left proves that it was sent, and nothing else does.
	silent := t.Invite.LinkType == invite.ConnectLink && t.Kind != invite.KindPasscode
	settle, away := time.Duration(0), false
	senders := d.p.Senders(t.Place, t.Channel)
	for _, s := range senders {
		by = s
		settle = max(settle, s.Proof().Settle)
		found, err := d.findSince(ctx, t, s, provider.Sought{StartedAt: t.local(t.CreatedAt)}, t.Link)
		switch {
		case err == nil && found.Taken:
			return beliefTaken, s, found, 0
		case err == nil:
		case errors.Is(err, provider.ErrCannotFind):
			silent = true
		default:
			d.p.Log.WarnContext(ctx, "a provider could not be asked", "provider", s.Provider(), "delivery", t.DeliveryID, "err", err)
			if isAway(err) || age <= patience*s.Proof().Settle {
				away = true
			} else {
				silent = true
			}
		}
	}
	left := t.Invite.GivesUpAt.Sub(t.Now)
	switch {
	case len(senders) == 0 || silent:
		return beliefHold, by, found, 0
	case away && left > 0:
		return beliefWait, by, found, min(max(age/10, minLook), maxLook, left)
	case away:
		return beliefHold, by, found, 0
	case age < settle:
		return beliefWait, by, found, max(settle-age, minLook)
	}
	return beliefNot, by, found, 0
}

// recordFound records the attempt that the database has lost, as accepted. Between its
// two statements it looks like one whose answer was lost; the mark stays until the
// delivery is settled, so that it is found again.
func (d *Dispatcher) recordFound(ctx context.Context, t *task, by provider.Sender, found provider.Found) (again bool, err error) {
	b := &begin{
		NewAttempt: queue.NewAttempt{
			Lease: t.Lease, ID: invite.New[invite.AttemptID](), Provider: by.Provider(), Account: by.Account(),
			Version: t.Invite.Version, TemplateVersion: d.p.Composer.Messages(t.Place).Version(),
		},
		lane: t.Lane,
	}
	switch err := d.recordBegin(ctx, b); {
	case errors.Is(err, errStale):
		return true, nil
	case err != nil:
		return false, err
	}
	return false, d.recordFinish(ctx, &finish{
		Lease: t.Lease, lane: t.Lane, fact: true,
		result: &queue.Result{InviteID: t.InviteID, AttemptID: b.ID, Outcome: queue.Accepted, ProviderMessageID: plainWord(found.ProviderMessageID)},
		events: []invite.Event{t.attemptEvent(b.ID, invite.EventDeliveryAccepted, invite.Data{Provider: b.Provider, Attempt: t.Attempts + 1, Source: "list"})},
	})
}

package dispatch

import (
	"context"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// waitPaused gives a delivery back whose country, range of numbers or API key is
// paused. Its first wait is recorded with the reason. The end of the pause makes it
// due, so the growing wait only bounds what paused deliveries cost.
func (d *Dispatcher) waitPaused(ctx context.Context, t *task) (paused bool, err error) {
	if !d.p.Pauses.Any(t.Place) || t.Invite.Content == nil {
		return false, nil
	}
	content, err := find.Open(d.p.Box, t.InviteID, t.Invite.Content)
	if err != nil {
		return true, d.broken(ctx, t, err)
	}
	m := traffic.Message{Place: t.Place, Channel: t.Channel, Address: content.Recipient.Address(t.Channel), By: t.Invite.CreatedBy.String()}
	if _, paused := d.p.Pauses.Find(m); !paused {
		return false, nil
	}
	after := min(d.p.PausedFirst<<min(max(t.Token-1, 0), 10), d.p.PausedMax)
	// It must be due in time to be ended with the reason.
	after = max(min(after, t.Invite.GivesUpAt.Sub(t.Now)), d.p.RetryFirst)
	f := &finish{Lease: t.Lease, lane: t.Lane, next: &after}
	if t.Reason != invite.SendingPaused { // once on the timeline is enough
		at := t.Now.Add(d.p.Now().Sub(t.readAt) + after)
		f.events = []invite.Event{t.event(invite.EventDeliveryRetry, invite.Data{Reason: invite.SendingPaused, RetryAt: &at})}
	}
	d.metrics.paused.Inc()
	return true, d.recordFinish(ctx, f)
}

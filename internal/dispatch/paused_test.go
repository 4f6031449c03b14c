package dispatch_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// Messages to a paused country wait with their reason and without an attempt, others
// go out meanwhile, and resuming makes them due at once.
func TestMessagesToAPausedCountryWaitUntilItIsResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	board, err := pause.NewBoard(w.db, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var d *dispatch.Dispatcher
	s, err := pause.New(w.db, func(invite.Lane) { d.Wake() }, board)
	if err != nil {
		t.Fatal(err)
	}
	place := invite.Place{Project: "default"}
	gb := traffic.Subject{Place: place, Scope: traffic.Country, Name: "GB"}
	lead := access.Staff(invite.New[invite.StaffID]().String(), access.RoleLead, place)
	if _, err := s.StopSubject(t.Context(), lead, gb, pause.Pumping); err != nil {
		t.Fatal(err)
	}
	to := func(phone string) chaos.Load {
		return chaos.Load{Channel: invite.SMS, Content: func(c *invite.Content) { c.Recipient.Phone = phone }}
	}
	waiting := w.load(3, to("+447400123456"))
	w.load(3, to("+12025550123"))
	d, _ = w.run(w.params(func(p *dispatch.Params) { p.Pauses, p.PausedFirst, p.PausedMax = board, time.Hour, time.Hour }))
	w.until("the others are sent", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE status <> 'accepted' AND reason <> 'sending_paused'`) == 0
	})
	if n := w.count(`SELECT count(*) FROM attempts`); n != 3 {
		t.Errorf("%d attempts, want 3", n)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE reason = 'sending_paused' AND status = 'queued' AND next_at > now() + interval '30 minutes'`); n != 3 {
		t.Errorf("%d deliveries wait", n)
	}
	if line := w.timeline(waiting[0].InviteID); !strings.Contains(line, "delivery.retry") {
		t.Errorf("timeline %s", line)
	}
	if _, err := s.ResumeSubject(context.WithoutCancel(t.Context()), lead, gb); err != nil {
		t.Fatal(err)
	}
	w.until("all are sent", func() bool { return w.count(`SELECT count(*) FROM attempts WHERE outcome = 'accepted'`) == 6 })
	if n := w.count(`SELECT count(*) FROM deliveries WHERE reason = 'sending_paused'`); n != 0 {
		t.Errorf("%d deliveries keep the reason", n)
	}
}

// A paused message whose invite ends is ended with the reason.
func TestPausedMessageEndsWithItsReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	board, err := pause.NewBoard(w.db, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := pause.New(w.db, func(invite.Lane) {}, board)
	if err != nil {
		t.Fatal(err)
	}
	place := invite.Place{Project: "default"}
	lead := access.Staff(invite.New[invite.StaffID]().String(), access.RoleLead, place)
	if _, err := s.StopSubject(t.Context(), lead, traffic.Subject{Place: place, Scope: traffic.Prefix, Name: "+4474001"}, pause.Pumping); err != nil {
		t.Fatal(err)
	}
	w.load(1, chaos.Load{Channel: invite.SMS, Content: func(c *invite.Content) { c.Recipient.Phone = "+447400123456" }})
	w.run(w.params(func(p *dispatch.Params) { p.Pauses, p.PausedFirst = board, 20*time.Millisecond }))
	w.until("it waits", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE reason = 'sending_paused'`) == 1 })
	if _, err := w.db.Exec(t.Context(), `UPDATE invites SET expires_at = now() + interval '1 second', gives_up_at = now() + interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Exec(t.Context(), `UPDATE deliveries SET next_at = now()`); err != nil {
		t.Fatal(err)
	}
	w.until("it ends", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE status = 'rejected' AND reason = 'sending_paused'`) == 1
	})
	if n := w.count(`SELECT count(*) FROM events WHERE type = 'delivery.retry'`); n != 1 {
		t.Errorf("%d events say that it waits", n)
	}
}

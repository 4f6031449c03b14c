package issue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

const ownPhone = "+12025550123"

// askTwo asks by email, with a number to fall back to.
func askTwo(user string, after string, delay *int) issue.CreateRequest {
	r := ask(user)
	r.Recipient.Phone = ownPhone
	r.Fallback = &issue.FallbackRequest{Channel: "sms", After: after, DelayS: delay}
	return r
}

func (w *world) create(s *issue.Service, r issue.CreateRequest) invite.ID {
	w.t.Helper()
	a, err := s.Create(w.t.Context(), w.key, r, issue.Meta{})
	if err != nil {
		w.t.Fatal(err)
	}
	return a.Invite.ID
}

// fate appends events to an invite's latest delivery, as a provider would.
func (w *world) fate(id invite.ID, events ...invite.Event) ledger.Applied {
	w.t.Helper()
	var out ledger.Applied
	err := postgres.InTx(w.t.Context(), w.db, func(tx pgx.Tx) error {
		l, err := ledger.Lock(w.t.Context(), tx, id)
		if err != nil {
			return err
		}
		last, _ := l.State.Latest()
		for i := range events {
			events[i].DeliveryID, events[i].Actor = last.ID, invite.Actor{Kind: invite.ActorProvider}
		}
		out, err = ledger.Append(w.t.Context(), tx, w.box, id, events...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func bounced() invite.Event {
	return invite.Event{Type: invite.EventDeliveryBounced, Data: invite.Data{Reason: invite.AddressNotFound}}
}

func (w *world) fallBack(s *issue.Service, want int) {
	w.t.Helper()
	n, err := s.FallBack(w.t.Context())
	if err != nil || n != want {
		w.t.Fatalf("%d messages queued (%v), want %d", n, err, want)
	}
}

func (w *world) get(id invite.ID) find.Invite {
	w.t.Helper()
	inv, err := find.Get(w.t.Context(), w.db, invite.Place{Project: "default", Live: w.key.Live}, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return inv
}

func (w *world) timeline(id invite.ID) []string {
	w.t.Helper()
	events, err := find.Events(w.t.Context(), w.db, id)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		out = append(out, string(e.Type)+e.Data.Outcome+string(e.Data.Reason))
	}
	return out
}

func TestAfterAFailureTheOtherChannelIsTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	id := w.create(s, askTwo("user-1", "failure", nil))
	<-w.woken
	w.fallBack(s, 0) // nothing calls for it yet
	applied := w.fate(id, bounced())
	if applied.State.Status != invite.Active || slices.Contains(applied.Effects, invite.EffectPublishDeliveryFailed) {
		t.Errorf("%s, %v: it has not failed while there is another way", applied.State.Status, applied.Effects)
	}
	w.fallBack(s, 1)
	if lane := <-w.woken; lane.String() != "default/sms/test" {
		t.Errorf("woke %s", lane)
	}
	w.fallBack(s, 0) // once
	inv := w.get(id)
	if inv.Status != invite.Active || inv.Channel != invite.SMS || *inv.DeliveryChannel != "sms" || *inv.DeliveryNumber != 2 || *inv.DeliveryStatus != "queued" {
		t.Errorf("invite %s by %s, delivery %d by %s %s", inv.Status, inv.Channel, *inv.DeliveryNumber, *inv.DeliveryChannel, *inv.DeliveryStatus)
	}
	if n := w.count(`SELECT count(*) FROM codes WHERE invite_id = $1 AND retired_at IS NULL AND code IS NOT NULL`, id); n != 2 {
		t.Errorf("%d codes work, want one per message", n)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1 AND next_at <= now() AND number = 2`, id); n != 1 {
		t.Error("the second message is not due")
	}
	if got := w.timeline(id); !slices.Contains(got, "fallback") {
		t.Errorf("timeline %v", got)
	}
	if applied := w.fate(id, invite.Event{Type: invite.EventDeliveryUndelivered, Data: invite.Data{Reason: invite.NumberUnknown}}); applied.State.Status != invite.Failed {
		t.Errorf("both failed: %s", applied.State.Status)
	}
}

func TestWhenNobodyVisitsTheOtherChannelIsTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	soon, later := 0, 600
	unseen, seen := w.create(s, askTwo("user-1", "not_visited", &soon)), w.create(s, askTwo("user-2", "not_visited", &soon))
	waits := w.create(s, askTwo("user-3", "not_visited", &later))
	w.fate(seen, invite.Event{Type: invite.EventVisited})
	w.fallBack(s, 1)
	for id, want := range map[invite.ID]string{unseen: "sms", seen: "email", waits: "email"} {
		if inv := w.get(id); *inv.DeliveryChannel != want {
			t.Errorf("the latest message goes by %s, want %s", *inv.DeliveryChannel, want)
		}
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE fallback_at BETWEEN now() + interval '9 minutes' AND now() + interval '10 minutes'`); n != 1 {
		t.Errorf("%d wait for their ten minutes", n)
	}
}

// zoneAt is a zone in which it is this hour of the day now.
func zoneAt(hour int) string {
	offset := (hour - time.Now().UTC().Hour() + 48) % 24
	if offset > 12 {
		offset -= 24
	}
	return fmt.Sprintf("Etc/GMT%+d", -offset) // the sign is the other way round there
}

func TestNobodyIsWokenByAFallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.key.Live, w.key.Environment = true, "production"
	s := w.process()
	week := 7 * 24 * 3600
	one := func(user, zone string, validFor *int) invite.ID {
		r := askTwo(user, "failure", nil)
		r.Recipient.TimeZone, r.ValidFor, r.Recipient.Phone = zone, validFor, "+12025551234"
		id := w.create(s, r)
		w.fate(id, bounced())
		return id
	}
	night, short := one("user-1", zoneAt(2), &week), one("user-2", zoneAt(2), nil)
	day := one("user-3", zoneAt(12), &week)
	w.fallBack(s, 1)
	if inv := w.get(day); *inv.DeliveryChannel != "sms" {
		t.Error("by day it must go at once")
	}
	if inv := w.get(night); *inv.DeliveryChannel != "email" || inv.Status != invite.Active {
		t.Errorf("by night: by %s, %s", *inv.DeliveryChannel, inv.Status)
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE id = $1 AND fallback_at BETWEEN now() + interval '5 hours' AND now() + interval '6 hours 1 minute'`, night); n != 1 {
		t.Error("it does not wait for eight o'clock there")
	}
	// Four hours of life from two at night on: it ends before the day begins.
	if inv := w.get(short); inv.Status != invite.Failed {
		t.Errorf("an invite that ends in the night is %s", inv.Status)
	}
	if got := w.timeline(short); !slices.Contains(got, "fallback.skippedno_daytime_left") {
		t.Errorf("timeline %v", got)
	}
	w.fallBack(s, 0)
	// In the morning:
	if _, err := w.db.Exec(t.Context(), `UPDATE invites SET fallback_at = now() WHERE id = $1`, night); err != nil {
		t.Fatal(err)
	}
	w.fallBack(s, 0) // by the clock it is night still: being due is not enough
}

func TestAFallbackThatNoLongerHasAnAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	erased, other := w.create(s, askTwo("user-1", "failure", nil)), w.create(s, askTwo("user-2", "failure", nil))
	w.fate(erased, bounced())
	w.fate(other, bounced())
	if _, err := w.db.Exec(t.Context(), `UPDATE invites SET content = NULL WHERE id = $1`, erased); err != nil {
		t.Fatal(err)
	}
	w.fallBack(s, 1)
	if inv := w.get(erased); inv.Status != invite.Failed {
		t.Errorf("%s, want failed: nothing else will be tried", inv.Status)
	}
	if got := w.timeline(erased); !slices.Contains(got, "fallback.skippedno_address") {
		t.Errorf("timeline %v", got)
	}
}

func TestTwoProcessesFallBackOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.process(), w.process()
	for n := range 20 {
		w.fate(w.create(a, askTwo(fmt.Sprintf("user-%d", n), "failure", nil)), bounced())
	}
	results := make(chan int, 2)
	for _, s := range []*issue.Service{a, b} {
		go func() {
			n, err := s.FallBack(context.WithoutCancel(t.Context()))
			if err != nil {
				t.Error(err)
			}
			results <- n
		}()
	}
	first := <-results + <-results
	last, err := a.FallBack(t.Context())
	if err != nil || first+last != 20 {
		t.Errorf("%d and %d messages queued, want 20 (%v)", first, last, err)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE channel = 'sms'`); n != 20 {
		t.Errorf("%d texts", n)
	}
}

func TestFallbacksThatMakeNoSense(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	long, negative := 4*3600, -1
	for name, c := range map[string]struct {
		change  func(*issue.CreateRequest)
		pointer string
	}{
		"to the same channel":      {func(r *issue.CreateRequest) { r.Fallback.Channel = "email" }, "/fallback/channel"},
		"to a link":                {func(r *issue.CreateRequest) { r.Fallback.Channel = "link" }, "/fallback/channel"},
		"after something else":     {func(r *issue.CreateRequest) { r.Fallback.After = "lunch" }, "/fallback/after"},
		"without the number":       {func(r *issue.CreateRequest) { r.Recipient.Phone = "" }, "/recipient/phone"},
		"without the address":      {func(r *issue.CreateRequest) { r.Channel, r.Fallback.Channel, r.Recipient.Email = "sms", "email", "" }, "/recipient/email"},
		"from a link":              {func(r *issue.CreateRequest) { r.Channel = "link" }, "/fallback"},
		"later than the end":       {func(r *issue.CreateRequest) { r.Fallback.DelayS = &long }, "/fallback/delay_s"},
		"earlier than the failure": {func(r *issue.CreateRequest) { r.Fallback.DelayS = &negative }, "/fallback/delay_s"},
	} {
		r := askTwo("user-1", "failure", nil)
		c.change(&r)
		_, err := s.Create(t.Context(), w.key, r, issue.Meta{})
		var e *invite.Error
		if !errors.As(err, &e) || len(e.Faults) != 1 || e.Faults[0].Pointer != c.pointer {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A recipient who replied STOP gets no text because the mail bounced.
func TestNoFallbackToABlockedAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	stopped, free := w.create(s, askTwo("user-1", "failure", nil)), askTwo("user-2", "failure", nil)
	free.Recipient.Phone = "+12025550124"
	other := w.create(s, free)
	_, _, err := suppression.Insert(t.Context(), w.db, w.box, suppression.Scope{Place: invite.Place{Project: "default"}}, suppression.New{
		Channel: invite.SMS, Kind: invite.ByHand, Address: secret.New(ownPhone), Note: secret.New("asked us"), Source: suppression.FromAPI,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.fate(stopped, bounced())
	w.fate(other, bounced())
	w.fallBack(s, 1)
	if inv := w.get(stopped); inv.Status != invite.Failed || *inv.DeliveryChannel != "email" {
		t.Errorf("%s by %s, want failed: the number is blocked", inv.Status, *inv.DeliveryChannel)
	}
	if got := w.timeline(stopped); !slices.Contains(got, "fallback.skipped"+string(invite.ByHand.Reason())) {
		t.Errorf("timeline %v", got)
	}
	if inv := w.get(other); *inv.DeliveryChannel != "sms" {
		t.Error("another number is not blocked")
	}
}

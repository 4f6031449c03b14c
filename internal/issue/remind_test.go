package issue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

func askReminded(user string, n int) issue.CreateRequest {
	r := ask(user)
	r.Reminders = &issue.RemindersRequest{Count: &n}
	return r
}

func delivered() invite.Event { return invite.Event{Type: invite.EventDeliveryDelivered} }

// remind makes planned reminders due, and sends them.
func (w *world) remind(s *issue.Service, want int) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), `UPDATE invites SET remind_at = now() WHERE remind_at IS NOT NULL`); err != nil {
		w.t.Fatal(err)
	}
	n, err := s.Remind(w.t.Context())
	if err != nil || n != want {
		w.t.Fatalf("%d reminders queued (%v), want %d", n, err, want)
	}
}

func TestRemindersAreSpreadOverTheInvitesLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	id := w.create(s, askReminded("user-1", 3))
	w.fate(id, delivered())
	if n, err := s.Remind(t.Context()); err != nil || n != 0 {
		t.Fatalf("%d at once, %v", n, err)
	}
	for i := range 3 {
		if n := w.count(`SELECT count(*) FROM invites WHERE remind_at BETWEEN now() + interval '58 minutes' * $1 AND now() + interval '62 minutes' * $1`,
			[]float64{1, 1.33, 2}[i]); n != 1 {
			t.Errorf("reminder %d is not planned evenly", i+1)
		}
		w.remind(s, 1)
		w.fate(id, delivered())
	}
	w.remind(s, 0)
	inv := w.get(id)
	if inv.Reminded != 3 || inv.Status != invite.Active || *inv.DeliveryNumber != 4 {
		t.Errorf("%d sent, %s, delivery %d", inv.Reminded, inv.Status, *inv.DeliveryNumber)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE kind = 'reminder' AND lane = 'default/email/test'`); n != 3 {
		t.Errorf("%d deliveries are reminders", n)
	}
	if n := w.count(`SELECT count(*) FROM codes WHERE retired_at IS NULL AND code IS NOT NULL`); n != 4 {
		t.Errorf("%d links work, want that of every message", n)
	}
	if got := w.timeline(id); !slices.Contains(got, "reminded") {
		t.Errorf("timeline %v", got)
	}
}

func TestWhatEndsReminders(t *testing.T) {
	t.Parallel()
	for name, events := range map[string][]invite.Event{
		"a visit":                 {delivered(), {Type: invite.EventVisited}},
		"a press":                 {delivered(), {Type: invite.EventContinued}},
		"a failed connection":     {delivered(), {Type: invite.EventConnectFailed}},
		"a connection":            {delivered(), {Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}}},
		"a revocation":            {delivered(), {Type: invite.EventRevoked}},
		"a report":                {delivered(), {Type: invite.EventReported}},
		"an erasure":              {delivered(), {Type: invite.EventErased}},
		"a message that bounced":  {bounced()},
		"a complaint":             {delivered(), {Type: invite.EventVisited}, {Type: invite.EventDeliveryComplained, Data: invite.Data{Reason: invite.MarkedSpam}}},
		"the end of the invite":   {delivered(), {Type: invite.EventExpired}},
		"a newer invite in place": {delivered(), {Type: invite.EventReplaced}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.process()
			id := w.create(s, askReminded("user-1", 2))
			w.fate(id, events...)
			w.remind(s, 0)
			if n := w.count(`SELECT count(*) FROM invites WHERE remind_at IS NOT NULL`); n != 0 {
				t.Error("it is looked at again")
			}
		})
	}
}

func TestAReminderWaitsForTheMessageBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	id := w.create(s, askReminded("user-1", 1))
	w.remind(s, 0) // the first message has not left
	if n := w.count(`SELECT count(*) FROM invites WHERE remind_at BETWEEN now() + interval '9 minutes' AND now() + interval '10 minutes'`); n != 1 {
		t.Error("it is not looked at again soon")
	}
	w.fate(id, delivered())
	w.remind(s, 1)
}

func TestNobodyIsWokenOrRemindedInVain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.key.Live, w.key.Environment = true, "production"
	s := w.process()
	week := 7 * 24 * 3600
	one := func(user, zone string, validFor *int) invite.ID {
		r := askReminded(user, 1)
		r.Recipient.TimeZone, r.ValidFor = zone, validFor
		id := w.create(s, r)
		w.fate(id, delivered())
		return id
	}
	night, short, day := one("user-1", zoneAt(2), &week), one("user-2", zoneAt(2), nil), one("user-3", zoneAt(12), &week)
	w.remind(s, 1)
	if inv := w.get(day); inv.Reminded != 1 {
		t.Error("by day it must go at once")
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE id = $1 AND reminded = 0 AND remind_at BETWEEN now() + interval '5 hours' AND now() + interval '6 hours 1 minute'`, night); n != 1 {
		t.Error("it does not wait for eight o'clock there")
	}
	if got := w.timeline(short); !slices.Contains(got, "reminder.skippedno_daytime_left") {
		t.Errorf("an invite that ends in the night: %v", got)
	}
}

func TestNoReminderToABlockedAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	id := w.create(s, askReminded("user-1", 2))
	w.fate(id, delivered())
	_, _, err := suppression.Insert(t.Context(), w.db, w.box, suppression.Scope{Place: invite.Place{Project: "default"}}, suppression.New{
		Channel: invite.Email, Kind: invite.NotMe, Address: secret.New("pat.doe@customer.example"), Source: suppression.FromPage,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.remind(s, 0)
	if got := w.timeline(id); !slices.Contains(got, "reminder.skipped"+string(invite.NotMe.Reason())) {
		t.Errorf("timeline %v", got)
	}
	if inv := w.get(id); inv.Status != invite.Active {
		t.Errorf("the invite is %s: its message arrived", inv.Status)
	}
}

func TestTwoProcessesRemindOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.process(), w.process()
	for n := range 20 {
		w.fate(w.create(a, askReminded(fmt.Sprintf("user-%d", n), 3)), delivered())
	}
	if _, err := w.db.Exec(t.Context(), `UPDATE invites SET remind_at = now()`); err != nil {
		t.Fatal(err)
	}
	results := make(chan int, 2)
	for _, s := range []*issue.Service{a, b} {
		go func() {
			n, err := s.Remind(context.WithoutCancel(t.Context()))
			if err != nil {
				t.Error(err)
			}
			results <- n
		}()
	}
	first := <-results + <-results
	last, err := a.Remind(t.Context())
	if err != nil || first+last != 20 {
		t.Errorf("%d and %d reminders queued, want 20 (%v)", first, last, err)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE kind = 'reminder'`); n != 20 {
		t.Errorf("%d reminders", n)
	}
}

func TestRemindersThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.project.DefaultReminders = 2
	s := w.process()
	for name, c := range map[string]struct {
		change  func(*issue.CreateRequest)
		pointer string
		count   int
	}{
		"too many":          {func(r *issue.CreateRequest) { n := 4; r.Reminders.Count = &n }, "/reminders/count", 0},
		"fewer than none":   {func(r *issue.CreateRequest) { n := -1; r.Reminders.Count = &n }, "/reminders/count", 0},
		"how many":          {func(r *issue.CreateRequest) { r.Reminders.Count = nil }, "/reminders/count", 0},
		"of a link":         {func(r *issue.CreateRequest) { r.Channel = "link" }, "/reminders", 0},
		"without a page":    {func(r *issue.CreateRequest) { r.LinkType = "connect" }, "/reminders", 0},
		"none":              {func(r *issue.CreateRequest) { n := 0; r.Reminders.Count = &n }, "", 0},
		"none of a link":    {func(r *issue.CreateRequest) { n := 0; r.Reminders.Count, r.Channel = &n, "link" }, "", 0},
		"as the project":    {func(r *issue.CreateRequest) { r.Reminders = nil }, "", 2},
		"a link, by itself": {func(r *issue.CreateRequest) { r.Reminders, r.Channel = nil, "link" }, "", 0},
		"other than that":   {func(*issue.CreateRequest) {}, "", 1},
	} {
		r := askReminded("user-1", 1)
		c.change(&r)
		a, err := s.Create(t.Context(), w.key, r, issue.Meta{})
		var e *invite.Error
		switch {
		case c.pointer != "" && (!errors.As(err, &e) || len(e.Faults) != 1 || e.Faults[0].Pointer != c.pointer):
			t.Errorf("%s: %v", name, err)
		case c.pointer == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.pointer == "" && (c.count == 0) != (a.Invite.Reminders == nil):
			t.Errorf("%s: %+v", name, a.Invite.Reminders)
		case c.count > 0 && (a.Invite.Reminders.Count != c.count || a.Invite.Reminders.Sent != 0):
			t.Errorf("%s: %+v", name, a.Invite.Reminders)
		}
	}
}

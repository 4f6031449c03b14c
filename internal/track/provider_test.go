package track_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

func (w *world) takeMail(events ...map[string]any) {
	w.t.Helper()
	raw, header := w.mailPost(events...)
	if err := w.SendGrid(w.t.Context(), invite.Place{Project: "default"}, raw, header); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) takeText(m tracktest.Made, attempt invite.AttemptID, status, code string) {
	w.t.Helper()
	if err := w.Reports(w.t.Context(), textPost(m, attempt, status, code)); err != nil {
		w.t.Fatal(err)
	}
}

// delivery is what stands of an invite's message.
type delivery struct {
	Status, Reason string
	InviteStatus   invite.Status
	Outcome        string
	Message        string
	Waiting        bool
}

func (w *world) delivery(m tracktest.Made) delivery {
	w.t.Helper()
	got := w.Get(m.ID)
	d := delivery{Status: *got.DeliveryStatus, Reason: *got.DeliveryReason, InviteStatus: got.Status}
	err := w.Pool.QueryRow(w.t.Context(), `SELECT a.outcome, a.provider_message_id, d.next_at IS NOT NULL
		FROM attempts a JOIN deliveries d ON d.invite_id = a.invite_id AND d.id = a.delivery_id
		WHERE a.invite_id = $1 ORDER BY a.number LIMIT 1`, m.ID).Scan(&d.Outcome, &d.Message, &d.Waiting)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func TestMailReceiptsFold(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	bounce := map[string]any{"type": "bounce", "bounce_classification": "Invalid Address", "status": "5.1.1", "reason": "550 5.1.1 <pat@customer.example> unknown"}
	for name, c := range map[string]struct {
		events []string
		more   map[string]any
		want   delivery
	}{
		"taken":     {[]string{"processed"}, nil, delivery{Status: "accepted", InviteStatus: invite.Active, Outcome: "accepted", Message: "14c5d75ce93"}},
		"delivered": {[]string{"processed", "delivered"}, nil, delivery{Status: "delivered", InviteStatus: invite.Active, Outcome: "accepted", Message: "14c5d75ce93"}},
		"bounced":   {[]string{"processed", "bounce"}, bounce, delivery{Status: "bounced", Reason: "address_not_found", InviteStatus: invite.Failed, Outcome: "accepted", Message: "14c5d75ce93"}},
		"deferred":  {[]string{"deferred"}, nil, delivery{Status: "deferred", Reason: "deferred", InviteStatus: invite.Active, Outcome: "accepted", Message: "14c5d75ce93"}},
		"spam":      {[]string{"delivered", "spamreport"}, nil, delivery{Status: "complained", Reason: "marked_spam", InviteStatus: invite.Active, Outcome: "accepted", Message: "14c5d75ce93"}},
		"never sent by SendGrid": {[]string{"dropped"}, map[string]any{"reason": "Bounced Address"},
			delivery{Status: "suppressed", Reason: "suppressed", InviteStatus: invite.Failed, Outcome: "accepted", Message: "14c5d75ce93"}},
		"says nothing about delivery": {[]string{"open", "click", "a_new_event"}, nil, delivery{Status: "sending", InviteStatus: invite.Active, Outcome: "open", Waiting: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.Invite(tracktest.Options{})
			attempt := w.Attempt(m, "sendgrid", "open") // our own call has not returned yet
			for i, e := range c.events {
				w.takeMail(mailEvent(m, attempt, e, "id-"+e, now.Add(time.Duration(i-10)*time.Second), c.more))
			}
			if diff := cmp.Diff(c.want, w.delivery(m)); diff != "" {
				t.Error(diff)
			}
			if n := w.Count(`SELECT count(*) FROM callbacks`); n != len(c.events) {
				t.Errorf("%d callbacks kept, want %d", n, len(c.events))
			}
		})
	}
}

// SendGrid stamps whole seconds and posts in any order.
func TestATimelineOfOnePostIsInTheOrderThingsHappened(t *testing.T) {
	t.Parallel()
	for i := range 8 { // as many different ids, which decide in which order copies are looked for
		w := newWorld(t)
		m := w.Invite(tracktest.Options{})
		attempt := w.Attempt(m, "sendgrid", "open")
		at := time.Now().Truncate(time.Second).Add(-10 * time.Second)
		id := func(e string) string { return fmt.Sprintf("%s-%d", e, i) }
		w.takeMail(
			mailEvent(m, attempt, "spamreport", id("c"), at.Add(time.Second), nil),
			mailEvent(m, attempt, "delivered", id("b"), at, nil),
			mailEvent(m, attempt, "processed", id("a"), at, nil),
		)
		var got []string
		for _, e := range w.Events(m.ID) {
			if e.DeliveryID == m.Delivery && e.Data.Source == "callback" {
				got = append(got, string(e.Type))
			}
		}
		if diff := cmp.Diff([]string{"delivery.accepted", "delivery.delivered", "delivery.complained"}, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestUnknownOutcomeIsSettledByAReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	attempt := w.Attempt(m, "sendgrid", "unknown")
	w.Append(m.ID, invite.Event{Type: invite.EventDeliveryUnknown, DeliveryID: m.Delivery, AttemptID: attempt})
	w.takeMail(mailEvent(m, attempt, "processed", "e1", time.Now(), nil))
	want := delivery{Status: "accepted", InviteStatus: invite.Active, Outcome: "accepted", Message: "14c5d75ce93"}
	if diff := cmp.Diff(want, w.delivery(m)); diff != "" {
		t.Error(diff)
	}
	if n := w.Count(`SELECT count(*) FROM provider_accounts WHERE last_receipt_at IS NOT NULL`); n != 1 {
		t.Error("dispatch is not told that receipts arrive")
	}
	if w.events != 1 {
		t.Errorf("SawEvent called %d times", w.events)
	}
}

func TestMailEventIsMatchedByMessageIDWhereItLacksOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, other := w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{User: "user-2"})
	attempt, second := w.Attempt(m, "sendgrid", "accepted"), w.Attempt(other, "sendgrid", "accepted")
	w.Exec(`UPDATE attempts SET provider_message_id = '14c5.dfd.64b469' WHERE id = $1`, attempt)
	w.Exec(`UPDATE attempts SET provider_message_id = '14c5.dfd.64b' WHERE id = $1`, second)
	e := mailEvent(m, attempt, "delivered", "e1", time.Now(), map[string]any{"sg_message_id": "14c5.dfd.64b469.filter0001.16648.5515E0B88.0"})
	delete(e, "cl_invite")
	delete(e, "cl_attempt")
	w.takeMail(e)
	if got := w.delivery(m).Status; got != "delivered" {
		t.Errorf("delivery is %s", got)
	}
	if got := w.delivery(other).Status; got != "sending" {
		t.Errorf("another invite's delivery is %s", got)
	}
}

// What a provider reports on a message that staff sent to themselves is dropped: it is
// neither kept nor waits, and suppresses nothing. The other reports of its post count.
func TestReportsOnTestSendsAreDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	attempt := w.Attempt(m, "sendgrid", "accepted")
	id := invite.New[invite.TestSendID]().String()
	var events []map[string]any
	for i, name := range []string{"processed", "delivered", "bounce", "spamreport", "dropped"} {
		events = append(events, mailEvent(m, attempt, name, fmt.Sprintf("t%d", i), time.Now(), map[string]any{"cl_invite": id, "cl_attempt": id, "sg_message_id": "14c5d75ce93.filter1"}))
	}
	w.takeMail(append(events, mailEvent(m, attempt, "processed", "e1", time.Now(), nil))...)
	if n := w.Count(`SELECT count(*) FROM callbacks`); n != 1 {
		t.Errorf("%d reports are kept", n)
	}
	if n := w.Count(`SELECT count(*) FROM unmatched`) + w.Count(`SELECT count(*) FROM suppressions`); n != 0 {
		t.Errorf("%d rows of reports on test sends", n)
	}
	if got := w.delivery(m).Status; got != "accepted" {
		t.Errorf("the invite's message is %s", got)
	}
}

func TestForgedOrForeignCallbacksChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mail, text := w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{Channel: invite.SMS, User: "user-2"})
	ma, ta := w.Attempt(mail, "sendgrid", "open"), w.Attempt(text, "twilio", "open")

	raw, header := w.mailPost(mailEvent(mail, ma, "bounce", "e1", time.Now(), nil))
	if err := w.SendGrid(t.Context(), invite.Place{Project: "default"}, append(slices.Clone(raw), ' '), header); !errors.Is(err, track.ErrForged) {
		t.Errorf("altered mail post: %v", err)
	}
	if err := w.SendGrid(t.Context(), invite.Place{Project: "default"}, raw, http.Header{}); !errors.Is(err, track.ErrForged) {
		t.Errorf("unsigned mail post: %v", err)
	}
	if err := w.SendGrid(t.Context(), invite.Place{Project: "other"}, raw, header); !errors.Is(err, track.ErrUnknown) {
		t.Errorf("mail post to another project: %v", err)
	}
	c := textPost(text, ta, "failed", "30005")
	c.Raw = bytes.Replace(c.Raw, []byte("30005"), []byte("30006"), 1)
	if err := w.Reports(t.Context(), c); !errors.Is(err, track.ErrForged) {
		t.Errorf("altered status: %v", err)
	}
	c = textPost(text, ta, "failed", "30005")
	c.RequestURI = strings.Replace(c.RequestURI, "/test/", "/live/", 1)
	if err := w.Reports(t.Context(), c); !errors.Is(err, track.ErrForged) {
		t.Errorf("status for another path: %v", err)
	}
	// Rightly signed, but the test mode's key speaks of a live invite.
	w.Exec(`UPDATE invites SET livemode = true`)
	w.takeMail(mailEvent(mail, ma, "bounce", "e2", time.Now(), nil))
	w.takeText(text, ta, "failed", "30005")
	for _, m := range []tracktest.Made{mail, text} {
		if d := w.delivery(m); d.Status != "sending" || d.Outcome != "open" {
			t.Errorf("delivery became %s, attempt %s", d.Status, d.Outcome)
		}
	}
	if n := w.Count(`SELECT count(*) FROM callbacks WHERE invite_id IS NULL`); n != 2 {
		t.Errorf("%d unmatched callbacks kept, want 2", n)
	}
}

func TestTextStatusesFold(t *testing.T) {
	t.Parallel()
	const sid = "SM0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		statuses [][2]string
		want     delivery
	}{
		"queued":                           {[][2]string{{"queued", ""}}, delivery{Status: "accepted", InviteStatus: invite.Active}},
		"sent":                             {[][2]string{{"sending", ""}, {"sent", ""}}, delivery{Status: "sent", InviteStatus: invite.Active}},
		"delivered before sent":            {[][2]string{{"delivered", ""}, {"sent", ""}, {"queued", ""}}, delivery{Status: "delivered", InviteStatus: invite.Active}},
		"unknown number":                   {[][2]string{{"sent", ""}, {"undelivered", "30005"}}, delivery{Status: "undelivered", Reason: "number_unknown", InviteStatus: invite.Failed}},
		"failed, then delivered after all": {[][2]string{{"undelivered", "30008"}, {"delivered", ""}}, delivery{Status: "delivered", InviteStatus: invite.Active}},
		"delivered, then a late failure":   {[][2]string{{"delivered", ""}, {"undelivered", "30008"}}, delivery{Status: "delivered", InviteStatus: invite.Active}},
		"read":                             {[][2]string{{"read", ""}}, delivery{Status: "delivered", InviteStatus: invite.Active}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.Invite(tracktest.Options{Channel: invite.SMS})
			attempt := w.Attempt(m, "twilio", "open")
			for _, s := range c.statuses {
				for range 2 {
					w.takeText(m, attempt, s[0], s[1])
				}
			}
			c.want.Outcome, c.want.Message = "accepted", sid
			if diff := cmp.Diff(c.want, w.delivery(m)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHostileCallbacksAreTakenWithoutHarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	attempt := w.Attempt(m, "sendgrid", "open")
	odd := "\x00\u202e'; DROP TABLE invites; --<script>"
	w.takeMail(
		mailEvent(m, attempt, "bounce", odd, time.Now(), map[string]any{
			"status": odd, "type": odd, "bounce_classification": odd, "reason": strings.Repeat(odd, 1000), "sg_message_id": odd, "category": []any{odd, nil, 1},
		}),
		mailEvent(m, attempt, odd, "", time.Unix(1<<40, 0), map[string]any{"timestamp": "soon"}),
		map[string]any{"event": nil, "sg_event_id": []any{}, "cl_invite": odd, "cl_attempt": odd, "sg_message_id": strings.Repeat(".", 400)},
		map[string]any{},
	)
	if d := w.delivery(m); d.Status != "bounced" {
		t.Errorf("delivery is %s", d.Status)
	}
	if err := w.Pipedream(t.Context(), m.Hook, success(m, "apn_1\x00/../../x")); err != nil {
		t.Errorf("an odd account id: %v", err)
	}
	if err := w.Pipedream(t.Context(), m.Hook, failure(m, odd)); err != nil {
		t.Errorf("odd words: %v", err)
	}
	c := textPost(m, attempt, "failed", "3000\x005")
	if err := w.Reports(t.Context(), c); err != nil {
		t.Errorf("an odd code: %v", err)
	}
}

// TestCallbacksInAnyOrderEndAlike is the promise of doc.go: callbacks in
// any order, any number of times, give the same final state.
func TestCallbacksInAnyOrderEndAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	mails := []string{"processed", "deferred", "delivered", "bounce", "spamreport", "open", "dropped"}
	texts := []string{"queued", "sent", "delivered", "undelivered", "failed"}
	user := 0
	rapid.Check(t, func(rt *rapid.T) {
		user++
		type post struct{ kind, name string }
		var in []post
		channel := rapid.SampledFrom([]invite.Channel{invite.Email, invite.SMS}).Draw(rt, "channel")
		names := mails
		if channel == invite.SMS {
			names = texts
		}
		for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, len(names), rapid.ID[string]).Draw(rt, "events") {
			in = append(in, post{"message", n})
		}
		if rapid.Bool().Draw(rt, "connects") {
			in = append(in, post{"pipedream", "connected"})
		}
		run := func(label string, order []post) delivery {
			u := fmt.Sprintf("user-%d-%s", user, label)
			m := w.Invite(tracktest.Options{Channel: channel, User: u})
			w.HandOut(m)
			account := fmt.Sprintf("apn_%d%s", user, label)
			w.Vendor.Connect(tracktest.Account{ID: account, User: u, App: "slack"})
			provider := map[invite.Channel]string{invite.Email: "sendgrid", invite.SMS: "twilio"}[channel]
			attempt := w.Attempt(m, provider, "open")
			for _, p := range order {
				switch {
				case p.kind == "pipedream":
					if err := w.Pipedream(t.Context(), m.Hook, success(m, account)); err != nil {
						rt.Fatal(err)
					}
				case channel == invite.SMS:
					// Each message has a SID of its own.
					id := attempt.UUID()
					if err := w.Reports(t.Context(), textPostAs(fmt.Sprintf("SM%x", id), m, attempt, p.name, "")); err != nil {
						rt.Fatal(err)
					}
				default:
					at := start.Add(time.Duration(slices.Index(mails, p.name)) * time.Second)
					w.takeMail(mailEvent(m, attempt, p.name, u+p.name, at, map[string]any{"reason": "550 no"}))
				}
			}
			d := w.delivery(m)
			d.Message = ""
			return d
		}
		want := run("a", in)
		shuffled := rapid.Permutation(append(slices.Clone(in), in...)).Draw(rt, "order")
		if diff := cmp.Diff(want, run("b", shuffled)); diff != "" {
			rt.Fatalf("in order %v, else %v:\n%s", in, shuffled, diff)
		}
	})
}

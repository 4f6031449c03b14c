package visit_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

// renew asks for a new link and demands the page.
func (w *world) renew(code secret.Text, want visit.State) {
	w.t.Helper()
	page, err := w.Renew(w.t.Context(), code)
	if err != nil || page.State != want {
		w.t.Errorf("asked for a new link: page %s, want %s, %v", page.State, want, err)
	}
}

func (w *world) expire(m tracktest.Made) {
	w.t.Helper()
	w.Exec(`UPDATE invites SET expires_at = now() - interval '1 second', gives_up_at = now() - interval '1 second' WHERE id = $1`, m.ID)
	w.Exec(`UPDATE deliveries SET status = 'delivered', next_at = NULL WHERE invite_id = $1`, m.ID)
}

// messages counts the messages of an invite.
func (w *world) messages(id invite.ID) int {
	w.t.Helper()
	return w.Count(`SELECT count(*) FROM deliveries WHERE invite_id = $1`, id)
}

// fresh is the code of the newest message.
func (w *world) fresh(id invite.ID) secret.Text {
	w.t.Helper()
	var row [16]byte
	var sealed []byte
	if err := w.Pool.QueryRow(w.t.Context(), `SELECT id, code FROM codes WHERE invite_id = $1 ORDER BY created_at DESC LIMIT 1`, id).Scan(&row, &sealed); err != nil {
		w.t.Fatal(err)
	}
	plain, err := w.Box.Open(sealed, seal.AD{Column: "codes.code", ID: row})
	if err != nil {
		w.t.Fatal(err)
	}
	return secret.New(string(plain))
}

func TestAnExpiredInviteIsRenewedByAMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.expire(m)
	page := w.open(m.Code)
	if page.State != visit.Expired || !page.CanRenew || page.Via != invite.Email {
		t.Fatalf("page %s, may renew %t, by %q", page.State, page.CanRenew, page.Via)
	}
	w.renew(m.Code, visit.Sent)
	got := w.Get(m.ID)
	if got.Status != invite.Pending || got.ExpiresAt != nil || got.GivesUpAt.Sub(got.Now) < 3*time.Hour || got.ResendCount != 0 {
		t.Errorf("invite is %s until %v, resent %d times", got.Status, got.ExpiresAt, got.ResendCount)
	}
	want := []invite.EventType{"created", "expired", "renewed", "delivery.queued"}
	if diff := cmp.Diff(want, w.Types(m.ID)); diff != "" {
		t.Error(diff)
	}
	if n := w.Count(`SELECT count(*) FROM deliveries WHERE invite_id = $1 AND kind = 'resend' AND channel = 'email' AND next_at <= now() AND lane = 'default/email/test'`, m.ID); n != 1 {
		t.Errorf("%d messages are queued", n)
	}
	if n := w.Vendor.Mints(); n != 0 {
		t.Error("the page waited for a mint")
	}
	// The old message's link stays out of use: to ask takes no more than it.
	if p := w.open(m.Code); p.State != visit.Replaced || p.ReplacedAt.IsZero() || !p.CanRenew {
		t.Errorf("the old link shows %s of %v", p.State, p.ReplacedAt)
	}
	if p := w.press(m.Code); !p.URL.IsZero() {
		t.Error("the old link handed out a connect link")
	}
	if p := w.press(w.fresh(m.ID)); p.URL.IsZero() {
		t.Errorf("the new link leads to page %s", p.Page.State)
	}
	if got := w.Get(m.ID); got.Status != invite.Active || got.ExpiresAt == nil {
		t.Errorf("invite is %s until %v", got.Status, got.ExpiresAt)
	}
}

func TestAResendByTheProductMakesOldLinksWorkAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{ValidFor: 24 * time.Hour})
	w.expire(m)
	w.renew(m.Code, visit.Sent)
	end := time.Now().Add(time.Hour)
	w.Append(m.ID, invite.Event{Type: invite.EventResent, Data: invite.Data{ExpiresAt: &end}})
	if p := w.open(m.Code); p.State != visit.Ready {
		t.Errorf("page %s", p.State)
	}
}

func TestValidForIsGrantedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{ValidFor: 7 * 24 * time.Hour})
	w.expire(m)
	w.renew(m.Code, visit.Sent)
	got := w.Get(m.ID)
	if got.ExpiresAt == nil || got.ExpiresAt.Sub(got.Now) < 7*24*time.Hour-time.Minute {
		t.Errorf("until %v", got.ExpiresAt)
	}
}

func TestRenewalsAreFewAndAnsweredAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	processes := []*visit.Service{w.Service, w.process()}
	for round := range 5 {
		w.expire(m)
		var all sync.WaitGroup
		for _, p := range processes {
			for range 4 {
				all.Go(func() {
					if page, err := p.Renew(t.Context(), m.Code); err != nil || page.State != visit.Sent {
						t.Errorf("page %s, %v", page.State, err)
					}
				})
			}
		}
		all.Wait()
		if got, want := w.messages(m.ID), 1+min(round+1, 3); got != want {
			t.Errorf("round %d: %d messages, want %d", round+1, got, want)
		}
		w.Exec(`UPDATE events SET created_at = created_at - interval '121 seconds' WHERE invite_id = $1`, m.ID)
	}
	w.Exec(`UPDATE events SET created_at = created_at - interval '1 day' WHERE invite_id = $1`, m.ID)
	w.expire(m)
	w.renew(m.Code, visit.Sent)
	if got := w.messages(m.ID); got != 5 {
		t.Errorf("the next day: %d messages, want 5", got)
	}
}

func TestWithinTwoMinutesNothingIsSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.expire(m)
	w.renew(m.Code, visit.Sent)
	w.expire(m) // the message has left
	w.Exec(`UPDATE events SET created_at = created_at - interval '119 seconds' WHERE invite_id = $1`, m.ID)
	w.renew(m.Code, visit.Sent)
	if got := w.messages(m.ID); got != 2 {
		t.Errorf("%d messages, want 2", got)
	}
}

func TestNothingIsSentToWhoWantsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := make(chan visit.Address, 1)
	suppressing := w.process(func(p *visit.Params) {
		p.Suppressions = suppressions{standing: func(tx pgx.Tx, a visit.Address) (bool, error) {
			asked <- a
			return true, tx.Conn().Ping(context.Background())
		}}
	})
	for name, prepare := range map[string]func(m tracktest.Made) *visit.Service{
		"on the list": func(tracktest.Made) *visit.Service { return suppressing },
		"opted out": func(m tracktest.Made) *visit.Service {
			w.Exec(`UPDATE deliveries SET status = 'rejected', reason = 'opted_out' WHERE invite_id = $1`, m.ID)
			return w.Service
		},
		"complained": func(m tracktest.Made) *visit.Service {
			w.Exec(`UPDATE deliveries SET status = 'complained' WHERE invite_id = $1`, m.ID)
			return w.Service
		},
	} {
		m := w.Invite(tracktest.Options{Channel: invite.SMS})
		w.expire(m)
		if page, err := prepare(m).Renew(t.Context(), m.Code); err != nil || page.State != visit.Sent {
			t.Errorf("%s: page %s, %v: the answer tells", name, page.State, err)
		}
		if n := w.messages(m.ID); n != 1 {
			t.Errorf("%s: %d messages", name, n)
		}
	}
	if a := <-asked; a.Channel != invite.SMS || a.To.Reveal() != "+12025550100" || a.Project != "default" {
		t.Errorf("asked for %v %s", a.Channel, a.Project)
	}
}

func TestWhichLinksMayBeRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		options tracktest.Options
		change  func(m tracktest.Made)
		want    visit.State
	}{
		"one that works":    {tracktest.Options{}, func(tracktest.Made) {}, visit.Ready},
		"revoked":           {tracktest.Options{}, func(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventRevoked}) }, visit.Revoked},
		"reported":          {tracktest.Options{}, func(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventReported}) }, visit.Revoked},
		"shown, never sent": {tracktest.Options{Channel: invite.LinkOnly}, w.expire, visit.Expired},
		"connected": {tracktest.Options{}, func(m tracktest.Made) {
			w.Append(m.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
		}, visit.Connected},
		"of an address since corrected": {tracktest.Options{}, func(m tracktest.Made) {
			w.expire(m)
			w.Exec(`UPDATE codes SET retired_at = now() WHERE invite_id = $1`, m.ID)
		}, visit.Revoked},
		"erased": {tracktest.Options{}, func(m tracktest.Made) {
			w.expire(m)
			w.Exec(`UPDATE invites SET content = NULL WHERE id = $1`, m.ID)
		}, visit.Unknown},
		"without our page in it": {tracktest.Options{}, func(m tracktest.Made) {
			w.expire(m)
			w.Exec(`UPDATE invites SET link_type = 'connect' WHERE id = $1`, m.ID)
		}, visit.Expired},
	} {
		m := w.Invite(c.options)
		c.change(m)
		before := w.messages(m.ID)
		w.renew(m.Code, c.want)
		if got := w.messages(m.ID); got != before {
			t.Errorf("%s: %d messages were sent", name, got-before)
		}
	}
	w.renew(access.NewCode(), visit.Unknown)
}

func TestAReplacedLinkRenewsTheNewest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	replaced := func(options tracktest.Options) (old, latest tracktest.Made) {
		old = w.Invite(tracktest.Options{})
		middle := w.Invite(tracktest.Options{})
		latest = w.Invite(options)
		w.Append(old.ID, invite.Event{Type: invite.EventReplaced, Data: invite.Data{ReplacedBy: middle.ID.String()}})
		w.Append(middle.ID, invite.Event{Type: invite.EventReplaced, Data: invite.Data{ReplacedBy: latest.ID.String()}})
		w.Exec(`UPDATE deliveries SET status = 'delivered', next_at = NULL WHERE invite_id = $1`, latest.ID)
		return old, latest
	}
	old, latest := replaced(tracktest.Options{})
	w.renew(old.Code, visit.Sent)
	if w.messages(latest.ID) != 2 || w.messages(old.ID) != 1 {
		t.Error("the newest invite was not sent again")
	}
	if p := w.press(w.fresh(latest.ID)); p.URL.IsZero() {
		t.Error("its new link does not work")
	}
	// An old link does not trigger a message to another person.
	old, latest = replaced(tracktest.Options{Content: &invite.Content{Recipient: invite.Recipient{Email: "kim@customer.example"}}})
	w.renew(old.Code, visit.Sent)
	if n := w.messages(latest.ID); n != 1 {
		t.Errorf("%d messages to somebody else", n-1)
	}
}

func TestWhoIsUnderWayFinishesInSpiteOfAFreshLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	w.expire(m)
	w.renew(m.Code, visit.Sent)
	page, err := w.Done(t.Context(), m.Code, visit.Succeeded)
	if err != nil || page.State != visit.Finishing {
		t.Errorf("back from Pipedream: page %s, %v", page.State, err)
	}
}

// Finding I: a new link opened on last week's failure, in red.
func TestRCIAFreshLinkAfterAFailureOpensOnReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	failed := func(o tracktest.Options) tracktest.Made {
		m := w.Invite(o)
		w.Append(m.ID, invite.Event{Type: invite.EventConnectFailed, Data: invite.Data{Outcome: "denied"}})
		if page := w.open(m.Code); page.State != visit.CouldNotConnect || page.FailedBefore {
			t.Fatalf("after the failure: page %s, of an earlier try %t", page.State, page.FailedBefore)
		}
		return m
	}
	fresh := func(m tracktest.Made) secret.Text {
		w.expire(m)
		w.renew(m.Code, visit.Sent)
		return w.fresh(m.ID)
	}
	check := func(name string, code secret.Text, want visit.State) {
		t.Helper()
		page := w.open(code)
		if page.State != want || page.FailedBefore != (want == visit.Ready) || page.Failure != "denied" {
			t.Errorf("%s: page %s, of an earlier try %t, failure %q", name, page.State, page.FailedBefore, page.Failure)
		}
	}
	renewed := failed(tracktest.Options{})
	code := fresh(renewed)
	check("renewed", code, visit.Ready)
	if got := w.press(code); got.URL.IsZero() {
		t.Error("the button of the new link leads nowhere")
	}
	w.Append(renewed.ID, invite.Event{Type: invite.EventConnectFailed, Data: invite.Data{Outcome: "denied"}})
	check("failed once more", code, visit.CouldNotConnect)

	// A resend keeps earlier links working: those begin afresh too.
	resent := failed(tracktest.Options{User: "user-2"})
	w.Append(resent.ID, invite.Event{Type: invite.EventResent, Data: invite.Data{HasLink: true}})
	check("resent", resent.Code, visit.Ready)

	// A code of its own, made later, as a reminder and a correction have it.
	later := failed(tracktest.Options{User: "user-3"})
	w.Exec(`UPDATE codes SET created_at = now() + interval '1 second' WHERE invite_id = $1`, later.ID)
	check("a link of its own", later.Code, visit.Ready)

	// Passcodes carry no link.
	asked := failed(tracktest.Options{User: "user-4"})
	w.Append(asked.ID, invite.Event{Type: invite.EventVerifyRequested})
	check("asked for a code", asked.Code, visit.CouldNotConnect)
}

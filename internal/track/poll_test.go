package track_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

func (w *world) poll() int {
	w.t.Helper()
	n, err := w.Poll(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// due makes every planned poll due now.
func (w *world) due() { w.Exec(`UPDATE invites SET poll_at = now() WHERE poll_at IS NOT NULL`) }

func TestPollFindsAnAccountNobodyTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	untouched := w.Invite(tracktest.Options{User: "user-2"})
	w.HandOut(m)
	if n := w.poll(); n != 0 {
		t.Errorf("polled %d invites before any was due", n)
	}
	w.due()
	w.Vendor.Connect(
		tracktest.Account{ID: "apn_old", User: "user-1", App: "slack", CreatedAt: time.Now().Add(-time.Minute), UpdatedAt: time.Now().Add(time.Minute)},
		tracktest.Account{ID: "apn_app", User: "user-1", App: "github"},
		tracktest.Account{ID: "apn_new", User: "user-1", App: "slack"},
		tracktest.Account{ID: "apn_else", User: "user-2", App: "slack"},
	)
	if n := w.poll(); n != 1 {
		t.Errorf("polled %d invites", n)
	}
	got := w.Get(m.ID)
	if got.Status != invite.Connected || got.AccountID != "apn_new" {
		t.Errorf("invite is %s with account %q", got.Status, got.AccountID)
	}
	events := w.Events(m.ID)
	if last := events[len(events)-1]; last.Type != invite.EventConnected || last.Data.Source != "poll" {
		t.Errorf("last event %s from %q", last.Type, last.Data.Source)
	}
	if got := w.Get(untouched.ID); got.Status != invite.Active {
		t.Errorf("an invite whose link was never handed out is %s", got.Status)
	}
	w.due()
	if n := w.poll(); n != 0 {
		t.Errorf("a connected invite is polled %d times", n)
	}
}

func TestPollsAreSpacedAndEndTenMinutesAfterTheLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	var got []int
	for range 5 {
		w.due()
		w.poll()
		got = append(got, w.Count(`SELECT round(extract(epoch FROM poll_at - now()))::int FROM invites`))
	}
	for i, want := range []int{60, 120, 300, 900, 900} {
		if d := got[i] - want; d > 2 || d < -2 {
			t.Errorf("poll %d plans the next one %d seconds later, want %d", i+1, got[i], want)
		}
	}
	// Near the end the last look is at the end plus ten minutes, and then no more.
	w.Exec(`UPDATE invites SET poll_until = now() + interval '2 minutes'`)
	w.due()
	w.poll()
	if n := w.Count(`SELECT count(*) FROM invites WHERE poll_at = poll_until`); n != 1 {
		t.Error("the last poll is not at the end")
	}
	w.Exec(`UPDATE invites SET poll_until = now(), poll_at = now()`)
	w.poll()
	if n := w.Count(`SELECT count(*) FROM invites WHERE poll_at IS NOT NULL`); n != 0 {
		t.Error("polled beyond the end")
	}
}

func TestPollAfterTheInviteEndedStillFindsTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expired, revoked := w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{User: "user-2"})
	w.HandOut(expired)
	w.HandOut(revoked)
	w.Append(expired.ID, invite.Event{Type: invite.EventExpired})
	w.Append(revoked.ID, invite.Event{Type: invite.EventRevoked})
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "user-1", App: "slack"}, tracktest.Account{ID: "apn_2", User: "user-2", App: "slack"})
	w.due()
	w.poll()
	if got := w.Get(expired.ID); got.Status != invite.Connected {
		t.Errorf("the expired one is %s", got.Status)
	}
	if got := w.Get(revoked.ID); got.Status != invite.Revoked || got.AccountID != "apn_2" || !slices.Contains(w.Types(revoked.ID), invite.EventConnectedLate) {
		t.Errorf("the revoked one is %s with %q: %v", got.Status, got.AccountID, w.Types(revoked.ID))
	}
}

func TestLastContinuedInviteGetsTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b, c := w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{})
	never := w.Invite(tracktest.Options{})
	for _, m := range []tracktest.Made{b, a, c} { // c is last …
		w.HandOut(m)
	}
	w.Exec(`UPDATE invites SET first_handed_out_at = first_handed_out_at + interval '1 hour', last_handed_out_at = last_handed_out_at + interval '1 hour' WHERE id = $1`, c.ID) // … but after the account
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "user-1", App: "slack"})
	for range 3 { // in any order of polls, and any number
		w.due()
		w.poll()
	}
	for m, want := range map[tracktest.Made]invite.Status{a: invite.Connected, b: invite.Active, c: invite.Active, never: invite.Active} {
		if got := w.Get(m.ID); got.Status != want {
			t.Errorf("%s is %s, want %s", m.ID, got.Status, want)
		}
	}
	events := w.Events(b.ID)
	if last := events[len(events)-1]; last.Type != invite.EventAlreadyConnected || last.Data.OtherInvite != a.ID.String() {
		t.Errorf("the other open invite's last event: %s, %q", last.Type, last.Data.OtherInvite)
	}
	if n := w.Count(`SELECT count(*) FROM events WHERE type = 'already_connected'`); n != 1 {
		t.Errorf("%d events already_connected, want 1", n)
	}
}

func TestWebhookDecidesBetweenTwoOpenInvites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{})
	w.HandOut(a)
	w.HandOut(b)
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "user-1", App: "slack"})
	if err := w.Pipedream(t.Context(), a.Hook, success(a, "apn_1")); err != nil {
		t.Fatal(err)
	}
	w.due()
	w.poll()
	if got := w.Get(a.ID); got.AccountID != "apn_1" {
		t.Error("the token's own invite did not get the account")
	}
	if got := w.Get(b.ID); got.AccountID != "" || got.Status != invite.Active {
		t.Errorf("the other invite is %s with %q", got.Status, got.AccountID)
	}
	if n := w.Count(`SELECT count(*) FROM events WHERE type = 'already_connected' AND invite_id = $1`, b.ID); n != 1 {
		t.Errorf("%d events already_connected, want 1", n)
	}
}

func TestProcessesThatPollTogetherLookOnceAndConnectOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const invites = 30
	for i := range invites {
		user := fmt.Sprintf("user-%d", i)
		m := w.Invite(tracktest.Options{User: user})
		w.HandOut(m)
		w.Vendor.Connect(tracktest.Account{ID: fmt.Sprintf("apn_%d", i), User: user, App: "slack"})
	}
	w.due()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := w.Poll(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := w.Vendor.Lists(); n != invites {
		t.Errorf("%d looks for %d invites", n, invites)
	}
	if n := w.Count(`SELECT count(*) FROM events WHERE type = 'connected'`); n != invites {
		t.Errorf("%d connections, want %d", n, invites)
	}
}

func TestPollKeepsToItsBudget(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, func(p *track.Params) {
		p.Budget = limit.New(limit.Per(5, time.Second), 5, func() time.Time { return now })
	})
	for i := range 12 {
		w.HandOut(w.Invite(tracktest.Options{User: fmt.Sprintf("user-%d", i)}))
	}
	w.due()
	if n := w.poll(); n != 5 {
		t.Errorf("polled %d, want 5", n)
	}
	if n := w.Count(`SELECT count(*) FROM invites WHERE poll_count = 0 AND poll_at BETWEEN now() AND now() + interval '5 seconds'`); n != 7 {
		t.Errorf("%d wait for the budget, want 7", n)
	}
}

func TestOutageLosesNoPoll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	w.due()
	w.Vendor.Answer(http.StatusBadGateway, "")
	w.poll()
	if n := w.Count(`SELECT count(*) FROM invites WHERE poll_count = 0 AND poll_at <= now() + interval '1 minute'`); n != 1 {
		t.Error("a poll that failed counts as one, or is put off for long")
	}
}

func TestConfirmSharesOneLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	linkless := w.Invite(tracktest.Options{NoLink: true, User: "user-2"})
	if ok, err := w.Confirm(t.Context(), linkless.ID); ok || err != nil || w.Vendor.Lists() != 0 {
		t.Errorf("before any link: %t, %v, %d looks", ok, err, w.Vendor.Lists())
	}
	m := w.Invite(tracktest.Options{}) // its link was given out by the API, not by a press
	if ok, err := w.Confirm(t.Context(), m.ID); ok || err != nil {
		t.Errorf("before the account: %t, %v", ok, err)
	}
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "user-1", App: "slack"})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if ok, err := w.Confirm(ctx, m.ID); !ok || err != nil {
				t.Errorf("after the account: %t, %v", ok, err)
			}
		})
	}
	all.Wait()
	if n := w.Count(`SELECT count(*) FROM events WHERE type = 'connected'`); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestReloadingAPageDoesNotEatTheBudget(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, func(p *track.Params) { p.Now = func() time.Time { return now } })
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	for range 50 {
		if ok, err := w.Confirm(t.Context(), m.ID); ok || err != nil {
			t.Fatalf("%t, %v", ok, err)
		}
	}
	if n := w.Vendor.Lists(); n > 5 {
		t.Errorf("%d looks", n)
	}
}

func TestExpireEndsWhatIsOverdueAndWipes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	over, failed, pending, alive := w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{NoLink: true}), w.Invite(tracktest.Options{})
	connected := w.Invite(tracktest.Options{})
	w.Append(connected.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	w.Exec(`UPDATE invites SET status = 'failed' WHERE id = $1`, failed.ID)
	w.Exec(`UPDATE invites SET gives_up_at = now() WHERE id <> $1`, alive.ID)
	n, err := w.Expire(t.Context())
	if err != nil || n != 3 {
		t.Fatalf("ended %d, %v; want 3", n, err)
	}
	want := map[invite.ID]invite.Status{over.ID: invite.Expired, failed.ID: invite.Failed, pending.ID: invite.Expired, alive.ID: invite.Active, connected.ID: invite.Connected}
	for id, s := range want {
		if got := w.Get(id); got.Status != s {
			t.Errorf("%s is %s, want %s", id, got.Status, s)
		}
		secrets := w.Count(`SELECT count(*) FROM connect_links WHERE invite_id = $1 AND url IS NOT NULL`, id) + w.Count(`SELECT count(*) FROM codes WHERE invite_id = $1 AND code IS NOT NULL`, id)
		if (secrets > 0) != (id == alive.ID) {
			t.Errorf("%s (%s) holds %d secrets", id, s, secrets)
		}
	}
	if diff := cmp.Diff([]invite.EventType{"created"}, w.Types(failed.ID)); diff != "" {
		t.Error("failed and over:", diff)
	}
	if n := w.published(invite.EffectPublishExpired); n != 2 {
		t.Errorf("published %d, want 2", n)
	}
	if n, err := w.Expire(t.Context()); n != 0 || err != nil {
		t.Errorf("a second round ended %d, %v", n, err)
	}
}

func TestExpireGoesOnThroughBatchesAndAroundLocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var held tracktest.Made
	for i := range 130 {
		m := w.Invite(tracktest.Options{User: fmt.Sprint(i)})
		if i == 40 {
			held = m
		}
	}
	w.Exec(`UPDATE invites SET gives_up_at = now()`)
	tx, err := w.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM invites WHERE id = $1 FOR UPDATE`, held.ID); err != nil {
		t.Fatal(err)
	}
	total := 0
	for range 3 { // a locked row makes a batch smaller, which ends a round
		n, err := w.Expire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if total != 129 {
		t.Errorf("ended %d of 130 with one locked", total)
	}
	_ = tx.Rollback(t.Context())
	if n, err := w.Expire(t.Context()); n != 1 || err != nil {
		t.Errorf("ended %d afterwards, %v", n, err)
	}
}

func TestOldRecordsGoAndYoungOnesStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Exec(`INSERT INTO callbacks (id, provider, received_at, body) SELECT gen_random_uuid(), 'twilio', now() - interval '1 day' * d, 'x' FROM unnest(ARRAY[1, 29, 31, 400]) d`)
	w.Exec(`INSERT INTO callbacks (id, provider, received_at, body) SELECT gen_random_uuid(), 'twilio', now() - interval '40 days', 'x' FROM generate_series(1, 2500)`)
	w.Exec(`INSERT INTO seen (source, key, seen_at) SELECT 'twilio', d::text::bytea, now() - interval '1 day' * d FROM unnest(ARRAY[1, 7, 9]) d`)
	w.Exec(`INSERT INTO idempotency (key_id, route, key_hash, body_mac, invite_id, status, created_at)
		SELECT gen_random_uuid(), 'r', 'x', 'x', gen_random_uuid(), 201, now() - interval '1 hour' * h FROM unnest(ARRAY[1, 25, 49]) h`)
	if err := w.ReleaseOld(t.Context()); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"callbacks": 2, "seen": 2, "idempotency": 2} {
		if n := w.Count(`SELECT count(*) FROM ` + table); n != want {
			t.Errorf("%d rows of %s are left, want %d", n, table, want)
		}
	}
}

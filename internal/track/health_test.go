package track_test

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// watching is a world whose project watches its connections.
func watching(t *testing.T) *world {
	t.Helper()
	return newWorld(t, func(p *track.Params) { p.Watched = []invite.Place{{Project: "default"}} })
}

// connected is an invite that connected an account, as an earlier version recorded it.
func (w *world) connected(user, account string) tracktest.Made {
	w.t.Helper()
	hour := time.Now().Add(-time.Hour)
	w.Vendor.Connect(tracktest.Account{ID: account, Name: "Acme", User: user, App: "slack", CreatedAt: hour})
	m := w.Invite(tracktest.Options{User: user, Hashed: true})
	w.HandOut(m)
	w.Append(m.ID, invite.Event{Type: invite.EventConnected, At: hour, Data: invite.Data{AccountID: account}})
	return m
}

// watch makes every account due and the budget full, and runs the watch.
func (w *world) watch() int {
	w.t.Helper()
	if _, err := ledger.Enrol(w.t.Context(), w.Pool, invite.Place{Project: "default"}, 1000, time.Hour); err != nil {
		w.t.Fatal(err)
	}
	w.Exec(`UPDATE connections SET next_at = now()`)
	w.Exec(`DELETE FROM pipedream_budgets`)
	n, err := w.WatchConnections(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) health(m tracktest.Made) resource.Health {
	w.t.Helper()
	r, err := resource.Present(w.Box, w.Get(m.ID), resource.Links{})
	if err != nil || r.Connection == nil || r.Unreadable {
		w.t.Fatalf("connection %v, unreadable %t, %v", r.Connection, r.Unreadable, err)
	}
	return r.Connection.Health
}

func TestAChangeOfHealthIsToldOnce(t *testing.T) {
	t.Parallel()
	w := watching(t)
	m := w.connected("user-1", "apn_1")
	if h := w.health(m); h.Status != invite.HealthUnknown || h.CheckedAt != nil {
		t.Errorf("before the first check: %+v", h)
	}
	step := func(name string, change func(*tracktest.Account), want invite.Health, reason invite.HealthReason, unhealthy, recovered int) {
		t.Helper()
		w.Vendor.Change("apn_1", change)
		for range 3 {
			w.watch()
		}
		h := w.health(m)
		if h.Status != want || h.CheckedAt == nil || (h.Reason != nil) != (reason != "") || h.Reason != nil && *h.Reason != reason {
			t.Errorf("%s: %+v", name, h)
		}
		if u, r := w.published(invite.EffectPublishUnhealthy), w.published(invite.EffectPublishRecovered); u != unhealthy || r != recovered {
			t.Errorf("%s: %d and %d events", name, u, r)
		}
	}
	step("healthy", func(*tracktest.Account) {}, invite.Healthy, "", 0, 0)
	step("unhealthy", func(a *tracktest.Account) { a.Unhealthy, a.Error = true, "invalid_grant" }, invite.Unhealthy, invite.AccountUnhealthy, 1, 0)
	if h := w.health(m); h.Error == nil || *h.Error != "invalid_grant" || h.Since == nil {
		t.Errorf("%+v", h)
	}
	step("healthy again", func(a *tracktest.Account) { a.Unhealthy, a.Error = false, "" }, invite.Healthy, "", 1, 1)
	step("dead", func(a *tracktest.Account) { a.Dead = true }, invite.Unhealthy, invite.AccountDead, 2, 1)
	w.Vendor.Delete("apn_1")
	step("deleted", func(*tracktest.Account) {}, invite.Unhealthy, invite.AccountDeleted, 3, 1)
	if got := w.Get(m.ID); got.Status != invite.Connected {
		t.Errorf("the invite is %s", got.Status)
	}
	events := w.Events(m.ID)
	if last := events[len(events)-1]; last.Type != invite.EventConnectionUnhealthy || last.Data.Outcome != "account_deleted" || last.Data.AccountID != "apn_1" {
		t.Errorf("last event %s %+v", last.Type, last.Data)
	}
}

// A failure of Pipedream never makes an account unhealthy.
func TestAnOutageMarksNoAccountUnhealthy(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 404, 408, 429, 500, 503} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			w := watching(t)
			m := w.connected("user-1", "apn_1")
			w.watch()
			w.Vendor.Answer(status, "")
			w.watch()
			if h := w.health(m); h.Status != invite.Healthy {
				t.Errorf("%d made it %s", status, h.Status)
			}
			if n := w.published(invite.EffectPublishUnhealthy); n != 0 {
				t.Errorf("%d events", n)
			}
			w.Exec(`DELETE FROM pipedream_budgets`)
			err := w.CheckConnection(t.Context(), invite.Place{Project: "default"}, m.ID)
			if invite.CodeOf(err) != invite.CodeUnavailable {
				t.Errorf("a check on request: %v", err)
			}
		})
	}
}

// A body of another program, or an account of which nothing is said, tells nothing.
func TestAnUnreadableAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"no JSON": `<html>`, "no account": `{}`, "another account": `{"id":"apn_2","external_id":"user-1","healthy":false}`,
		"another user's": `{"id":"apn_1","external_id":"user-2","healthy":false}`, "nothing about health": `{"id":"apn_1","external_id":"user-1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watching(t)
			m := w.connected("user-1", "apn_1")
			w.watch()
			w.Vendor.AnswerAccount(raw)
			w.watch()
			if h := w.health(m); h.Status != invite.Healthy {
				t.Errorf("it is %s", h.Status)
			}
		})
	}
}

// TestTwoProcessesTellOfAChangeOnce although both read the unhealthy account.
func TestTwoProcessesTellOfAChangeOnce(t *testing.T) {
	t.Parallel()
	w := watching(t)
	m := w.connected("user-1", "apn_1")
	w.watch()
	w.Vendor.Change("apn_1", func(a *tracktest.Account) { a.Unhealthy = true })
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			w.Exec(`UPDATE connections SET next_at = now()`)
			if _, err := w.WatchConnections(t.Context()); err != nil {
				t.Error(err)
			}
			if err := w.CheckConnection(t.Context(), invite.Place{Project: "default"}, m.ID); err != nil && invite.CodeOf(err) != invite.CodeRateLimited {
				t.Error(err)
			}
		})
	}
	g.Wait()
	if n := w.published(invite.EffectPublishUnhealthy); n != 1 {
		t.Errorf("%d events", n)
	}
}

// TestReconnectingRecovers the account: the invite that had it tells, and the new one
// is watched from then on.
func TestReconnectingRecovers(t *testing.T) {
	t.Parallel()
	w := watching(t)
	first := w.connected("user-1", "apn_1")
	w.Vendor.Change("apn_1", func(a *tracktest.Account) { a.Unhealthy = true })
	w.watch()
	again := w.Invite(tracktest.Options{Reconnect: "apn_1", Of: first.ID, Hashed: true})
	w.HandOut(again)
	w.Vendor.Change("apn_1", func(a *tracktest.Account) { a.Unhealthy, a.UpdatedAt = false, time.Now().Add(time.Second) })
	if ok, err := w.Confirm(t.Context(), again.ID); !ok || err != nil {
		t.Fatalf("confirm: %t, %v", ok, err)
	}
	if !slices.Contains(w.Types(first.ID), invite.EventConnectionRecovered) || w.published(invite.EffectPublishRecovered) != 1 {
		t.Errorf("events of the first invite: %v", w.Types(first.ID))
	}
	w.Vendor.Change("apn_1", func(a *tracktest.Account) { a.Unhealthy = true })
	w.watch()
	if !slices.Contains(w.Types(again.ID), invite.EventConnectionUnhealthy) || w.published(invite.EffectPublishUnhealthy) != 2 {
		t.Errorf("events of the second invite: %v", w.Types(again.ID))
	}
	for _, m := range []tracktest.Made{first, again} {
		if h := w.health(m); h.Status != invite.Unhealthy {
			t.Errorf("one account, and it is %s", h.Status)
		}
	}
}

// TestChecksAreSpreadAndShareOneBudget over all processes and projects of one client at
// Pipedream; what the budget does not reach stays due.
func TestChecksAreSpreadAndShareOneBudget(t *testing.T) {
	t.Parallel()
	w := watching(t)
	const accounts = 40
	for i := range accounts {
		w.connected("user-"+string(rune('a'+i%26))+string(rune('a'+i/26)), "apn_"+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	n, err := w.WatchConnections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n > 3 {
		t.Errorf("%d of %d accounts are checked at once", n, accounts)
	}
	if got := w.Count(`SELECT count(*) FROM connections WHERE next_at < now() + interval '12 hours'`); got < accounts/5 || got > accounts*4/5 {
		t.Errorf("%d of %d accounts are due in the first half of the day", got, accounts)
	}
	w.Exec(`UPDATE connections SET next_at = now()`)
	w.Exec(`DELETE FROM pipedream_budgets`)
	var g sync.WaitGroup
	var mu sync.Mutex
	checked := 0
	for range 4 {
		g.Go(func() {
			n, err := w.WatchConnections(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			checked += n
		})
	}
	g.Wait()
	if checked < 15 || checked > 25 { // 15 at once, and one more each second
		t.Errorf("%d accounts were checked at once", checked)
	}
	if due := w.Count(`SELECT count(*) FROM connections WHERE checked_at IS NULL AND next_at < now() + interval '1 minute'`); due+checked < accounts {
		t.Errorf("%d are still due, %d were checked", due, checked)
	}
}

// TestAPauseThatPipedreamAsksForHoldsForAllProcesses and for checks on request.
func TestAPauseThatPipedreamAsksForHoldsForAllProcesses(t *testing.T) {
	t.Parallel()
	w := watching(t)
	m := w.connected("user-1", "apn_1")
	w.watch()
	w.Vendor.Answer(http.StatusTooManyRequests, "120")
	w.watch()
	w.Vendor.Answer(0, "")
	err := w.CheckConnection(t.Context(), invite.Place{Project: "default"}, m.ID)
	var refused *invite.Error
	if !errors.As(err, &refused) || refused.Code != invite.CodeRateLimited || refused.RetryAfterS < 100 || refused.RetryAfterS > 125 {
		t.Errorf("a check on request: %v", err)
	}
}

// TestErasedAndOpenInvitesAreNotChecked: there is no person, or no account.
func TestErasedAndOpenInvitesAreNotChecked(t *testing.T) {
	t.Parallel()
	w := watching(t)
	m := w.connected("user-1", "apn_1")
	open := w.Invite(tracktest.Options{User: "user-2"})
	w.watch()
	w.Exec(`UPDATE invites SET erased_at = now() WHERE id = $1`, m.ID)
	for _, id := range []invite.ID{m.ID, open.ID} {
		if err := w.CheckConnection(t.Context(), invite.Place{Project: "default"}, id); invite.CodeOf(err) != invite.CodeNotConnected {
			t.Errorf("%v", err)
		}
	}
	w.Vendor.Change("apn_1", func(a *tracktest.Account) { a.Unhealthy = true })
	w.watch()
	if n := w.published(invite.EffectPublishUnhealthy); n != 0 {
		t.Errorf("%d events of an erased invite", n)
	}
	if err := w.CheckConnection(t.Context(), invite.Place{Project: "other"}, open.ID); invite.CodeOf(err) != invite.CodeNotConnected {
		t.Errorf("another project's: %v", err)
	}
}

// TestARefusalPausesNoOther: it is of one project's configuration, and others with the
// same client go on. The account is due again hours later.
func TestARefusalPausesNoOther(t *testing.T) {
	t.Parallel()
	w := watching(t)
	refused := w.connected("user-1", "apn_1")
	w.watch()
	w.Vendor.Answer(http.StatusForbidden, "")
	w.watch()
	w.Vendor.Answer(0, "")
	if n := w.Count(`SELECT count(*) FROM connections WHERE next_at > now() + interval '5 hours' AND invite_id = $1`, refused.ID); n != 1 {
		t.Error("it is asked for again soon")
	}
	if err := w.CheckConnection(t.Context(), invite.Place{Project: "default"}, refused.ID); err != nil {
		t.Errorf("a check after the refusal: %v", err)
	}
}

package track_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// reconnecting is an invite that connected apn_1 an hour ago, and one that asks to
// connect it again, whose link is handed out.
func (w *world) reconnecting() (first, again tracktest.Made) {
	w.t.Helper()
	hour := time.Now().Add(-time.Hour)
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", Name: "Acme", User: "user-1", App: "slack", CreatedAt: hour})
	first = w.Invite(tracktest.Options{})
	w.HandOut(first)
	w.Append(first.ID, invite.Event{Type: invite.EventConnected, At: hour, Data: invite.Data{AccountID: "apn_1"}})
	again = w.Invite(tracktest.Options{Reconnect: "apn_1", Of: first.ID})
	w.HandOut(again)
	return first, again
}

func TestAnOldConnectionIsNoReconnection(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tracktest.Account){
		"it never changed":            func(*tracktest.Account) {},
		"it changed and is unhealthy": func(a *tracktest.Account) { a.Unhealthy, a.UpdatedAt = true, time.Now().Add(time.Second) },
		"it changed and is dead":      func(a *tracktest.Account) { a.Dead, a.UpdatedAt = true, time.Now().Add(time.Second) },
		"it is another user's":        func(a *tracktest.Account) { a.User, a.UpdatedAt = "user-2", time.Now().Add(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, again := w.reconnecting()
			w.Vendor.Change("apn_1", change)
			w.due()
			w.poll()
			if got := w.Get(again.ID); got.Status != invite.Active || got.AccountID != "" {
				t.Errorf("a poll made it %s with account %q", got.Status, got.AccountID)
			}
		})
	}
}

func TestAChangedHealthyAccountConnectsTheInviteThatAskedForIt(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"poll", "page", "webhook"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first, again := w.reconnecting()
			changed := time.Now().Add(time.Second).Truncate(time.Millisecond)
			w.Vendor.Change("apn_1", func(a *tracktest.Account) { a.UpdatedAt = changed })
			switch way {
			case "poll":
				w.due()
				w.poll()
			case "page":
				if ok, err := w.Confirm(t.Context(), again.ID); !ok || err != nil {
					t.Errorf("confirm: %t, %v", ok, err)
				}
			case "webhook":
				if err := w.Pipedream(t.Context(), again.Hook, success(again, "apn_1")); err != nil {
					t.Fatal(err)
				}
			}
			got := w.Get(again.ID)
			if got.Status != invite.Connected || got.AccountID != "apn_1" || got.ConnectedAt == nil || got.ConnectedAt.Before(got.CreatedAt) {
				t.Errorf("it is %s with account %q since %v", got.Status, got.AccountID, got.ConnectedAt)
			}
			if old := w.Get(first.ID); old.Status != invite.Connected || old.AccountID != "apn_1" {
				t.Errorf("the first invite is %s with account %q", old.Status, old.AccountID)
			}
			if n := w.published(invite.EffectPublishConnected); n != 1 {
				t.Errorf("connected is published %d times", n)
			}
		})
	}
}

// Pipedream tells of the success before the account is healthy again: the job tries
// again until it is.
func TestASuccessOfAnAccountThatIsStillUnhealthyIsCheckedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, again := w.reconnecting()
	w.Vendor.Change("apn_1", func(a *tracktest.Account) { a.Unhealthy, a.UpdatedAt = true, time.Now().Add(time.Second) })
	check := track.Check{InviteID: again.ID, AccountID: "apn_1"}
	if err := w.Settle(t.Context(), check); !errors.Is(err, track.ErrLater) {
		t.Fatalf("settle: %v, want ErrLater", err)
	}
	w.Vendor.Change("apn_1", func(a *tracktest.Account) { a.Unhealthy = false })
	if err := w.Settle(t.Context(), check); err != nil {
		t.Fatal(err)
	}
	if got := w.Get(again.ID); got.Status != invite.Connected {
		t.Errorf("it is %s", got.Status)
	}
}

// One reconnection is one invite's: the other open one is told, and stays open.
func TestOneChangeConnectsOneInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, again := w.reconnecting()
	other := w.Invite(tracktest.Options{Reconnect: "apn_1", Of: first.ID})
	w.HandOut(other)
	w.Vendor.Change("apn_1", func(a *tracktest.Account) { a.UpdatedAt = time.Now().Add(time.Second).Truncate(time.Millisecond) })
	for range 3 {
		w.due()
		w.poll()
	}
	connected := 0
	for _, m := range []tracktest.Made{again, other} {
		switch got := w.Get(m.ID); {
		case got.Status == invite.Connected:
			connected++
		case !slices.Contains(w.Types(m.ID), invite.EventAlreadyConnected):
			t.Errorf("%s: events %v", got.Status, w.Types(m.ID))
		}
	}
	if connected != 1 {
		t.Errorf("%d invites are connected", connected)
	}
}

// Where the old account is gone, or Pipedream makes a new one all the same, the new
// account is the connection.
func TestANewAccountConnectsAReconnectInviteToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, again := w.reconnecting()
	w.Vendor.Delete("apn_1")
	w.Vendor.Connect(tracktest.Account{ID: "apn_2", User: "user-1", App: "slack", CreatedAt: time.Now().Add(time.Second)})
	w.due()
	w.poll()
	if got := w.Get(again.ID); got.Status != invite.Connected || got.AccountID != "apn_2" {
		t.Errorf("it is %s with account %q", got.Status, got.AccountID)
	}
}

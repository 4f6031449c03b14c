package track_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// TestF09AnAccountIsFoundForASealedUser: by Pipedream's webhook and by polling,
// both of which compare Pipedream's external user with ours.
func TestF09AnAccountIsFoundForASealedUser(t *testing.T) {
	t.Parallel()
	for name, find := range map[string]func(w *world, m tracktest.Made) error{
		"webhook": func(w *world, m tracktest.Made) error { return w.Pipedream(t.Context(), m.Hook, success(m, "apn_1")) },
		"poll": func(w *world, _ tracktest.Made) error {
			w.Exec(`UPDATE invites SET poll_at = now()`)
			_, err := w.Poll(t.Context())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.Invite(tracktest.Options{User: "pat@customer.example", Sealed: true})
			w.HandOut(m)
			w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "pat@customer.example", App: "slack"})
			if err := find(w, m); err != nil {
				t.Fatal(err)
			}
			if got := w.Get(m.ID); got.Status != invite.Connected || got.AccountID != "apn_1" {
				t.Errorf("invite is %s with account %q", got.Status, got.AccountID)
			}
		})
	}
}

// TestF09OneAccountConnectsOneInviteOfAUserWhateverTheirKind: sealed, plain and
// of an earlier version, they are rivals; another person's is none, even if the
// person's id is the text of the placeholder.
func TestF09OneAccountConnectsOneInviteOfAUserWhateverTheirKind(t *testing.T) {
	t.Parallel()
	kinds := []tracktest.Options{{Sealed: true}, {Hashed: true}, {}}
	for i, kind := range kinds {
		t.Run([]string{"sealed", "plain", "of an earlier version"}[i], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			kind.User = "pat@customer.example"
			m := w.Invite(kind)
			w.HandOut(m)
			var rivals []tracktest.Made
			for _, o := range kinds {
				o.User = kind.User
				rivals = append(rivals, w.Invite(o))
				w.HandOut(rivals[len(rivals)-1])
			}
			sealed := w.Get(rivals[0].ID)
			others := []tracktest.Made{
				w.Invite(tracktest.Options{User: sealed.UserText}), w.Invite(tracktest.Options{User: sealed.UserText, Sealed: true}),
				w.Invite(tracktest.Options{User: "sam@customer.example", Sealed: true}),
			}
			for _, o := range others {
				w.HandOut(o)
			}
			w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: kind.User, App: "slack"})
			if err := w.Pipedream(t.Context(), m.Hook, success(m, "apn_1")); err != nil {
				t.Fatal(err)
			}
			if got := w.Get(m.ID); got.Status != invite.Connected {
				t.Errorf("the named invite is %s", got.Status)
			}
			for i, r := range rivals {
				if !slices.Contains(w.Types(r.ID), invite.EventAlreadyConnected) {
					t.Errorf("rival %d was not told: %v", i, w.Types(r.ID))
				}
			}
			for i, o := range others {
				if slices.Contains(w.Types(o.ID), invite.EventAlreadyConnected) {
					t.Errorf("the invite %d of another person was told", i)
				}
			}
		})
	}
}

// TestF06AUserThatCannotBeOpenedIsLookedForLater (reliability F6): the key may
// come back, and the invites beside it are polled.
func TestF06AUserThatCannotBeOpenedIsLookedForLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{User: "pat@customer.example", Sealed: true})
	good := w.Invite(tracktest.Options{User: "sam@customer.example", Sealed: true})
	w.HandOut(m)
	w.HandOut(good)
	w.Exec(`UPDATE invites SET sealed_user_id = substr(sealed_user_id, 1, 20) WHERE id = $1`, m.ID)
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "pat@customer.example", App: "slack"})
	w.Vendor.Connect(tracktest.Account{ID: "apn_2", User: "sam@customer.example", App: "slack"})
	for _, c := range []track.Check{{InviteID: m.ID, AccountID: "apn_1"}, {InviteID: m.ID}} {
		if err := w.Settle(t.Context(), c); !errors.Is(err, track.ErrLater) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	w.Exec(`UPDATE invites SET poll_at = now()`)
	if _, err := w.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.Get(good.ID); got.Status != invite.Connected {
		t.Errorf("the other invite is %s", got.Status)
	}
	if got := w.Get(m.ID); got.Status != invite.Active {
		t.Errorf("the invite is %s", got.Status)
	}
}

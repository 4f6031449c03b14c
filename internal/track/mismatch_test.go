package track_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// TestAnAccountOfAnotherMailboxIsToldAndStopsNothing: the timeline has the fact,
// and only the sealed name has the address.
func TestAnAccountOfAnotherMailboxIsToldAndStopsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		account string
		other   bool
	}{
		"somebody else's": {"kim@home.example", true},
		"their own":       {"Pat+crm@Customer.example", false},
		"a workspace's":   {"Acme", false},
		"without a name":  {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.Invite(tracktest.Options{}) // for pat@customer.example
			w.HandOut(m)
			w.Vendor.Connect(tracktest.Account{ID: "apn_1", Name: c.account, User: "user-1", App: "slack"})
			if err := w.Pipedream(t.Context(), m.Hook, success(m, "apn_1")); err != nil {
				t.Fatal(err)
			}
			inv := w.Get(m.ID)
			if inv.Status != invite.Connected || w.published(invite.EffectPublishConnected) != 1 {
				t.Fatalf("invite is %s", inv.Status)
			}
			r, err := resource.Present(w.Box, inv, resource.Links{})
			if err != nil || r.Connection.Mismatch != c.other {
				t.Errorf("mismatch %t, %v", r.Connection.Mismatch, err)
			}
			if got := slices.Contains(w.Types(m.ID), invite.EventConnectedAsOther); got != c.other {
				t.Errorf("on the timeline: %t", got)
			}
			for _, e := range w.Events(m.ID) {
				if data, err := json.Marshal(e.Data); err != nil || strings.Contains(string(data), "@") || e.Detail != nil {
					t.Errorf("event %s holds words or an address: %v", e.Type, err)
				}
			}
		})
	}
}

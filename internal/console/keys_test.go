package console_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
)

// TestF05TheKeyPageOffersToRevokeWhatTheKeyHasNotSent: with the box selected
// the unsent invites are revoked; without it the page shows their number.
func TestF05TheKeyPageOffersToRevokeWhatTheKeyHasNotSent(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	admin := w.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	for _, c := range []struct {
		form   url.Values
		says   string
		status string
	}{
		{nil, "Invites created with it that are still to be sent: 1", "active"},
		{url.Values{"cancel": {"1"}}, "Unsent invites revoked with it: 1", "revoked"},
	} {
		_, key, err := w.keys.Create(t.Context(), grant.NewKey{Place: invite.Place{Project: "default"}, Name: "backend", Environment: "development", Scopes: access.DefaultScopes()})
		if err != nil {
			t.Fatal(err)
		}
		mine, _ := w.invited("pat@customer.example")
		other, _ := w.invited("kim@customer.example")
		if _, err := w.db.Exec(t.Context(), `UPDATE invites SET created_by = $2 WHERE id = $1`, mine, key.ID); err != nil {
			t.Fatal(err)
		}
		page := "/console/default/test/keys"
		if !strings.Contains(admin.get(page).body, `name="cancel"`) {
			t.Error("the page does not offer it")
		}
		if a := admin.follow(admin.post(page+"/"+key.ID.String()+"/revoke", c.form)); !strings.Contains(a.body, "The key is revoked") || !strings.Contains(a.body, c.says) {
			t.Errorf("%v: %s", c.form, a.body)
		}
		for id, want := range map[invite.ID]string{mine: c.status, other: "active"} {
			var got string
			if err := w.db.QueryRow(t.Context(), `SELECT status FROM invites WHERE id = $1`, id).Scan(&got); err != nil || got != want {
				t.Errorf("%v: %s is %s (%v), want %s", c.form, id, got, err, want)
			}
		}
	}
}

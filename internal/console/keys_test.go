package console_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
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

func TestTheKeyPageReplacesAKeyAndNamesThoseThatEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	end := time.Now().Add(3 * 24 * time.Hour)
	old, key, err := s.keys.Create(t.Context(), grant.NewKey{
		Place: invite.Place{Project: "default"}, Name: "backend", Environment: "development", Scopes: access.DefaultScopes(), ExpiresAt: &end,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.keys.Authenticate(t.Context(), old, netip.MustParseAddr("203.0.113.9")); err != nil {
		t.Fatal(err)
	}
	const page = "/console/default/test/keys"
	if list := admin.get(page).body; !strings.Contains(list, "Expires soon") || !strings.Contains(list, "203.0.113.0/24") || strings.Contains(list, "203.0.113.9") {
		t.Error("the list lacks the end or the network of the last use, or has the whole address")
	}
	for _, path := range []string{"/console/default/test/home", "/console/default/test/system"} {
		if body := admin.get(path).body; !strings.Contains(body, "API keys that expire") || !strings.Contains(body, "within 3 days") {
			t.Errorf("%s does not name the key", path)
		}
	}
	made := admin.post(page+"/"+key.ID.String()+"/rotate", nil)
	text := regexp.MustCompile(`cl_test_[0-9A-Za-z]{43}`).FindString(made.body)
	if made.StatusCode != http.StatusCreated || text == "" || !strings.Contains(made.body, "24 more hours") {
		t.Fatalf("%d", made.StatusCode)
	}
	for name, k := range map[string]secret.Text{"the new key": secret.New(text), "the old key": old} {
		if _, err := s.keys.Authenticate(t.Context(), k, netip.Addr{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if strings.Contains(admin.get("/console/default/test/home").body, "API keys that expire") {
		t.Error("a key with a replacement is named")
	}
	if log := admin.get("/console/default/test/audit").body; !strings.Contains(log, "replaces "+key.ID.String()) {
		t.Error("the audit log does not tell of the replacement")
	}
	s.exec(`UPDATE api_keys SET expires_at = now() - interval '1 minute' WHERE id = $1`, key.ID)
	if a := admin.follow(admin.post(page+"/"+key.ID.String()+"/rotate", nil)); !strings.Contains(a.body, "does not work any more") {
		t.Errorf("an ended key: %d", a.StatusCode)
	}
}

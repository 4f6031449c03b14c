package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
)

// TestF06AnInviteWhoseUserCannotBeOpenedHasItsPages (reliability F6): the pages
// show what can be read and say what cannot, never the placeholder. A person
// without an id cannot be erased by it.
func TestF06AnInviteWhoseUserCannotBeOpenedHasItsPages(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	b := w.signedIn("pat", map[string]access.Role{"default": access.RoleAdmin})
	other, _ := w.invited("kim@customer.example")
	lost, _ := w.invited("pat@customer.example")
	const erasing = `/erase"`
	if a := b.get("/console/default/test/people/" + lost.String()); !strings.Contains(a.body, erasing) {
		t.Fatal("the person's page offers no erasure")
	}
	w.exec(`UPDATE invites SET external_user_id = 'sealed:canary', user_hash = '\x01', sealed_user_id = '\x01' WHERE id = $1`, lost)
	for _, page := range []string{"invites", "invites/" + lost.String(), "people/" + lost.String(), "search?q=customer.example"} {
		a := b.follow(b.get("/console/default/test/" + page))
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "No longer readable") || strings.Contains(a.body, "canary") {
			t.Errorf("%s: %d\n%s", page, a.StatusCode, a.body)
		}
		if !strings.Contains(a.body, "@customer.example") {
			t.Errorf("%s lacks what can be read", page)
		}
		if strings.Contains(a.body, erasing) {
			t.Errorf("%s offers an erasure", page)
		}
	}
	if a := b.get("/console/default/test/people/" + other.String()); a.StatusCode != http.StatusOK || !strings.Contains(a.body, erasing) {
		t.Errorf("the other person's page: %d", a.StatusCode)
	}
}

package linkpage_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// TestTheReturnPageBelievesNothing: what an address says of an outcome anybody
// can write, so nothing is confirmed, looked up or repeated.
func TestTheReturnPageBelievesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	s.HandOut(m)
	before := s.Count(`SELECT seq FROM invites WHERE id = $1`, m.ID)
	plain := s.do("GET", "/r/acme")
	if plain.StatusCode != http.StatusOK || !strings.Contains(plain.body, "Go back to the app") {
		t.Fatalf("%d", plain.StatusCode)
	}
	for _, path := range []string{
		"/r/acme?invite=" + m.ID.String() + "&status=connected", "/r/acme?invite=" + m.ID.String() + "&status=failed",
		"/r/?status=%3Cscript%3E", "/r/a/b/c%2f..%2f..?x=" + m.Code.Reveal(), "/r/%F0%9F%98%80",
	} {
		if a := s.do("GET", path); a.StatusCode != http.StatusOK || withoutNonce(a.body) != withoutNonce(plain.body) {
			t.Errorf("%s: %d, another page: %t", strings.SplitN(path, "?", 2)[0], a.StatusCode, withoutNonce(a.body) != withoutNonce(plain.body))
		}
	}
	if got := s.Get(m.ID); got.Status != invite.Active || s.Count(`SELECT seq FROM invites WHERE id = $1`, m.ID) != before {
		t.Errorf("coming back changed the invite: %s", got.Status)
	}
}

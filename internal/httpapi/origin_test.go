package httpapi_test

import (
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/secret"
)

// TestF17PagesOfHybridAppsMayCallTheClientEndpoints, from their own origins and
// those that the token's project lists; no other endpoint answers them.
func TestF17PagesOfHybridAppsMayCallTheClientEndpoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := func(key secret.Text) secret.Text {
		id := w.create(t, key, byLink)
		return secret.New(w.call(t, key, "POST", "/v1/invites/"+id+"/client_token", "").at(t, "token").(string))
	}
	mine, others := token(w.key), token(w.other)
	for _, origin := range []string{"capacitor://localhost", "ionic://localhost", "https://localhost", "https://app.acme.example"} {
		for _, path := range []string{"/v1/client/invite", "/v1/client/invite/open"} {
			r := w.call(t, secret.Text{}, "OPTIONS", path, "", "Origin: "+origin, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization,prefer,if-none-match")
			if r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != origin || r.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("preflight of %s from %s: %d %v", path, origin, r.status, r.header)
			}
			for _, want := range []string{"authorization", "prefer", "if-none-match"} {
				if !strings.Contains(strings.ToLower(r.header.Get("Access-Control-Allow-Headers")), want) {
					t.Errorf("preflight of %s: %s is not allowed", path, want)
				}
			}
		}
		r := w.call(t, mine, "GET", "/v1/client/invite", "", "Origin: "+origin)
		if r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(r.header.Get("Access-Control-Expose-Headers"), "ETag") ||
			!strings.Contains(strings.Join(r.header.Values("Vary"), ","), "Origin") {
			t.Errorf("read from %s: %d %v", origin, r.status, r.header)
		}
		if r := w.call(t, secret.New("clc_wrong"), "GET", "/v1/client/invite", "", "Origin: "+origin); r.status != 401 || r.header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("a page cannot read why it is refused: %d %v", r.status, r.header)
		}
		if r := w.call(t, w.key, "GET", "/v1/invites", "", "Origin: "+origin); r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("an API key is usable from %s", origin)
		}
	}
	for _, origin := range []string{"https://evil.example", "null", "http://localhost", "https://localhost.evil.example", "https://app.acme.example.evil.example", ""} {
		if r := w.call(t, secret.Text{}, "OPTIONS", "/v1/client/invite", "", "Origin: "+origin); r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("preflight from %q is allowed", origin)
		}
		if r := w.call(t, mine, "GET", "/v1/client/invite", "", "Origin: "+origin); r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q may read", origin)
		}
	}
	if r := w.call(t, others, "GET", "/v1/client/invite", "", "Origin: https://app.acme.example"); r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another project's origin may read: %d %v", r.status, r.header)
	}
}

package pipedream_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestCreateToken(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c := client(v, func(p *pipedream.Params) {
		p.Now = func() time.Time { return now }
		p.LinkHosts = []string{"pipedream.com"}
	})
	v.answers <- func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Mon, 23 Nov 2026 12:00:07 GMT")
		mint(w, r)
	}
	got, err := c.CreateToken(t.Context(), pipedream.CreateToken{
		ExternalUserID: "user-1", Scope: "connect:accounts:write", ExpiresIn: 600,
		SuccessRedirectURI: secret.New("https://go.brand.example/done/a?outcome=success"),
		ErrorRedirectURI:   secret.New("https://go.brand.example/done/a?outcome=error"),
		WebhookURI:         secret.New("https://go.brand.example/hooks/pipedream/abc"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Token.Reveal() != connectToken || got.ConnectLinkURL.Reveal() != connectLink ||
		!got.ExpiresAt.Equal(time.Date(2026, 11, 23, 16, 0, 0, 172e6, time.UTC)) ||
		!got.ServerDate.Equal(now.Add(7*time.Second)) || !got.ReceivedAt.Equal(now) {
		t.Errorf("%+v", got)
	}
	if _, err := c.CreateToken(t.Context(), anyone); err != nil {
		t.Fatal(err)
	}
	seen := v.Requests()
	if len(seen) != 3 || seen[0].Path != "/v1/oauth/token" {
		t.Fatalf("%d requests; the access token is fetched once", len(seen))
	}
	if d := cmp.Diff(`{"error_redirect_uri":"https://go.brand.example/done/a?outcome=error","expires_in":600,"external_user_id":"user-1",`+
		`"scope":"connect:accounts:write","success_redirect_uri":"https://go.brand.example/done/a?outcome=success","webhook_uri":"https://go.brand.example/hooks/pipedream/abc"}`,
		string(seen[1].Body)); d != "" {
		t.Errorf("body (-want +got):\n%s", d)
	}
	if got := string(seen[2].Body); got != `{"external_user_id":"user-1"}` || seen[2].Path != "/v1/connect/proj_abc123/tokens" {
		t.Errorf("%s %s: what is not asked for is left out", seen[2].Path, got)
	}
}

func TestCreateTokenJudgesTheAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token, link, expires string
		hosts                []string
		code                 string
		kind                 pipedream.Kind
	}{
		"of another form":         {"tok-of-tomorrow", "https://connect.pipedream.com/x", "2026-11-23T16:00:00Z", nil, "", ""},
		"on a pinned host":        {"t", "https://eu.partner.example/x", "2026-11-23T16:00:00Z", []string{"pipedream.com", ".partner.example"}, "", ""},
		"on the sandbox":          {"t", "http://127.0.0.1:8080/x", "2026-11-23T16:00:00Z", nil, "", ""},
		"on localhost":            {"t", "http://localhost:8080/x", "2026-11-23T16:00:00Z", nil, "", ""},
		"in the clear":            {"t", "http://pipedream.com/x", "2026-11-23T16:00:00Z", nil, "link_not_https", pipedream.Lasting},
		"a script":                {"t", "javascript://pipedream.com/%0aalert(1)", "2026-11-23T16:00:00Z", nil, "link_not_https", pipedream.Lasting},
		"with a user":             {"t", "https://pipedream.com@evil.example/", "2026-11-23T16:00:00Z", nil, "link_not_a_url", pipedream.Lasting},
		"on another host":         {"t", "https://evil.example/x", "2026-11-23T16:00:00Z", []string{"pipedream.com"}, "link_host_not_allowed", pipedream.Lasting},
		"on a host with a suffix": {"t", "https://evilpipedream.com/x", "2026-11-23T16:00:00Z", []string{"pipedream.com", ".pipedream.com"}, "link_host_not_allowed", pipedream.Lasting},
		"without a token":         {"", "https://pipedream.com/x", "2026-11-23T16:00:00Z", nil, "bad_answer", pipedream.Passing},
		"without a link":          {"t", "", "2026-11-23T16:00:00Z", nil, "bad_answer", pipedream.Passing},
		"without an end":          {"t", "https://pipedream.com/x", "", nil, "bad_answer", pipedream.Passing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := start(t, func(w http.ResponseWriter, _ *http.Request) {
				reply(w, 200, map[string]any{"token": c.token, "connect_link_url": c.link, "expires_at": c.expires})
			})
			got, err := client(v, func(p *pipedream.Params) { p.LinkHosts = c.hosts }).CreateToken(t.Context(), anyone)
			if c.code == "" {
				if err != nil || got.ConnectLinkURL.Reveal() != c.link {
					t.Errorf("%+v %v", got, err)
				}
				return
			}
			if e := fault(t, err); e.Code != c.code || e.Kind != c.kind {
				t.Errorf("%v, want %s %s", err, c.kind, c.code)
			}
		})
	}
}

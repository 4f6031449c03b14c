package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/sandbox"
)

// press submits the connect page's form of a link, as a browser would.
func (w *world) press(link, do string, more ...string) answer {
	w.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		w.t.Fatal(err)
	}
	form := url.Values{"do": {do}}
	for _, k := range []string{"token", "app", "oauthAppId", "accountId"} {
		form.Set(k, u.Query().Get(k))
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return w.call("POST", w.pages.URL+"/sandbox/connect.html", strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
}

func (w *world) accounts(query string) []any {
	w.t.Helper()
	return w.pipedream("/v1/connect/"+w.cred.PipedreamProjectID+"/accounts?"+query, "connect:accounts:read", "production").json(w.t)["data"].([]any)
}

func TestConnectingMakesAnAccountAndTellsTheProduct(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	link := w.connectLink("user-1", "google_sheets&oauthAppId=oa_mine", map[string]any{
		"webhook_uri": w.product.URL + "/hooks/pipedream/s3cret", "success_redirect_uri": "https://go.example/done/abc?outcome=success",
	})
	page := w.call("GET", link, nil)
	if page.Status != 200 || !strings.Contains(string(page.Body), "Connect your Google Sheets account") || !strings.Contains(string(page.Body), "Northwind") {
		t.Fatalf("page: %d %s", page.Status, page.Body)
	}
	a := w.press(link, "connect")
	if a.Status != 303 || a.Header.Get("Location") != "https://go.example/done/abc?outcome=success" {
		t.Fatalf("connect: %d %v", a.Status, a.Header)
	}
	eventually(t, "the webhook", func() bool { return len(w.product.requests("/hooks/pipedream/s3cret")) == 1 })
	hook := w.product.requests("/hooks/pipedream/s3cret")[0]
	var body struct {
		Event   string          `json:"event"`
		Token   string          `json:"connect_token"`
		Session json.RawMessage `json:"connect_session_id"`
		Env     string          `json:"environment"`
		Account map[string]any  `json:"account"`
	}
	if err := json.Unmarshal(hook.Body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Event != "CONNECTION_SUCCESS" || !strings.Contains(link, body.Token) || body.Env != "production" ||
		body.Account["external_id"] != "user-1" || body.Account["app"].(map[string]any)["id"] != "oa_mine" {
		t.Errorf("webhook = %s", hook.Body)
	}
	var number int64
	if !strings.Contains(string(body.Session), "e+38") || json.Unmarshal(body.Session, &number) == nil {
		t.Errorf("connect_session_id = %s, want a float no integer holds", body.Session)
	}
	listed := w.accounts("external_user_id=user-1&app=google_sheets")
	if len(listed) != 1 || listed[0].(map[string]any)["id"] != body.Account["id"] {
		t.Fatalf("accounts = %v", listed)
	}
	one := w.pipedream("/v1/connect/"+w.cred.PipedreamProjectID+"/accounts/"+body.Account["id"].(string), "connect:accounts:read", "production").json(t)
	if one["id"] != body.Account["id"] || one["data"] != nil {
		t.Errorf("one account = %v, want it bare", one)
	}
	for query, want := range map[string]int{"external_user_id=user-2": 0, "app=slack": 0, "oauth_app_id=oa_mine": 1, "": 1} {
		if got := len(w.accounts(query)); got != want {
			t.Errorf("accounts?%s: %d, want %d", query, got, want)
		}
	}
	other := w.pipedream("/v1/connect/"+w.cred.PipedreamProjectID+"/accounts", "connect:accounts:read", "development").json(t)
	if len(other["data"].([]any)) != 0 {
		t.Error("the account shows in the other environment")
	}

	// The token is spent.
	if got := w.call("GET", link, nil); !strings.Contains(string(got.Body), "no longer valid") {
		t.Errorf("a spent link still shows the page: %s", got.Body)
	}
	if got := w.press(link, "connect"); !strings.Contains(string(got.Body), "no longer valid") {
		t.Errorf("a spent token connects again: %d", got.Status)
	}
	if got := len(w.accounts("")); got != 1 {
		t.Errorf("%d accounts after pressing again", got)
	}
}

func TestADeniedConnectionKeepsTheTokenAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	link := w.connectLink("user-1", "slack", map[string]any{
		"webhook_uri": w.product.URL + "/hooks/pipedream/x", "error_redirect_uri": "myapp://connect/failed",
	})
	for _, do := range []string{"deny", "fail"} {
		if a := w.press(link, do); a.Status != 303 || a.Header.Get("Location") != "myapp://connect/failed" {
			t.Errorf("%s: %d %v", do, a.Status, a.Header)
		}
	}
	eventually(t, "two webhooks", func() bool { return len(w.product.requests("/hooks/pipedream/x")) == 2 })
	for _, r := range w.product.requests("/hooks/pipedream/x") {
		var body map[string]any
		if err := json.Unmarshal(r.Body, &body); err != nil || body["event"] != "CONNECTION_ERROR" || body["error"] == "" || body["account"] != nil {
			t.Errorf("webhook = %s", r.Body)
		}
	}
	if a := w.press(link, "connect"); a.Status != 200 || !strings.Contains(string(a.Body), "is connected") {
		t.Errorf("connect after all: %d", a.Status)
	}
}

func TestConnectWebhookVariants(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	for variant, want := range map[string]int{"twice": 2, "once": 1, "late": 1, "never": 0} {
		link := w.connectLink("user-"+variant, "slack", map[string]any{"webhook_uri": w.product.URL + "/hooks/pipedream/" + variant})
		if a := w.press(link, "connect", "webhook", variant); a.Status != 200 {
			t.Fatalf("%s: %d", variant, a.Status)
		}
		eventually(t, variant, func() bool {
			var open int
			err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM sandbox.events WHERE due_at IS NOT NULL`).Scan(&open)
			return err == nil && open == 0
		})
		if got := len(w.product.requests("/hooks/pipedream/" + variant)); got != want {
			t.Errorf("%s: %d webhooks, want %d", variant, got, want)
		}
	}
}

func TestConnectPageRefuses(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := newWorld(t, func(p *sandbox.Params) { p.Now = clock.Now })
	link := w.connectLink("u", "slack", map[string]any{"expires_in": 60})
	for name, c := range map[string]struct{ link, want string }{
		"an unknown token": {w.pages.URL + "/sandbox/connect.html?token=ctok_00&connectLink=true&app=slack", "no longer valid"},
		"an unknown app":   {strings.Replace(link, "app=slack", "app=nosuch", 1), "App not found"},
		"no app":           {strings.Replace(link, "app=slack", "", 1), "App not found"},
		"a script as app":  {strings.Replace(link, "app=slack", "app=%3Cscript%3E", 1), "&lt;script&gt;"},
	} {
		if a := w.call("GET", c.link, nil); !strings.Contains(string(a.Body), c.want) {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	if a := w.press(w.connectLink("u", "rss", nil), "connect"); a.Status != 303 || !strings.Contains(a.Header.Get("Location"), "/connect.html?") {
		t.Errorf("an app without accounts: %d", a.Status)
	}
	clock.Add(61 * time.Second)
	if a := w.press(link, "connect"); !strings.Contains(string(a.Body), "no longer valid") {
		t.Errorf("an expired token connects: %d", a.Status)
	}
	h := w.call("GET", link, nil).Header
	if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "form-action") || strings.Contains(csp, "unsafe") {
		t.Errorf("CSP = %q", csp)
	}
	if h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers = %v", h)
	}
}

func TestReconnectingRefreshesTheAccount(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := newWorld(t, func(p *sandbox.Params) { p.Now = clock.Now })
	if a := w.press(w.connectLink("u", "slack", nil), "connect"); a.Status != http.StatusOK {
		t.Fatalf("connect: %d", a.Status)
	}
	first := w.accounts("")[0].(map[string]any)
	clock.Add(time.Second)
	w.press(w.connectLink("u", "slack&accountId="+first["id"].(string), nil), "connect")
	again := w.accounts("")
	if len(again) != 1 || again[0].(map[string]any)["updated_at"] == first["updated_at"] || again[0].(map[string]any)["created_at"] != first["created_at"] {
		t.Errorf("after reconnecting: %v, before: %v", again, first)
	}
	w.press(w.connectLink("stranger", "slack&accountId="+first["id"].(string), nil), "connect")
	if got := len(w.accounts("")); got != 2 {
		t.Errorf("a stranger reconnected somebody's account: %d accounts", got)
	}
}

func TestOneTokenConnectsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link := w.connectLink("u", "slack", nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { w.press(link, "connect") })
	}
	wg.Wait()
	if got := len(w.accounts("")); got != 1 {
		t.Errorf("eight presses at once made %d accounts", got)
	}
}

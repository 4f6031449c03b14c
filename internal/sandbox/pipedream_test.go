package sandbox_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/sandbox"
)

func TestPipedreamTokenIsAsPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := time.Now()
	a := w.mint("user-1", map[string]any{"expires_in": 600, "scope": "connect:accounts:write", "webhook_uri": w.product.URL + "/hooks/pipedream/s"})
	if a.Status != http.StatusOK {
		t.Fatalf("mint: %d %s", a.Status, a.Body)
	}
	js := a.json(t)
	token := js["token"].(string)
	if !regexp.MustCompile(`^ctok_[0-9a-f]{32}$`).MatchString(token) {
		t.Errorf("token = %q", token)
	}
	if got, want := js["connect_link_url"], w.pages.URL+"/sandbox/connect.html?token="+token+"&connectLink=true"; got != want {
		t.Errorf("connect_link_url = %v, want %s", got, want)
	}
	written := js["expires_at"].(string)
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$`).MatchString(written) {
		t.Errorf("expires_at = %q, want milliseconds and +00:00", written)
	}
	expires, err := time.Parse(time.RFC3339, written)
	if err != nil || expires.Sub(before) < 599*time.Second || expires.Sub(before) > 605*time.Second {
		t.Errorf("expires_at = %q (%v), want 10 minutes from now", written, err)
	}
	if a.Header.Get("Date") == "" {
		t.Error("no Date header")
	}

	// The token is its own credential for validate.
	v := w.call("GET", w.vendors.URL+"/pipedream/v1/connect/tokens/"+token+"/validate?app_id=slack", nil).json(t)
	if v["success"] != true || v["project_environment"] != "production" {
		t.Errorf("validate = %v", v)
	}
	v = w.call("GET", w.vendors.URL+"/pipedream/v1/connect/tokens/"+token+"/validate?app_id=nosuch", nil).json(t)
	if v["success"] != false || v["error"] == nil {
		t.Errorf("validate with an unknown app = %v", v)
	}
}

func TestPipedreamRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := w.vendors.URL + "/pipedream/v1/connect/" + w.cred.PipedreamProjectID + "/tokens"
	full := "Bearer " + w.bearer("connect:tokens:create connect:accounts:read")
	for name, c := range map[string]struct {
		want   int
		url    string
		auth   string
		env    string
		body   string
		method string
	}{
		"no bearer":                    {want: 401, env: "production", body: `{"external_user_id":"u"}`},
		"a forged bearer":              {want: 401, auth: full[:len(full)-4] + "AAAA", env: "production", body: `{"external_user_id":"u"}`},
		"a bearer of another scope":    {want: 403, auth: "Bearer " + w.bearer("connect:accounts:read"), env: "production", body: `{"external_user_id":"u"}`},
		"another project":              {want: 404, auth: full, env: "production", url: w.vendors.URL + "/pipedream/v1/connect/proj_nope/tokens", body: `{"external_user_id":"u"}`},
		"no environment":               {want: 400, auth: full, body: `{"external_user_id":"u"}`},
		"an unknown environment":       {want: 400, auth: full, env: "staging", body: `{"external_user_id":"u"}`},
		"no user":                      {want: 400, auth: full, env: "production", body: `{}`},
		"a user of 251 characters":     {want: 400, auth: full, env: "production", body: `{"external_user_id":"` + strings.Repeat("é", 251) + `"}`},
		"expires_in 0":                 {want: 400, auth: full, env: "production", body: `{"external_user_id":"u","expires_in":0}`},
		"expires_in over four hours":   {want: 400, auth: full, env: "production", body: `{"external_user_id":"u","expires_in":14401}`},
		"scope star":                   {want: 400, auth: full, env: "production", body: `{"external_user_id":"u","scope":"*"}`},
		"no JSON":                      {want: 400, auth: full, env: "production", body: `external_user_id=u`},
		"a relative webhook":           {want: 400, auth: full, env: "production", body: `{"external_user_id":"u","webhook_uri":"/hooks"}`},
		"an unknown app id":            {want: 400, auth: full, env: "production", body: `{"external_user_id":"u","app_id":"nosuch"}`},
		"a user scripted to fail":      {want: 403, auth: full, env: "production", body: `{"external_user_id":"x-mintfail-1"}`},
		"a user scripted to be slow":   {want: 503, auth: full, env: "production", body: `{"external_user_id":"x-mintslow-1"}`},
		"an app that does not exist":   {want: 404, auth: full, method: "GET", url: w.vendors.URL + "/pipedream/v1/connect/apps/nosuch"},
		"a client that is not there":   {want: 404, auth: full, env: "production", method: "GET", url: w.vendors.URL + "/pipedream/v1/connect/" + w.cred.PipedreamProjectID + "/oauth_apps/oa_gone"},
		"an account that is not there": {want: 404, auth: full, env: "production", method: "GET", url: w.vendors.URL + "/pipedream/v1/connect/" + w.cred.PipedreamProjectID + "/accounts/apn_nope"},
	} {
		if c.url == "" {
			c.url = tokens
		}
		if c.method == "" {
			c.method = "POST"
		}
		headers := []string{"Content-Type", jsonType}
		if c.auth != "" {
			headers = append(headers, "Authorization", c.auth)
		}
		if c.env != "" {
			headers = append(headers, "x-pd-environment", c.env)
		}
		a := w.call(c.method, c.url, strings.NewReader(c.body), headers...)
		if a.Status != c.want || a.json(t)["error"] == nil {
			t.Errorf("%s: answered %d %s, want %d", name, a.Status, a.Body, c.want)
		}
	}
}

func TestPipedreamOAuthRefusesABadSecretAndUnknownScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		want int
		body map[string]any
	}{
		"bad secret":    {401, map[string]any{"grant_type": "client_credentials", "client_id": w.cred.PipedreamClientID, "client_secret": "x"}},
		"bad id":        {401, map[string]any{"grant_type": "client_credentials", "client_id": "x", "client_secret": w.cred.PipedreamClientSecret.Reveal()}},
		"bad grant":     {400, map[string]any{"grant_type": "password", "client_id": w.cred.PipedreamClientID, "client_secret": w.cred.PipedreamClientSecret.Reveal()}},
		"unknown scope": {400, map[string]any{"grant_type": "client_credentials", "client_id": w.cred.PipedreamClientID, "client_secret": w.cred.PipedreamClientSecret.Reveal(), "scope": "admin"}},
	} {
		if a := w.call("POST", w.vendors.URL+"/pipedream/v1/oauth/token", jsonBody(t, c.body), "Content-Type", jsonType); a.Status != c.want {
			t.Errorf("%s: %d, want %d", name, a.Status, c.want)
		}
	}
}

func TestPipedreamBearerEndsAfterAnHour(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := newWorld(t, func(p *sandbox.Params) { p.Now = clock.Now })
	auth := "Bearer " + w.bearer("*")
	get := func() int {
		return w.call("GET", w.vendors.URL+"/pipedream/v1/connect/apps/slack", nil, "Authorization", auth).Status
	}
	clock.Add(59 * time.Minute)
	if got := get(); got != 200 {
		t.Fatalf("after 59 minutes: %d", got)
	}
	clock.Add(2 * time.Minute)
	if got := get(); got != 401 {
		t.Fatalf("after 61 minutes: %d", got)
	}
}

func TestPipedreamThrottlesAUserAfterAHundredMints(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := newWorld(t, func(p *sandbox.Params) { p.Now = clock.Now })
	auth := "Bearer " + w.bearer("connect:tokens:create")
	mint := func(user string) answer {
		return w.call("POST", w.vendors.URL+"/pipedream/v1/connect/"+w.cred.PipedreamProjectID+"/tokens",
			jsonBody(t, map[string]any{"external_user_id": user}), "Authorization", auth, "x-pd-environment", "production", "Content-Type", jsonType)
	}
	for i := range 100 {
		if a := mint("u"); a.Status != 200 {
			t.Fatalf("mint %d: %d", i+1, a.Status)
		}
	}
	a := mint("u")
	if a.Status != 429 || a.Header.Get("Retry-After") == "" || a.Header.Get("X-RateLimit-Remaining") != "0" || a.json(t)["error"] != "Throttled" {
		t.Fatalf("mint 101: %d %v %s", a.Status, a.Header, a.Body)
	}
	if a := mint("another"); a.Status != 200 {
		t.Errorf("another user is throttled too: %d", a.Status)
	}
	clock.Add(time.Minute)
	if a := mint("u"); a.Status != 200 {
		t.Errorf("still throttled after a minute: %d", a.Status)
	}
}

func TestPipedreamAppsAndClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app := w.pipedream("/v1/connect/apps/google_sheets", "*").json(t)["data"].(map[string]any)
	if app["name"] != "Google Sheets" || app["auth_type"] != "oauth" || app["name_slug"] != "google_sheets" {
		t.Errorf("app = %v", app)
	}
	for slug, auth := range map[string]string{"stripe": "keys", "openai": "keys", "rss": "none"} {
		if got := w.pipedream("/v1/connect/apps/"+slug, "*").json(t)["data"].(map[string]any)["auth_type"]; got != auth {
			t.Errorf("%s: auth_type = %v, want %s", slug, got, auth)
		}
	}
	var slugs []string
	for after := ""; ; {
		page := w.pipedream("/v1/connect/apps?limit=5&sort_key=name_slug&after="+after, "*").json(t)
		for _, a := range page["data"].([]any) {
			slugs = append(slugs, a.(map[string]any)["name_slug"].(string))
		}
		next, _ := page["page_info"].(map[string]any)["end_cursor"].(string)
		if next == "" {
			break
		}
		after = next
	}
	if len(slugs) < 12 || slugs[0] != "airtable_oauth" {
		t.Errorf("apps by name_slug = %v", slugs)
	}
	// The catalogue's picture is there, without credentials, on the vendors' listener too.
	at, ok := strings.CutPrefix(app["img_src"].(string), w.LogoPrefix())
	if !ok || !strings.HasPrefix(at, "s.v0/app_") {
		t.Errorf("the logo is at %v", app["img_src"])
	}
	if a := w.call("GET", w.vendors.URL+"/assets/"+at, nil); a.Status != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "image/") {
		t.Errorf("the logo: %d", a.Status)
	}
	if a := w.call("GET", w.vendors.URL+"/assets/s.v0/slack/logo/orig", nil); a.Status != 404 {
		t.Errorf("a logo by the slug: %d", a.Status)
	}
	client := w.pipedream("/v1/connect/"+w.cred.PipedreamProjectID+"/oauth_apps/oa_github7", "*", "production").json(t)
	if client["id"] != "oa_github7" || client["name_slug"] != "github" {
		t.Errorf("OAuth client = %v", client)
	}
}

func TestScriptedMints(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := newWorld(t, func(p *sandbox.Params) { p.Now = clock.Now; p.Pace = time.Second })
	must := func(user string, script sandbox.MintScript) {
		t.Helper()
		if err := w.ScriptMint(t.Context(), user, script); err != nil {
			t.Fatal(err)
		}
	}
	must("a", sandbox.MintFails)
	if got := []int{w.mint("b", nil).Status, w.mint("a", nil).Status, w.mint("a", nil).Status}; fmt.Sprint(got) != "[200 403 200]" {
		t.Errorf("a script meets its own user's next mint once: %v", got)
	}
	must("c", sandbox.MintSlow)
	if got := []int{w.mint("c", nil).Status, w.mint("c", nil).Status}; fmt.Sprint(got) != "[503 503]" {
		t.Errorf("slow mints = %v", got)
	}
	clock.Add(6 * time.Second)
	if got := w.mint("c", nil).Status; got != 200 {
		t.Errorf("mint after a while = %d", got)
	}
	must("d", sandbox.MintShort)
	expires, err := time.Parse(time.RFC3339, w.mint("d", nil).json(t)["expires_at"].(string))
	if err != nil || expires.Sub(clock.Now()) > 6*time.Second {
		t.Errorf("a short token expires in %v (%v)", expires.Sub(clock.Now()), err)
	}
	if err := w.ScriptMint(t.Context(), "e", "nonsense"); err == nil {
		t.Error("an unknown script was taken")
	}
	for address, want := range map[string]sandbox.MintScript{
		"mintfail@connectlink.test": sandbox.MintFails, "MintSlow+1@connectlink.test": sandbox.MintSlow,
		"delivered+expire@connectlink.test": sandbox.MintShort, "delivered+renew@connectlink.test": sandbox.MintShort,
		"delivered@connectlink.test": "", "mintfail@customer.example": "",
	} {
		if got := sandbox.MintScriptFor(address); got != want {
			t.Errorf("MintScriptFor(%s) = %q, want %q", address, got, want)
		}
	}
}

package mint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// pipe is Pipedream for one test: it answers as told and keeps what it was asked.
type pipe struct {
	t        *testing.T
	server   *httptest.Server
	box      *seal.Box
	mu       sync.Mutex
	asked    map[string]any
	skew     time.Duration // of Pipedream's clock against ours
	life     time.Duration // granted; 4 h
	status   int           // of create token; 200
	apps     atomic.Int64  // how often an app was looked up
	down     atomic.Bool   // lists of apps are not to be had
	accounts []string      // of the project
	queried  atomic.Value  // the last query for accounts
	hang     chan struct{} // until it is closed, accounts are not answered; nil: they are
	slow     chan struct{} // until it is closed, the list "slow" is not answered
}

func newPipe(t *testing.T) *pipe {
	t.Helper()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{t: t, box: box, life: 4 * time.Hour, status: http.StatusOK, slow: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/oauth/token", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, `{"access_token":"jwt","token_type":"Bearer","expires_in":3600}`)
	})
	mux.HandleFunc("POST /v1/connect/proj_1/tokens", p.token)
	mux.HandleFunc("GET /v1/connect/apps/{slug}", p.app)
	mux.HandleFunc("GET /v1/connect/apps", p.list)
	mux.HandleFunc("GET /v1/connect/proj_1/oauth_apps/{id}", func(w http.ResponseWriter, r *http.Request) {
		switch r.PathValue("id") {
		case "oa_gone":
			answer(w, http.StatusNotFound, `{"error":"record not found"}`)
		case "oa_down":
			answer(w, http.StatusBadGateway, `{}`)
		default:
			answer(w, http.StatusOK, `{"id":"oa_1","name_slug":"slack"}`)
		}
	})
	mux.HandleFunc("GET /v1/connect/proj_1/accounts", func(w http.ResponseWriter, r *http.Request) {
		if p.hang != nil {
			<-p.hang
		}
		p.queried.Store(r.URL.Query().Encode())
		answer(w, http.StatusOK, `{"data":[`+strings.Join(p.accounts, ",")+`],"page_info":{}}`)
	})
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func (p *pipe) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := json.NewDecoder(r.Body).Decode(&p.asked); err != nil {
		p.t.Error(err)
	}
	now := time.Now().Add(p.skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if p.status != http.StatusOK {
		w.Header().Set("Retry-After", "7")
		answer(w, p.status, `{"error":"no"}`)
		return
	}
	token := "ctok_" + strings.Repeat("a1", 16)
	answer(w, http.StatusOK, fmt.Sprintf(`{"token":%q,"expires_at":%q,"connect_link_url":"https://pipedream.com/_static/connect.html?token=%s&connectLink=true"}`,
		token, now.Add(p.life).UTC().Format("2006-01-02T15:04:05.000-07:00"), token))
}

func (p *pipe) list(w http.ResponseWriter, r *http.Request) {
	p.apps.Add(1)
	switch words := r.URL.Query().Get("q"); {
	case p.down.Load():
		answer(w, http.StatusBadGateway, `{}`)
	case words == "slow":
		<-p.slow
	default:
		answer(w, http.StatusOK, fmt.Sprintf(`{"data":[{"name_slug":"slack","name":"Slack %s","auth_type":"oauth"},{"name_slug":"rss","name":"RSS","auth_type":"none"}]}`, words))
	}
}

func (p *pipe) app(w http.ResponseWriter, r *http.Request) {
	p.apps.Add(1)
	switch slug := r.PathValue("slug"); slug {
	case "rss":
		answer(w, http.StatusOK, `{"data":{"name_slug":"rss","name":"RSS","auth_type":"none","img_src":""}}`)
	case "gone":
		answer(w, http.StatusNotFound, `{"error":"record not found"}`)
	case "down":
		answer(w, http.StatusBadGateway, `{}`)
	default:
		answer(w, http.StatusOK, fmt.Sprintf(`{"data":{"name_slug":%q,"name":"Slack","auth_type":"oauth","img_src":"https://a.example/l.png"}}`, slug))
	}
}

func (p *pipe) minter(publicURL string) *mint.Minter {
	return mint.New(mint.Params{
		Client: pipedream.New(pipedream.Params{
			BaseURL: p.server.URL, ClientID: "id", ClientSecret: secret.New("s"), ProjectID: "proj_1", Environment: "production",
			FirstDelay: time.Millisecond, BreakAfter: 1000,
		}),
		Box: p.box, PublicURL: publicURL, CallbackURL: publicURL, Budget: limit.New(limit.Per(100, time.Minute), 100, time.Now),
	})
}

func ask() mint.Request {
	return mint.Request{
		InviteID: invite.New[invite.ID](), ExternalUserID: "user-1", App: "slack", OAuthAppID: "oa_1",
		ExpiresIn: 4 * time.Hour, Code: secret.New("Code0123456789abcdef"), ReturnURL: "https://acme.example/back",
	}
}

func TestMintAsksNarrowlyAndSealsWhatItGets(t *testing.T) {
	t.Parallel()
	p := newPipe(t)
	m, err := p.minter("https://go.acme.example").Mint(t.Context(), ask())
	if err != nil {
		t.Fatal(err)
	}
	if got := m.URL.Reveal(); !strings.HasSuffix(got, "&connectLink=true&app=slack&oauthAppId=oa_1") {
		t.Error("app and oauthAppId are not appended")
	}
	opened, err := p.box.Open(m.Link.URL, seal.AD{Column: "connect_links.url", ID: m.Link.ID.UUID()})
	if err != nil || string(opened) != m.URL.Reveal() {
		t.Errorf("the stored link is not the one given out: %v", err)
	}
	if _, err := p.box.Open(m.Link.URL, seal.AD{Column: "connect_links.url", ID: invite.New[invite.LinkID]().UUID()}); err == nil {
		t.Error("a link moved to another row opens")
	}
	want := map[string]string{
		"external_user_id":     "user-1",
		"scope":                mint.DefaultScope,
		"success_redirect_uri": "https://go.acme.example/done/Code0123456789abcdef?outcome=success",
		"error_redirect_uri":   "https://go.acme.example/done/Code0123456789abcdef?outcome=error",
	}
	for k, v := range want {
		if p.asked[k] != v {
			t.Errorf("%s = %v", k, p.asked[k])
		}
	}
	if p.asked["expires_in"] != float64(14400) {
		t.Errorf("expires_in = %v", p.asked["expires_in"])
	}
	hook, _ := p.asked["webhook_uri"].(string)
	secretPart, ok := strings.CutPrefix(hook, "https://go.acme.example/hooks/pipedream/")
	if !ok || string(secret.Digest(secret.New(secretPart))) != string(m.Link.WebhookDigest) {
		t.Error("the webhook's secret is not the one whose digest is kept")
	}
	token, _, _ := strings.Cut(strings.SplitAfter(m.URL.Reveal(), "token=")[1], "&")
	if string(secret.Digest(secret.New(token))) != string(m.Link.TokenDigest) {
		t.Error("the token's digest is of something else")
	}
	if m.Link.Left < 4*time.Hour-time.Minute || m.Link.Left > 4*time.Hour || m.Link.Granted != 4*time.Hour {
		t.Errorf("left %s of %s", m.Link.Left, m.Link.Granted)
	}
}

func TestWithoutAPublicURLThePersonGoesStraightBack(t *testing.T) {
	t.Parallel()
	p := newPipe(t)
	if _, err := p.minter("").Mint(t.Context(), ask()); err != nil {
		t.Fatal(err)
	}
	if p.asked["success_redirect_uri"] != "https://acme.example/back" || p.asked["webhook_uri"] != nil {
		t.Errorf("asked %v", p.asked)
	}
}

// TestAWrongClockDoesNotReviveADeadLink: with a wrong clock on either side,
// the remaining life follows Pipedream's clock.
func TestAWrongClockDoesNotReviveADeadLink(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-10 * time.Minute, 10 * time.Minute, 30 * time.Hour} {
		p := newPipe(t)
		p.skew = skew
		m, err := p.minter("https://go.acme.example").Mint(t.Context(), ask())
		if err != nil {
			t.Fatal(err)
		}
		if off := (m.Link.Left - 4*time.Hour).Abs(); off > 2*time.Second {
			t.Errorf("at a skew of %s: %s left of 4 h", skew, m.Link.Left)
		}
	}
}

func TestLessGrantedThanAsked(t *testing.T) {
	t.Parallel()
	p := newPipe(t)
	p.life = time.Minute
	m, err := p.minter("https://go.acme.example").Mint(t.Context(), ask())
	if err != nil || m.Link.Granted > time.Minute+time.Second {
		t.Errorf("granted %s, %v", m.Link.Granted, err)
	}
}

func TestFailuresByTheirKind(t *testing.T) {
	t.Parallel()
	for status, passing := range map[int]bool{429: true, 408: true, 500: true, 503: true, 400: false, 403: false, 404: false, 422: false} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			p := newPipe(t)
			p.status = status
			_, err := p.minter("https://go.acme.example").Mint(t.Context(), ask())
			if errors.Is(err, mint.ErrPassing) != passing {
				t.Errorf("passing = %t: %v", !passing, err)
			}
			if !passing && invite.CodeOf(err) != invite.CodeMintFailed {
				t.Errorf("code %s", invite.CodeOf(err))
			}
			if status == 429 && mint.RetryAfter(err) != 7*time.Second {
				t.Errorf("retry after %s", mint.RetryAfter(err))
			}
		})
	}
	p := newPipe(t)
	p.server.Close()
	if _, err := p.minter("https://go.acme.example").Mint(t.Context(), ask()); !errors.Is(err, mint.ErrPassing) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestTheDocumentedLimitIsKeptForEachUser(t *testing.T) {
	t.Parallel()
	p := newPipe(t)
	m := p.minter("https://go.acme.example")
	for range 100 {
		if _, err := m.Mint(t.Context(), ask()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := m.Mint(t.Context(), ask())
	if !errors.Is(err, mint.ErrPassing) || mint.RetryAfter(err) <= 0 {
		t.Errorf("the 101st in a minute: %v", err)
	}
	other := ask()
	other.ExternalUserID = "user-2"
	if _, err := m.Mint(t.Context(), other); err != nil {
		t.Errorf("another user: %v", err)
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	p := newPipe(t)
	m := p.minter("https://go.acme.example")
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			app, err := m.App(t.Context(), "slack")
			if err != nil || app.Name != "Slack" || app.AuthType != "oauth" {
				t.Errorf("%+v, %v", app, err)
			}
		})
	}
	wg.Wait()
	if n := p.apps.Load(); n > 2 {
		t.Errorf("%d look-ups of one app", n)
	}
	if _, err := m.App(t.Context(), "rss"); invite.CodeOf(err) != invite.CodeAppNeedsNoAccount {
		t.Errorf("rss: %v", err)
	}
	if _, err := m.App(t.Context(), "gone"); invite.CodeOf(err) != invite.CodeUnknownApp {
		t.Errorf("gone: %v", err)
	}
	if app, err := m.App(t.Context(), "down"); err != nil || app.Name != "Down" || app.AuthType != "" {
		t.Errorf("an outage must not block: %+v, %v", app, err)
	}
}

func TestAppsToChooseFrom(t *testing.T) {
	t.Parallel()
	p := newPipe(t)
	var ahead atomic.Int64
	m := mint.New(mint.Params{
		Client: pipedream.New(pipedream.Params{
			BaseURL: p.server.URL, ClientID: "id", ClientSecret: secret.New("s"), ProjectID: "proj_1", Environment: "production",
			FirstDelay: time.Millisecond, BreakAfter: 1000,
		}),
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	names := func(words string) string {
		t.Helper()
		apps, err := m.Apps(t.Context(), words)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, a := range apps {
			out = append(out, a.Name)
		}
		return strings.Join(out, ", ")
	}
	// What needs no account is left out, and nothing is asked twice.
	for range 3 {
		if got := names(" MAIL "); got != "Slack mail" {
			t.Errorf("like mail: %s", got)
		}
	}
	if n := p.apps.Load(); n != 1 {
		t.Errorf("%d calls for the same words", n)
	}
	// Known apps are served during an outage; unknown ones are an error.
	p.down.Store(true)
	ahead.Store(int64(time.Hour))
	if got := names("mail"); got != "Slack mail" {
		t.Errorf("in an outage: %s", got)
	}
	if apps, err := m.Apps(t.Context(), "other"); err == nil {
		t.Errorf("never heard of: %v", apps)
	}
	// A caller without time is not delayed.
	p.down.Store(false)
	defer close(p.slow)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Apps(ctx, "slow"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that left: %v", err)
	}
}

func TestOAuthApps(t *testing.T) {
	t.Parallel()
	m := newPipe(t).minter("https://go.acme.example")
	for id, want := range map[string]invite.Code{"": "", "oa_1": "", "oa_down": "", "oa_gone": invite.CodeInvalidRequest} {
		if err := m.CheckOAuthApp(t.Context(), id, "slack"); err != nil && invite.CodeOf(err) != want || err == nil && want != "" {
			t.Errorf("%q: %v", id, err)
		}
	}
	if err := m.CheckOAuthApp(t.Context(), "oa_1", "gmail"); invite.CodeOf(err) != invite.CodeInvalidRequest {
		t.Errorf("another app's client: %v", err)
	}
}

// TestConsoleFASlugBecomesAName: what stands in while Pipedream is away must not
// look like a word of a program.
func TestConsoleFASlugBecomesAName(t *testing.T) {
	t.Parallel()
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(down.Close)
	m := mint.New(mint.Params{Client: pipedream.New(pipedream.Params{BaseURL: down.URL, FirstDelay: time.Millisecond}), Now: time.Now})
	for slug, want := range map[string]string{
		"google_drive": "Google Drive", "salesforce_rest_api": "Salesforce Rest Api", "openai": "Openai", "calendly_v2": "Calendly V2", "a-b": "A B", "_": "_",
	} {
		if app, err := m.App(t.Context(), slug); err != nil || app.Name != want || app.Slug != slug || app.AuthType != "" {
			t.Errorf("%s: %+v, %v", slug, app, err)
		}
	}
}

func TestVendors1WhatRefusesTheAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		oauth, token int
		link         string
		want         bool
	}{
		"wrong secret":        {oauth: 401, want: true},
		"wrong secret, 400":   {oauth: 400, want: true},
		"no such project":     {token: 404, want: true},
		"forbidden":           {token: 403, want: true},
		"redirected":          {token: 302, want: true},
		"a foreign link host": {link: "https://evil.example/x", want: true},
		"a bad request":       {token: 400},
		"an outage":           {token: 503},
		"too many":            {token: 429},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch {
			case strings.HasSuffix(r.URL.Path, "/oauth/token") && c.oauth != 0:
				w.WriteHeader(c.oauth)
			case strings.HasSuffix(r.URL.Path, "/oauth/token"):
				_, _ = w.Write([]byte(`{"access_token":"a","expires_in":3600}`))
			case c.token != 0:
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.token)
			default:
				_, _ = w.Write([]byte(`{"token":"ctok_1","expires_at":"2099-01-01T00:00:00Z","connect_link_url":"` + c.link + `"}`))
			}
		}))
		t.Cleanup(srv.Close)
		client := pipedream.New(pipedream.Params{BaseURL: srv.URL, FirstDelay: time.Millisecond, ProjectID: "proj_1", LinkHosts: []string{"pipedream.com"}})
		_, err := client.CreateToken(t.Context(), pipedream.CreateToken{ExternalUserID: "u"})
		if err == nil || mint.IsAccountRefused(err) != c.want || mint.IsAccountRefused(fmt.Errorf("wrapped: %w", err)) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestConnectedListsWorkingAccountsOfTheUserAndApp: the filters are Pipedream's,
// and whether it applied them is checked.
func TestConnectedListsWorkingAccountsOfTheUserAndApp(t *testing.T) {
	t.Parallel()
	p := newPipe(t)
	p.accounts = []string{
		`{"id":"apn_1","external_id":"user-1","healthy":true,"app":{"name_slug":"slack"},"created_at":"2026-11-01T00:00:00Z"}`,
		`{"id":"apn_2","external_id":"user-1","healthy":false,"app":{"name_slug":"slack"},"created_at":"2026-11-05T00:00:00Z"}`,
		`{"id":"apn_3","external_id":"user-1","dead":true,"app":{"name_slug":"slack"},"created_at":"2026-11-05T00:00:00Z"}`,
		`{"id":"apn_4","external_id":"user-2","app":{"name_slug":"slack"},"created_at":"2026-11-05T00:00:00Z"}`,
		`{"id":"apn_5","external_id":"user-1","app":{"name_slug":"notion"},"created_at":"2026-11-05T00:00:00Z"}`,
		`{"id":"apn_6","external_id":"user-1","app":{"name_slug":"slack"},"created_at":"2026-11-02T00:00:00Z"}`,
	}
	got, err := p.minter("").Connected(t.Context(), "user-1", "slack", "oa_1")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, a := range got {
		ids = append(ids, a.ID)
	}
	if !slices.Equal(ids, []string{"apn_6", "apn_1"}) {
		t.Errorf("listed %v", ids)
	}
	if q := p.queried.Load().(string); q != "app=slack&external_user_id=user-1&limit=100&oauth_app_id=oa_1" {
		t.Errorf("asked for %s", q)
	}
}

// TestConnectedEndsSoonWhenPipedreamHangs: a create waits for it.
func TestConnectedEndsSoonWhenPipedreamHangs(t *testing.T) {
	t.Parallel()
	p := newPipe(t)
	p.hang = make(chan struct{})
	t.Cleanup(func() { close(p.hang) })
	from := time.Now()
	if _, err := p.minter("").Connected(t.Context(), "user-1", "slack", ""); err == nil {
		t.Error("accounts came from a server that hangs")
	}
	if took := time.Since(from); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
}

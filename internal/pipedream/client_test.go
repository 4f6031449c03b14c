package pipedream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

const (
	clientID     = "client-id"
	clientSecret = "client-secret-value"
	connectToken = "ctok_4f0c1d2e3b5a69788796a5b4c3d2e1f0"
	connectLink  = "https://pipedream.com/_static/connect.html?token=" + connectToken + "&connectLink=true"
)

// vendor is a Pipedream whose answers a test chooses; it checks credentials and
// the environment itself, as the real one does.
type vendor struct {
	*wiretest.Server
	t       testing.TB
	issued  atomic.Int64 // access tokens
	valid   atomic.Int64 // number of the token that is accepted; 0 for any issued
	answers chan http.HandlerFunc
	usual   http.HandlerFunc
	oauth   http.HandlerFunc // instead of issuing a token
}

// start serves h for every call but the access token's; answers queued in
// v.answers go first.
func start(t testing.TB, h http.HandlerFunc) *vendor {
	t.Helper()
	v := &vendor{t: t, usual: h, answers: make(chan http.HandlerFunc, 100)}
	v.Server = wiretest.Pipedream(t).Serve(t, v.serve)
	return v
}

func (v *vendor) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/oauth/token" {
		if v.oauth != nil {
			v.oauth(w, r)
			return
		}
		v.issue(w, r)
		return
	}
	if !strings.HasSuffix(r.URL.Path, "/validate") {
		got, want := r.Header.Get("Authorization"), fmt.Sprintf("Bearer access-%d", v.valid.Load())
		if v.valid.Load() == 0 {
			want = fmt.Sprintf("Bearer access-%d", v.issued.Load())
		}
		if got != want {
			reply(w, http.StatusUnauthorized, map[string]any{"error": "unauthorized"})
			return
		}
		if env := r.Header.Get("x-pd-environment"); strings.Contains(r.URL.Path, "/proj_") && env != "production" {
			v.t.Errorf("%s in environment %q", r.URL.Path, env)
		}
	} else if r.Header.Get("Authorization") != "" {
		v.t.Error("validate carries the access token: the connect token is its credential")
	}
	select {
	case h := <-v.answers:
		h(w, r)
	default:
		v.usual(w, r)
	}
}

func (v *vendor) issue(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	if d := cmp.Diff(map[string]string{
		"grant_type": "client_credentials", "client_id": clientID, "client_secret": clientSecret,
		"scope": "connect:tokens:create connect:accounts:read",
	}, body); d != "" {
		v.t.Errorf("access token request (-want +got):\n%s", d)
	}
	reply(w, http.StatusOK, map[string]any{"access_token": fmt.Sprintf("access-%d", v.issued.Add(1)), "token_type": "Bearer", "expires_in": 3600, "created_at": 1})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		reply(w, code, map[string]any{"error": "words about pat@customer.example", "code": "some_code"})
	}
}

func mint(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"token": connectToken, "expires_at": "2026-11-23T16:00:00.172+00:00", "connect_link_url": connectLink})
}

func client(v *vendor, change ...func(*pipedream.Params)) *pipedream.Client {
	p := pipedream.Params{
		ClientID: clientID, ClientSecret: secret.New(clientSecret), ProjectID: "proj_abc123", Environment: "production",
		FirstDelay: time.Millisecond, HTTP: wire.Client(wire.Params{}), BreakAfter: 50,
	}
	if v != nil {
		p.BaseURL = v.URL
	}
	for _, c := range change {
		c(&p)
	}
	return pipedream.New(p)
}

func fault(t testing.TB, err error) *pipedream.Error {
	t.Helper()
	var e *pipedream.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T %v, want a *pipedream.Error", err, err)
	}
	return e
}

var anyone = pipedream.CreateToken{ExternalUserID: "user-1"}

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

func TestErrorsByStatusClass(t *testing.T) {
	t.Parallel()
	for code, c := range map[int]struct {
		kind  pipedream.Kind
		tries int
	}{
		302: {pipedream.Lasting, 1}, 400: {pipedream.Lasting, 1}, 403: {pipedream.Lasting, 1}, 422: {pipedream.Lasting, 1},
		404: {pipedream.NotFound, 1}, 401: {pipedream.Unauthorized, 2}, // twice: with the old access token and a new one
		408: {pipedream.Passing, 3}, 429: {pipedream.Passing, 3}, 500: {pipedream.Passing, 3}, 503: {pipedream.Passing, 3},
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			v := start(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); status(code)(w, r) })
			_, err := client(v).CreateToken(t.Context(), anyone)
			e := fault(t, err)
			if e.Kind != c.kind || e.Status != code || e.Code != "some_code" || int(calls.Load()) != c.tries {
				t.Errorf("%v after %d calls, want %s after %d", err, calls.Load(), c.kind, c.tries)
			}
			if errors.Is(err, pipedream.ErrNotFound) != (code == 404) {
				t.Error("ErrNotFound does not follow the kind")
			}
			for _, hidden := range []string{"pat@customer.example", clientSecret, v.URL, "access-"} {
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err.Error()), hidden) {
					t.Errorf("the error shows %q: %v", hidden, err)
				}
			}
		})
	}
}

func TestPassingFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	v.answers <- status(503)
	v.answers <- func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) } // cut
	if _, err := client(v).CreateToken(t.Context(), anyone); err != nil {
		t.Error(err)
	}
}

func TestRetryAfterIsHonouredWithinTheCallersTime(t *testing.T) {
	t.Parallel()
	limited := func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Retry-After", "1"); status(429)(w, r) }
	t.Run("enough time", func(t *testing.T) {
		t.Parallel()
		v := start(t, mint)
		v.answers <- limited
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := client(v).CreateToken(ctx, anyone); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited < time.Second {
			t.Errorf("tried again after %s, asked to wait a second", waited)
		}
	})
	t.Run("not enough", func(t *testing.T) {
		t.Parallel()
		var calls atomic.Int64
		v := start(t, func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			w.Header().Set("Retry-After", "40")
			status(429)(w, r)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		_, err := client(v).CreateToken(ctx, anyone)
		if e := fault(t, err); e.Status != 429 || e.RetryAfter != 40*time.Second || calls.Load() != 1 || time.Since(began) > 10*time.Second {
			t.Errorf("%v (wait %s) after %d calls and %s; want to hear of it at once", err, e.RetryAfter, calls.Load(), time.Since(began))
		}
	})
}

func TestARefusedAccessTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	c := client(v)
	if _, err := c.CreateToken(t.Context(), anyone); err != nil {
		t.Fatal(err)
	}
	v.valid.Store(2) // the first was revoked
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.CreateToken(t.Context(), anyone); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := v.issued.Load(); n != 2 {
		t.Errorf("%d access tokens were fetched, want one renewal for all", n)
	}
}

func TestAccessTokenIsRenewedTwoMinutesEarly(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	var now atomic.Int64
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c := client(v, func(p *pipedream.Params) { p.Now = func() time.Time { return begin.Add(time.Duration(now.Load())) } })
	for _, step := range []struct {
		after time.Duration
		want  int64
	}{{0, 1}, {58*time.Minute - time.Second, 1}, {58 * time.Minute, 2}, {100 * time.Minute, 2}} {
		now.Store(int64(step.after))
		if _, err := c.CreateToken(t.Context(), anyone); err != nil {
			t.Fatal(err)
		}
		if n := v.issued.Load(); n != step.want {
			t.Errorf("after %s: %d access tokens, want %d", step.after, n, step.want)
		}
	}
}

// Whoever starts the fetch may leave; the others must not notice.
func TestACancelledLeaderFailsNobodyElse(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	arrived, let := make(chan struct{}), make(chan struct{})
	v.oauth = func(w http.ResponseWriter, r *http.Request) {
		close(arrived) // a second fetch would panic here
		<-let
		v.issue(w, r)
	}
	c := client(v)
	ctx, cancel := context.WithCancel(t.Context())
	leader := make(chan error, 1)
	go func() { _, err := c.CreateToken(ctx, anyone); leader <- err }()
	<-arrived
	followers := make(chan error, 5)
	for range 5 {
		go func() { _, err := c.CreateToken(t.Context(), anyone); followers <- err }()
	}
	cancel()
	if err := <-leader; !errors.Is(err, context.Canceled) {
		t.Errorf("leader: %v", err)
	}
	close(let)
	for range 5 {
		if err := <-followers; err != nil {
			t.Errorf("follower: %v", err)
		}
	}
	if n := v.issued.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestABadSecretIsUnauthorized(t *testing.T) {
	t.Parallel()
	v := start(t, mint)
	var calls atomic.Int64
	v.oauth = func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		reply(w, 401, map[string]any{"error": "invalid_client"})
	}
	c := client(v)
	for _, call := range []func() error{
		func() error { return c.Ping(t.Context()) },
		func() error { _, err := c.CreateToken(t.Context(), anyone); return err },
	} {
		if e := fault(t, call()); e.Kind != pipedream.Unauthorized || e.Op != "get access token" {
			t.Errorf("%v", e)
		}
	}
	if calls.Load() != 2 {
		t.Errorf("%d fetches: a bad secret does not get better", calls.Load())
	}
	v.oauth = nil
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBreakerAnswersAtOnceWhilePipedreamIsDown(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	down := atomic.Bool{}
	down.Store(true)
	v := start(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if down.Load() {
			status(503)(w, r)
			return
		}
		mint(w, r)
	})
	c := client(v, func(p *pipedream.Params) { p.BreakAfter, p.BreakFor = 4, 200*time.Millisecond })
	for range 5 {
		_, err := c.CreateToken(t.Context(), anyone)
		if e := fault(t, err); e.Kind != pipedream.Passing {
			t.Errorf("%v", err)
		}
	}
	if n := calls.Load(); n != 4 {
		t.Errorf("%d calls, want the breaker to stop after 4", n)
	}
	_, err := c.CreateToken(t.Context(), anyone)
	if e := fault(t, err); e.Code != "breaker_open" || e.RetryAfter <= 0 || e.RetryAfter > 200*time.Millisecond {
		t.Errorf("%v, wait %s", err, e.RetryAfter)
	}
	down.Store(false)
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err = c.CreateToken(t.Context(), anyone); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the breaker never closed: %v", err)
		}
	}
}

func TestARefusalOrABusyUserDoesNotBreakTheCircuit(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 404, 429} {
		v := start(t, status(code))
		c := client(v, func(p *pipedream.Params) { p.BreakAfter, p.BreakFor = 2, time.Hour })
		for range 4 {
			if e := fault(t, errOf(c.CreateToken(t.Context(), anyone))); e.Status != code {
				t.Errorf("status %d: %v", code, e)
			}
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestNetworkFaultsArePassing(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"closed": wiretest.Refusing(t), "cut": wiretest.Ending(t, wiretest.EOF).URL, "not HTTP": wiretest.Ending(t, wiretest.Garbage).URL,
	} {
		c := client(nil, func(p *pipedream.Params) { p.BaseURL = url })
		err := errOf(c.CreateToken(t.Context(), anyone))
		if e := fault(t, err); e.Kind != pipedream.Passing || e.Status != 0 {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(err.Error(), "/v1/") || strings.Contains(err.Error(), "pat@") {
			t.Errorf("%s: the error shows URL or answer: %v", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	c := client(nil, func(p *pipedream.Params) { p.BaseURL = wiretest.Ending(t, wiretest.Silence).URL })
	began := time.Now()
	if e := fault(t, errOf(c.CreateToken(ctx, anyone))); e.Kind != pipedream.Passing || time.Since(began) > 5*time.Second {
		t.Errorf("silence: %v after %s", e, time.Since(began))
	}
}

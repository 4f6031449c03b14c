package pipedream_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
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

package oidc_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/oidc"
	"github.com/connectlink/connectlink/internal/oidc/oidctest"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestMain(m *testing.M) {
	oidctest.Main()
	os.Exit(m.Run())
}

func params(issuer string) oidc.Params {
	return oidc.Params{
		Issuer: issuer, ClientID: oidctest.ClientID, ClientSecret: secret.New(oidctest.ClientSecret), Scopes: []string{"profile", "email"},
		RedirectURL: "https://console.example.test/console/sign-in/callback", RolesClaim: "groups",
		Roles: map[string][]oidc.Grant{
			"support": {{Project: oidc.AllProjects, Role: access.RoleAgent}},
			"leads":   {{Project: "acme", Role: access.RoleLead}, {Project: oidc.AllProjects, Role: access.RoleViewer}},
		},
	}
}

// visit signs in at the issuer's page and returns what it sends back.
func visit(t *testing.T, address string, form url.Values) url.Values {
	t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("the issuer answers %d: %v", resp.StatusCode, err)
	}
	return to.Query()
}

func TestSomebodySignsInAtAnIssuer(t *testing.T) {
	t.Parallel()
	url := oidctest.Start(t)
	i := oidc.New(params(url))
	address, flow, err := i.Begin(t.Context(), oidc.AskSignIn)
	if err != nil {
		t.Fatal(err)
	}
	q := visit(t, address, oidctest.Pick("u1", []string{"support", "leads", "canteen"}, ""))
	who, err := i.Finish(t.Context(), flow, q.Get("code"), q.Get("state"), q.Get("iss"))
	if err != nil {
		t.Fatal(err)
	}
	want := oidc.Identity{Issuer: url, Subject: "u1", Name: "Pat u1", Email: "u1@staff.example", EmailVerified: true,
		Roles: map[string]access.Role{oidc.AllProjects: access.RoleAgent, "acme": access.RoleLead}}
	if who.Session == "" {
		t.Error("the issuer's own session is not known")
	}
	if age := time.Since(who.AuthenticatedAt); age < -time.Minute || age > time.Minute {
		t.Errorf("the person signed in there at %s", who.AuthenticatedAt)
	}
	who.Session, who.AuthenticatedAt = "", time.Time{}
	if diff := cmp.Diff(want, who); diff != "" {
		t.Error(diff)
	}
	if _, err := i.Finish(t.Context(), flow, q.Get("code"), q.Get("state"), q.Get("iss")); !errors.Is(err, oidc.ErrRefused) {
		t.Errorf("the code a second time: %v", err)
	}
}

func TestWhatAnIssuerMustNotSayIsRefused(t *testing.T) {
	t.Parallel()
	i := oidc.New(params(oidctest.Start(t)))
	for _, fault := range append(oidctest.Faults(), "verifier", "no code", "another issuer") {
		address, flow, err := i.Begin(t.Context(), oidc.AskSignIn)
		if err != nil {
			t.Fatal(err)
		}
		q := visit(t, address, oidctest.Pick("u1", []string{"support"}, fault))
		switch fault {
		case "verifier":
			flow.Verifier = flow.Nonce
		case "no code":
			q.Del("code")
		case "another issuer":
			q.Set("iss", "https://elsewhere.example")
		}
		if who, err := i.Finish(t.Context(), flow, q.Get("code"), q.Get("state"), q.Get("iss")); !errors.Is(err, oidc.ErrRefused) {
			t.Errorf("%s: %+v, %v", fault, who, err)
		}
	}
}

func TestWhoIsInNoGroupHasNoRole(t *testing.T) {
	t.Parallel()
	issuer := oidctest.Start(t)
	direct := params(issuer)
	direct.Roles = nil
	for name, c := range map[string]struct {
		p      oidc.Params
		groups []string
		want   map[string]access.Role
	}{
		"no group":                       {params(issuer), nil, map[string]access.Role{}},
		"groups that are not listed":     {params(issuer), []string{"admin", "canteen"}, map[string]access.Role{}},
		"without a list, words are said": {direct, []string{"lead", "acme=admin", "root", "=admin", "x="}, map[string]access.Role{"*": access.RoleLead, "acme": access.RoleAdmin}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := oidc.New(c.p)
			address, flow, err := i.Begin(t.Context(), oidc.AskSignIn)
			if err != nil {
				t.Fatal(err)
			}
			q := visit(t, address, oidctest.Pick("u1", c.groups, ""))
			who, err := i.Finish(t.Context(), flow, q.Get("code"), q.Get("state"), q.Get("iss"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, who.Roles); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnIssuerThatIsDownStopsNoStartAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	i := oidc.New(params("http://127.0.0.1:1"))
	for range 2 {
		if _, _, err := i.Begin(t.Context(), oidc.AskSignIn); err == nil || errors.Is(err, oidc.ErrRefused) {
			t.Errorf("error = %v", err)
		}
	}
}

// Security F12: a name of 100,000 characters was stored, and shown on every page.
func TestClaimsThatPagesShowAreBounded(t *testing.T) {
	t.Parallel()
	i := oidc.New(params(oidctest.Start(t)))
	address, flow, err := i.Begin(t.Context(), oidc.AskSignIn)
	if err != nil {
		t.Fatal(err)
	}
	q := visit(t, address, oidctest.Pick("u1", []string{"support"}, "long name"))
	who, err := i.Finish(t.Context(), flow, q.Get("code"), q.Get("state"), q.Get("iss"))
	if err != nil {
		t.Fatal(err)
	}
	if who.Name != "Pat"+strings.Repeat("é", 197) || who.Email != "" {
		t.Errorf("a name of %d characters, an address of %d", len([]rune(who.Name)), len(who.Email))
	}
}

// An address that the issuer did not verify could be anybody's.
func TestAnAddressIsVerifiedOnlyWhereTheIssuerSaysSo(t *testing.T) {
	t.Parallel()
	i := oidc.New(params(oidctest.Start(t)))
	for fault, want := range map[string]bool{"": true, "verified in words": true, "unverified": false, "verification unknown": false, "long name": false} {
		address, flow, err := i.Begin(t.Context(), oidc.AskSignIn)
		if err != nil {
			t.Fatal(err)
		}
		q := visit(t, address, oidctest.Pick("u1", []string{"support"}, fault))
		if who, err := i.Finish(t.Context(), flow, q.Get("code"), q.Get("state"), q.Get("iss")); err != nil || who.EmailVerified != want {
			t.Errorf("%q: %t, %v", fault, who.EmailVerified, err)
		}
	}
}

// ASVS 7.5.1: who is asked to prove again who they are is believed only with a
// time of it that lies after the question.
func TestAProofOfNowNeedsItsTime(t *testing.T) {
	t.Parallel()
	i := oidc.New(params(oidctest.Start(t)))
	for fault, refused := range map[string]bool{"": false, "no auth_time": true, "an old auth_time": true} {
		address, flow, err := i.Begin(t.Context(), oidc.AskAgain)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(address)
		if err != nil || u.Query().Get("prompt") != "login" || u.Query().Get("max_age") != "0" {
			t.Fatalf("asked by %s, %v", address, err)
		}
		q := visit(t, address, oidctest.Pick("u1", []string{"support"}, fault))
		if _, err := i.Finish(t.Context(), flow, q.Get("code"), q.Get("state"), q.Get("iss")); errors.Is(err, oidc.ErrRefused) != refused || !refused && err != nil {
			t.Errorf("%q: %v", fault, err)
		}
	}
}

func TestLogoutTokensAreCheckedAsTheSpecificationSays(t *testing.T) {
	t.Parallel()
	issuer := oidctest.Start(t)
	i := oidc.New(params(issuer))
	const event = "http://schemas.openid.net/event/backchannel-logout"
	type claims = map[string]any
	for name, c := range map[string]struct {
		claims claims
		fault  string
		good   bool
	}{
		"of a person":            {claims{"sub": "u1"}, "", true},
		"of a session":           {claims{"sid": "s1"}, "", true},
		"of neither":             {claims{}, "", false},
		"of a forger":            {claims{"sub": "u1"}, "signature", false},
		"of another issuer":      {claims{"sub": "u1", "iss": "https://elsewhere.example"}, "", false},
		"for another client":     {claims{"sub": "u1", "aud": "somebody-else"}, "", false},
		"expired":                {claims{"sub": "u1", "exp": time.Now().Add(-time.Hour).Unix()}, "", false},
		"without an end":         {claims{"sub": "u1", "exp": nil}, "", false},
		"good for a year":        {claims{"sub": "u1", "exp": time.Now().Add(365 * 24 * time.Hour).Unix()}, "", false},
		"from the future":        {claims{"sub": "u1", "iat": time.Now().Add(time.Hour).Unix()}, "", false},
		"without a time":         {claims{"sub": "u1", "iat": nil}, "", false},
		"without an id":          {claims{"sub": "u1", "jti": nil}, "", false},
		"without the event":      {claims{"sub": "u1", "events": nil}, "", false},
		"with another event":     {claims{"sub": "u1", "events": claims{event + "x": claims{}}}, "", false},
		"an id token, by nonce":  {claims{"sub": "u1", "nonce": "n"}, "", false},
		"with a long id":         {claims{"sub": "u1", "jti": strings.Repeat("j", 256)}, "", false},
		"larger than any reader": {claims{"sub": "u1", "x": strings.Repeat("x", 20_000)}, "", false},
	} {
		l, err := i.Logout(t.Context(), oidctest.LogoutToken(t, issuer, c.claims, c.fault))
		if c.good != (err == nil) || err != nil && !errors.Is(err, oidc.ErrRefused) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
		if c.good && (l.Issuer != issuer || l.ID == "" || l.Subject+l.Session == "" || l.Ends.IsZero()) {
			t.Errorf("%s: %+v", name, l)
		}
	}
	for _, none := range []string{"", "x", "a.b.c"} {
		if _, err := i.Logout(t.Context(), none); !errors.Is(err, oidc.ErrRefused) {
			t.Errorf("%q: %v", none, err)
		}
	}
}

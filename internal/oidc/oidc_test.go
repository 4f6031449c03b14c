package oidc_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
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
	address, flow, err := i.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q := visit(t, address, oidctest.Pick("u1", []string{"support", "leads", "canteen"}, ""))
	who, err := i.Finish(t.Context(), flow, q.Get("code"), q.Get("state"), q.Get("iss"))
	if err != nil {
		t.Fatal(err)
	}
	want := oidc.Identity{Issuer: url, Subject: "u1", Name: "Pat u1", Email: "u1@staff.example",
		Roles: map[string]access.Role{oidc.AllProjects: access.RoleAgent, "acme": access.RoleLead}}
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
		address, flow, err := i.Begin(t.Context())
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
			address, flow, err := i.Begin(t.Context())
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
		if _, _, err := i.Begin(t.Context()); err == nil || errors.Is(err, oidc.ErrRefused) {
			t.Errorf("error = %v", err)
		}
	}
}

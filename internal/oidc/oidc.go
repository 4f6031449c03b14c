// Package oidc signs people in at an OpenID Connect issuer: authorization code
// with PKCE, state and nonce (RFC 6749, RFC 7636, OpenID Connect Core 1.0).
//
// It owns the exchange with the issuer, the checks of its answers, and the
// mapping of an issuer's groups to roles here. It must not store anything:
// state during a sign-in is passed to the caller. A person without a mapped
// role gets none: there is no default.
package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/secret"
)

// ErrRefused: what came back from the issuer is not to be believed, or the
// issuer refused it.
var ErrRefused = errors.New("the issuer's answer is refused")

// AllProjects is a role's project where it holds for all.
const AllProjects = "*"

// callTimeout bounds one call to the issuer.
const callTimeout = 10 * time.Second

// Params are the issuer and the meaning of its claims.
type Params struct {
	Issuer       string
	ClientID     string
	ClientSecret secret.Text // may be empty: PKCE protects a public client
	RedirectURL  string
	Scopes       []string // beside openid
	// RolesClaim names the claim that lists groups or roles; dots lead into objects.
	RolesClaim string
	// Roles maps an entry of that claim to "role" or "project=role". Empty: the
	// entries are roles or "project=role" themselves.
	Roles map[string][]Grant
	HTTP  *http.Client // nil: one with deadlines
	Now   func() time.Time
}

// Grant is a role in a project.
type Grant struct {
	Project string // AllProjects is every one
	Role    access.Role
}

// Ask is what the issuer is asked for.
type Ask int

// The ways to ask (OpenID Connect Core 1.0, section 3.1.2.1).
const (
	AskSignIn Ask = iota
	AskSilent     // prompt=none: who is signed in there, without showing a page
	AskAgain      // prompt=login, max_age=0: prove who you are now
)

// Flow is the state to keep during a sign-in at the issuer.
type Flow struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Ask      Ask       `json:"ask,omitempty"`
	Begun    time.Time `json:"begun"`
}

// Identity is a person as the issuer names them.
type Identity struct {
	Issuer, Subject string
	Session         string // the issuer's own (sid); empty: it names none
	Name, Email     string
	EmailVerified   bool                   // the issuer says that the address is the person's (email_verified)
	Roles           map[string]access.Role // by project
	// AuthenticatedAt is when the person signed in at the issuer (auth_time); zero
	// if the issuer does not tell.
	AuthenticatedAt time.Time
}

// Issuer signs people in. It asks for the issuer's own description when it is
// first needed, so that an issuer that is down stops no start.
type Issuer struct {
	p    Params
	http *http.Client

	mu       sync.Mutex
	provider *goidc.Provider
}

// New makes an Issuer.
func New(p Params) *Issuer {
	if p.Now == nil {
		p.Now = time.Now
	}
	i := &Issuer{p: p, http: p.HTTP}
	if i.http == nil {
		i.http = &http.Client{Timeout: callTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return i
}

func (i *Issuer) discover(ctx context.Context) (*goidc.Provider, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.provider != nil {
		return i.provider, nil
	}
	// The provider keeps the context's client for fetching keys later, so the
	// context must not end with this request.
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	provider, err := goidc.NewProvider(goidc.ClientContext(ctx, i.http), i.p.Issuer)
	if err != nil {
		return nil, fmt.Errorf("read what the issuer says of itself: %w", err)
	}
	i.provider = provider
	return provider, nil
}

func (i *Issuer) client(p *goidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: i.p.ClientID, ClientSecret: i.p.ClientSecret.Reveal(), Endpoint: p.Endpoint(), RedirectURL: i.p.RedirectURL,
		Scopes: append([]string{goidc.ScopeOpenID}, i.p.Scopes...),
	}
}

// Begin gives the address where a person signs in.
func (i *Issuer) Begin(ctx context.Context, ask Ask) (string, Flow, error) {
	p, err := i.discover(ctx)
	if err != nil {
		return "", Flow{}, err
	}
	f := Flow{State: oauth2.GenerateVerifier(), Nonce: oauth2.GenerateVerifier(), Verifier: oauth2.GenerateVerifier(), Ask: ask, Begun: i.p.Now()}
	with := []oauth2.AuthCodeOption{goidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	switch ask {
	case AskSilent:
		with = append(with, oauth2.SetAuthURLParam("prompt", "none"))
	case AskAgain:
		with = append(with, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	case AskSignIn:
	}
	return i.client(p).AuthCodeURL(f.State, with...), f, nil
}

// Finish exchanges a code for an identity. issuer is the answer's own word for
// who sent it (RFC 9207); empty where it has none. Errors: ErrRefused.
func (i *Issuer) Finish(ctx context.Context, f Flow, code, state, issuer string) (Identity, error) {
	if subtle.ConstantTimeCompare([]byte(state), []byte(f.State)) != 1 || f.State == "" || code == "" {
		return Identity{}, fmt.Errorf("%w: the state is not the one that was sent", ErrRefused)
	}
	if issuer != "" && issuer != i.p.Issuer {
		return Identity{}, fmt.Errorf("%w: it comes from another issuer", ErrRefused)
	}
	p, err := i.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	ctx, cancel := context.WithTimeout(goidc.ClientContext(ctx, i.http), callTimeout)
	defer cancel()
	token, err := i.client(p).Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) && refused.Response.StatusCode < http.StatusInternalServerError {
			return Identity{}, fmt.Errorf("%w: the code is not taken (%d)", ErrRefused, refused.Response.StatusCode)
		}
		return Identity{}, fmt.Errorf("exchange the code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Identity{}, fmt.Errorf("%w: it holds no id token", ErrRefused)
	}
	id, err := p.VerifierContext(ctx, &goidc.Config{ClientID: i.p.ClientID, Now: i.p.Now}).Verify(ctx, raw)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 {
		return Identity{}, fmt.Errorf("%w: the nonce is not the one that was sent", ErrRefused)
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return Identity{}, fmt.Errorf("%w: its claims cannot be read", ErrRefused)
	}
	if fault := i.checkClaims(id, claims, f); fault != "" {
		return Identity{}, fmt.Errorf("%w: %s", ErrRefused, fault)
	}
	words := entries(claims, i.p.RolesClaim)
	if len(words) > maxEntries {
		return Identity{}, fmt.Errorf("%w: it lists more than %d groups", ErrRefused, maxEntries)
	}
	who := Identity{Issuer: id.Issuer, Subject: id.Subject, Roles: i.roles(words)}
	who.Session, _ = claims["sid"].(string)
	who.AuthenticatedAt, _ = authenticatedAt(claims)
	who.Name, _ = claims["name"].(string)
	who.Email, _ = claims["email"].(string)
	who.EmailVerified = isTrue(claims["email_verified"])
	if who.Name == "" {
		who.Name, _ = claims["preferred_username"].(string)
	}
	who.Name = shorten(who.Name)
	if len(who.Email) > maxEmail || shorten(who.Email) != who.Email {
		who.Email, who.EmailVerified = "", false // no address that a person has
	}
	return who, nil
}

// isTrue reads a claim that is true or false. Some issuers write it as text, as Apple does
// (https://developer.apple.com/documentation/signinwithapple/authenticating-users-with-sign-in-with-apple).
func isTrue(claim any) bool { return claim == true || claim == "true" }

// entries are the words of a claim: a list, or one string with spaces.
func entries(claims map[string]any, name string) []string {
	var v any = claims
	if direct, ok := claims[name]; ok {
		v = direct // a claim's name may hold dots itself, as a URL
	} else {
		for _, part := range strings.Split(name, ".") {
			m, ok := v.(map[string]any)
			if !ok {
				return nil
			}
			v = m[part]
		}
	}
	switch v := v.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// roles is what the entries come to: of two for a project, the one that may more.
func (i *Issuer) roles(entries []string) map[string]access.Role {
	out := map[string]access.Role{}
	for _, e := range entries {
		grants := i.p.Roles[e]
		if len(i.p.Roles) == 0 {
			if g, ok := ParseGrant(e); ok {
				grants = []Grant{g}
			}
		}
		for _, g := range grants {
			if have, ok := out[g.Project]; !ok || g.Role.AtLeast(have) {
				out[g.Project] = g.Role
			}
		}
	}
	return out
}

// ParseGrant reads "lead", for every project, or "acme=lead".
func ParseGrant(s string) (Grant, bool) {
	project, role, ok := strings.Cut(s, "=")
	if !ok {
		project, role = AllProjects, s
	}
	g := Grant{Project: project, Role: access.Role(role)}
	return g, project != "" && slices.Contains(access.Roles(), g.Role)
}

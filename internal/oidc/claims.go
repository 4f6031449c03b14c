package oidc

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	goidc "github.com/coreos/go-oidc/v3/oidc"
)

const (
	// skew is how far the issuer's clock may be ahead of ours.
	skew = 2 * time.Minute
	// maxID bounds identifiers: sub by OpenID Connect Core 1.0, section 2.
	maxID = 255
	// maxName and maxEmail bound claims that pages show.
	maxName  = 200
	maxEmail = 254
	// maxEntries bounds the groups of a person.
	maxEntries = 1000
	// maxLogoutToken bounds a logout token, which anyone can post.
	maxLogoutToken = 16 << 10
)

// checkClaims returns the fault of an id token's claims that the library does not
// look for; "" if there is none.
func (i *Issuer) checkClaims(id *goidc.IDToken, claims map[string]any, f Flow) string {
	now := i.p.Now()
	azp, named := claims["azp"]
	authenticated, proved := authenticatedAt(claims)
	sid, _ := claims["sid"].(string)
	switch {
	case id.Subject == "":
		return "it does not say who"
	case len(id.Subject) > maxID || len(sid) > maxID:
		return fmt.Sprintf("sub or sid is longer than %d characters", maxID)
	// Another client of the same issuer may have got this token for us to see
	// (OpenID Connect Core 1.0, section 3.1.3.7).
	case named && azp != i.p.ClientID:
		return "it was made for another client"
	case len(id.Audience) > 1 && !named:
		return "it is for several clients, and does not say for which it was made"
	case id.IssuedAt.IsZero():
		return "it does not say when it was made"
	case id.IssuedAt.After(now.Add(skew)):
		return "it was made in the future"
	case proved && authenticated.After(now.Add(skew)):
		return "the person signed in in the future"
	case f.Ask == AskAgain && !proved:
		return "it does not say when the person signed in"
	case f.Ask == AskAgain && authenticated.Before(f.Begun.Add(-skew)):
		return "the person did not sign in again"
	}
	return ""
}

// maxTime bounds times in claims: 9999-12-31, the last that RFC 3339 can write.
const maxTime = 253402300799

// authenticatedAt returns the claim auth_time, in seconds since 1970; false if it is
// missing or not a time.
func authenticatedAt(claims map[string]any) (time.Time, bool) {
	at, ok := claims["auth_time"].(float64)
	if !ok || at <= 0 {
		return time.Time{}, false
	}
	return time.Unix(int64(min(at, maxTime)), 0), true
}

// shorten bounds a claim that pages show, and takes out controls and what turns
// the direction of writing.
func shorten(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > maxName {
		return string(runes[:maxName])
	}
	return s
}

// Logout is what an issuer reports: a person, or one of its sessions, ended.
type Logout struct {
	Issuer, ID       string // ID is the token's
	Subject, Session string // one may be empty
	Ends             time.Time
}

// Logout checks a logout token (OpenID Connect Back-Channel Logout 1.0, section
// 2.6). The caller refuses a token's second use. Errors: ErrRefused.
func (i *Issuer) Logout(ctx context.Context, token string) (Logout, error) {
	if token == "" || len(token) > maxLogoutToken {
		return Logout{}, fmt.Errorf("%w: there is no logout token", ErrRefused)
	}
	p, err := i.discover(ctx)
	if err != nil {
		return Logout{}, err
	}
	ctx, cancel := context.WithTimeout(goidc.ClientContext(ctx, i.http), callTimeout)
	defer cancel()
	t, err := p.VerifierContext(ctx, &goidc.Config{ClientID: i.p.ClientID, Now: i.p.Now}).VerifyLogout(ctx, token)
	if err != nil {
		return Logout{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	switch now := i.p.Now(); {
	case len(t.TokenID) > maxID || len(t.Subject) > maxID || len(t.SessionID) > maxID:
		return Logout{}, fmt.Errorf("%w: jti, sub or sid is longer than %d characters", ErrRefused, maxID)
	case t.IssuedAt.IsZero() || t.IssuedAt.After(now.Add(skew)):
		return Logout{}, fmt.Errorf("%w: it does not say when it was made, or was made in the future", ErrRefused)
	case t.Expiry.Sub(now) > logoutLasts:
		return Logout{}, fmt.Errorf("%w: it is good for more than %s", ErrRefused, logoutLasts)
	}
	return Logout{Issuer: t.Issuer, ID: t.TokenID, Subject: t.Subject, Session: t.SessionID, Ends: t.Expiry}, nil
}

// logoutLasts bounds how long the ids of logout tokens must be remembered; the
// specification advises two minutes.
const logoutLasts = 24 * time.Hour

package sandbox

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Pipedream's published limits.
const (
	mintsPerMinute = 100  // per external user
	readsPerWindow = 2000 // accounts, per project and 5 minutes
)

func pipedreamOp(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/v1/oauth/token":
		return "oauth"
	case len(parts) == 5 && parts[4] == "validate":
		return "validate"
	case len(parts) > 2 && parts[2] == "apps":
		return "apps"
	case len(parts) == 4 && parts[3] == "tokens":
		return "mint"
	case len(parts) > 3:
		return parts[3] // accounts, oauth_apps
	}
	return ""
}

// servePipedream routes by hand: /connect/apps/{id} and /connect/{project}/…
// overlap, which http.ServeMux refuses to rank.
func (s *Sandbox) servePipedream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok {
		pipedreamError(w, http.StatusNotFound, "record not found")
		return
	}
	if path == "oauth/token" {
		s.pipedreamOAuth(w, r)
		return
	}
	parts := strings.Split(path, "/")
	if parts[0] != "connect" || len(parts) < 2 {
		pipedreamError(w, http.StatusNotFound, "record not found")
		return
	}
	parts = parts[1:]
	get := r.Method == http.MethodGet
	switch {
	case get && len(parts) == 3 && parts[0] == "tokens" && parts[2] == "validate":
		s.validateToken(w, r, parts[1])
	case get && parts[0] == "apps" && len(parts) <= 2:
		if _, ok := s.bearer(w, r, ""); ok {
			s.serveApps(w, r, parts[1:])
		}
	default:
		s.serveProject(w, r, parts[0], parts[1:])
	}
}

// serveProject is what lives under a project, and so in an environment.
func (s *Sandbox) serveProject(w http.ResponseWriter, r *http.Request, project string, rest []string) {
	need := map[string]string{"tokens": "connect:tokens:create", "accounts": "connect:accounts:read", "oauth_apps": ""}
	if len(rest) == 0 || len(rest) > 2 {
		pipedreamError(w, http.StatusNotFound, "record not found")
		return
	}
	scope, known := need[rest[0]]
	if !known {
		pipedreamError(w, http.StatusNotFound, "record not found")
		return
	}
	if _, ok := s.bearer(w, r, scope); !ok {
		return
	}
	if project != s.cred.PipedreamProjectID {
		pipedreamError(w, http.StatusNotFound, "record not found")
		return
	}
	environment := r.Header.Get("x-pd-environment")
	if environment != "development" && environment != "production" {
		pipedreamError(w, http.StatusBadRequest, "x-pd-environment must be development or production")
		return
	}
	get := r.Method == http.MethodGet
	switch {
	case rest[0] == "tokens" && len(rest) == 1 && r.Method == http.MethodPost:
		s.mint(w, r, environment)
	case rest[0] == "accounts" && get:
		if ok, reset := s.readRate.take(project, s.now()); !ok {
			s.pipedreamThrottled(w, readsPerWindow, reset)
			return
		}
		if len(rest) == 1 {
			s.listAccounts(w, r, environment)
		} else {
			s.getAccount(w, r, environment, rest[1])
		}
	case rest[0] == "oauth_apps" && get:
		s.serveOAuthApps(w, r, rest[1:])
	default:
		pipedreamError(w, http.StatusMethodNotAllowed, "method not allowed")
	}
}

const pipedreamType = "application/json; charset=utf-8"

func pipedreamError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, pipedreamType, map[string]string{"error": message})
}

func (s *Sandbox) pipedreamThrottled(w http.ResponseWriter, limit int, reset time.Duration) {
	seconds := max(int64((reset+time.Second-1)/time.Second), 1)
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(limit))
	w.Header().Set("X-RateLimit-Remaining", "0")
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(s.now().Unix()+seconds, 10))
	pipedreamError(w, http.StatusTooManyRequests, "Throttled")
}

// pipedreamScopes are the published ones.
func pipedreamScopes() []string {
	return strings.Fields(`* connect:* connect:actions:* connect:triggers:* connect:accounts:* connect:accounts:read connect:accounts:write
		connect:deployed_triggers:read connect:deployed_triggers:write connect:users:read connect:users:write connect:projects:read
		connect:projects:write connect:usage:read connect:tokens:create connect:proxy connect:workflow:invoke`)
}

// pipedreamOAuth is the client credentials grant: JSON in, a token of the
// requested scope only.
func (s *Sandbox) pipedreamOAuth(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		pipedreamError(w, http.StatusMethodNotAllowed, "method not allowed")
		return
	}
	var in struct {
		GrantType    string `json:"grant_type"`
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		Scope        string `json:"scope"`
	}
	if !decodeSmall(w, r, &in) {
		return
	}
	if in.GrantType != "client_credentials" {
		pipedreamError(w, http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	if in.ClientID != s.cred.PipedreamClientID || !sameSecret(in.ClientSecret, s.cred.PipedreamClientSecret) {
		writeJSON(w, http.StatusUnauthorized, pipedreamType, map[string]string{
			"error": "invalid_client", "error_description": "Client authentication failed.",
		})
		return
	}
	if in.Scope == "" {
		in.Scope = "*"
	}
	scopes := strings.Fields(in.Scope)
	for _, sc := range scopes {
		if !slices.Contains(pipedreamScopes(), sc) {
			pipedreamError(w, http.StatusBadRequest, "invalid_scope")
			return
		}
	}
	now := s.now().Unix()
	writeJSON(w, http.StatusOK, pipedreamType, map[string]any{
		"access_token": s.signBearer(bearerClaims{
			Iss: "https://api.pipedream.com", Aud: []string{"api", "catcher"}, Sub: "o_sandbox",
			Scopes: scopes, Iat: now, Nbf: now - 5, Exp: now + bearerLife,
		}),
		"token_type": "Bearer", "expires_in": bearerLife, "created_at": now, "scope": in.Scope,
	})
}

const bearerLife = 3600 // seconds

// bearerClaims are an access token's: signed, so that every process of a
// deployment knows it without a row.
type bearerClaims struct {
	Iss    string   `json:"iss"`
	Aud    []string `json:"aud"`
	Sub    string   `json:"sub"`
	Scopes []string `json:"scopes"`
	Iat    int64    `json:"iat"`
	Nbf    int64    `json:"nbf"`
	Exp    int64    `json:"exp"`
}

func (s *Sandbox) signBearer(c bearerClaims) string {
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers only
	}
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"EdDSA"}`))
	signed := head + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(s.keys.bearer, []byte(signed)))
}

// bearer checks the access token and its scope, answering when it will not do.
func (s *Sandbox) bearer(w http.ResponseWriter, r *http.Request, scope string) (bearerClaims, bool) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c, ok := s.readBearer(token)
	if !ok {
		pipedreamError(w, http.StatusUnauthorized, "unauthorized")
		return c, false
	}
	if scope != "" && !slices.ContainsFunc(c.Scopes, func(g string) bool { return covers(g, scope) }) {
		pipedreamError(w, http.StatusForbidden, "insufficient scope")
		return c, false
	}
	return c, true
}

func (s *Sandbox) readBearer(token string) (c bearerClaims, ok bool) {
	signed, sig, _ := cutLast(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil || !ed25519.Verify(s.keys.bearer.Public().(ed25519.PublicKey), []byte(signed), raw) {
		return c, false
	}
	_, payload, _ := strings.Cut(signed, ".")
	raw, err = base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return c, false
	}
	now := s.now().Unix()
	return c, c.Nbf <= now && now < c.Exp
}

// covers reports whether a granted scope, possibly with a star, includes another.
func covers(granted, needed string) bool {
	prefix, star := strings.CutSuffix(granted, "*")
	return granted == needed || star && strings.HasPrefix(needed, prefix)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// decodeSmall reads a JSON body, answering 400 when it is none.
func decodeSmall(w http.ResponseWriter, r *http.Request, v any) bool {
	if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(t) != jsonType {
		pipedreamError(w, http.StatusBadRequest, "Content-Type must be application/json")
		return false
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSmall)).Decode(v); err != nil {
		pipedreamError(w, http.StatusBadRequest, "invalid JSON body")
		return false
	}
	return true
}

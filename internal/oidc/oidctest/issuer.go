// Package oidctest is an OpenID Connect issuer for tests, run as a process of
// its own: discovery, authorization code with PKCE, a token endpoint, signed id
// tokens and their keys, as RFC 6749, RFC 7636, RFC 7517 and OpenID Connect Core
// and Discovery 1.0 have it.
//
// It signs with the standard library and imports nothing that it is to test, so
// that a misunderstanding in a client is not repeated here. Told to, it answers
// wrongly, in one of the ways that a client must refuse. It must not be imported
// by anything but tests.
package oidctest

import (
	"bufio"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// The client that the issuer knows.
const (
	ClientID     = "connectlink"
	ClientSecret = "only for tests"
)

// child says to a process that it is the issuer.
const child = "CONNECTLINK_OIDCTEST_ISSUER"

// Faults that an issuer's answer can have, as Pick's fault.
func Faults() []string {
	return []string{"nonce", "audience", "issuer", "expired", "signature", "unsigned", "hmac", "state", "no id token", "nobody", "another client",
		"several audiences", "from the future", "signed in in the future", "a long subject", "a long session", "many groups"}
}

// Main is what a TestMain calls first: in the process that is to be the issuer
// it serves, and does not return.
func Main() {
	if os.Getenv(child) == "" {
		return
	}
	if err := serveIssuer(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "issuer:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Start runs an issuer until the test ends and returns its address.
func Start(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), child+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // it ends with its standard input, also when we are killed
		_ = in.Close()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the issuer said no address: %v", err)
	}
	return strings.TrimSpace(address)
}

// Pick is how a person signs in at the issuer's page: the form that is sent to
// the address the client gave.
func Pick(subject string, groups []string, fault string) url.Values {
	return url.Values{"subject": {subject}, "groups": {strings.Join(groups, " ")}, "fault": {fault}}
}

// grant is a code that was handed out.
type grant struct {
	person

	query url.Values
	fault string
}

// person is signed in at the issuer.
type person struct {
	subject string
	groups  []string
	sid     string
	since   time.Time
}

type issuer struct {
	url   string
	key   *rsa.PrivateKey
	other *rsa.PrivateKey

	mu    sync.Mutex
	codes map[string]grant
	here  map[string]person // by session cookie
}

// cookie is of the issuer's own session.
const cookie = "issuer_session"

func serveIssuer() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &issuer{url: "http://" + l.Addr().String(), codes: map[string]grant{}, here: map[string]person{}}
	for _, key := range []**rsa.PrivateKey{&s.key, &s.other} {
		if *key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return err
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", s.discovery)
	mux.HandleFunc("GET /keys", s.keys)
	mux.HandleFunc("GET /authorize", s.page)
	mux.HandleFunc("POST /authorize", s.authorize)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /test/groups", s.setGroups)
	mux.HandleFunc("POST /test/logout-token", s.logoutToken)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if _, err := fmt.Println(s.url); err != nil {
		return err
	}
	return http.Serve(l, mux) //nolint:gosec // for tests
}

func writeAnswer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (s *issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	writeAnswer(w, http.StatusOK, map[string]any{
		"issuer": s.url, "authorization_endpoint": s.url + "/authorize", "token_endpoint": s.url + "/token", "jwks_uri": s.url + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
	})
}

func (s *issuer) keys(w http.ResponseWriter, _ *http.Request) {
	writeAnswer(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": encodeBase64(s.key.N.Bytes()), "e": encodeBase64(big.NewInt(int64(s.key.E)).Bytes()),
	}}})
}

func (s *issuer) page(w http.ResponseWriter, r *http.Request) {
	if fault := checkRequest(r.URL.Query()); fault != "" {
		http.Error(w, fault, http.StatusBadRequest)
		return
	}
	if q := r.URL.Query(); q.Get("prompt") == "none" {
		back := url.Values{"state": {q.Get("state")}, "iss": {s.url}}
		if p, ok := s.signedIn(r); ok {
			back.Set("code", s.newCode(grant{p, q, ""}))
		} else {
			back.Set("error", "login_required")
		}
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!doctype html><title>Issuer</title><form method="post"><input name="subject" value="pat"><input name="groups" value="support"><button>Sign in</button></form>`)
}

// checkRequest returns the fault of a request for a code.
func checkRequest(q url.Values) string {
	switch {
	case q.Get("response_type") != "code":
		return "unsupported_response_type"
	case q.Get("client_id") != ClientID:
		return "unknown client"
	case !strings.Contains(" "+q.Get("scope")+" ", " openid "):
		return "scope without openid"
	case q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43:
		return "PKCE with S256 is demanded"
	case len(q.Get("state")) < 20 || len(q.Get("nonce")) < 20:
		return "state and nonce are demanded"
	case !strings.HasSuffix(q.Get("redirect_uri"), "/console/sign-in/callback"):
		return "unknown redirect_uri"
	}
	return ""
}

func (s *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if fault := checkRequest(q); fault != "" {
		http.Error(w, fault, http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}, "iss": {s.url}}
	if r.FormValue("subject") == "" {
		back.Set("error", "access_denied")
	} else {
		p := person{r.PostFormValue("subject"), strings.Fields(r.PostFormValue("groups")), rand.Text(), time.Now()}
		if before, ok := s.signedIn(r); ok && before.subject == p.subject {
			p.sid = before.sid
		}
		token := rand.Text()
		s.mu.Lock()
		s.here[token] = p
		s.mu.Unlock()
		http.SetCookie(w, &http.Cookie{Name: cookie, Value: token, Path: "/", HttpOnly: true}) //nolint:gosec // for tests, on loopback
		back.Set("code", s.newCode(grant{p, q, r.PostFormValue("fault")}))
	}
	if r.FormValue("fault") == "state" {
		back.Set("state", rand.Text())
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (s *issuer) newCode(g grant) string {
	code := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = g
	return code
}

func (s *issuer) signedIn(r *http.Request) (person, bool) {
	c, err := r.Cookie(cookie)
	if err != nil {
		return person{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.here[c.Value]
	return p, ok
}

// setGroups changes the groups of a person who is signed in; without groups the
// person's sessions end.
func (s *issuer) setGroups(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, p := range s.here {
		if p.subject != r.FormValue("subject") {
			continue
		}
		p.groups = strings.Fields(r.PostFormValue("groups"))
		s.here[token] = p
		if len(p.groups) == 0 {
			delete(s.here, token)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// SetGroups changes the groups of a person at the issuer; none ends the person's
// sessions there.
func SetGroups(t testing.TB, issuer, subject string, groups ...string) {
	t.Helper()
	post(t, issuer+"/test/groups", url.Values{"subject": {subject}, "groups": {strings.Join(groups, " ")}})
}

// LogoutToken returns a signed logout token (OpenID Connect Back-Channel Logout 1.0,
// section 2.4). claims replace those of a good one; nil removes one. fault is
// "" or "signature".
func LogoutToken(t testing.TB, issuer string, claims map[string]any, fault string) string {
	t.Helper()
	return post(t, issuer+"/test/logout-token", url.Values{"claims": {string(mustMarshal(claims))}, "fault": {fault}})
}

func post(t testing.TB, address string, form url.Values) string {
	t.Helper()
	resp, err := http.PostForm(address, form) //nolint:gosec,noctx // of the test's own issuer
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("the issuer answers %d, %v", resp.StatusCode, err)
	}
	return string(b)
}

func (s *issuer) logoutToken(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	claims := map[string]any{
		"iss": s.url, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	var changes map[string]any
	if err := json.Unmarshal([]byte(r.FormValue("claims")), &changes); err != nil {
		http.Error(w, "claims", http.StatusBadRequest)
		return
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	key := s.key
	if r.FormValue("fault") == "signature" {
		key = s.other
	}
	_, _ = io.WriteString(w, signJWT(map[string]any{"alg": "RS256", "kid": "1", "typ": "logout+jwt"}, claims, key))
}

func signJWT(header, claims map[string]any, key *rsa.PrivateKey) string {
	text := encodeBase64(mustMarshal(header)) + "." + encodeBase64(mustMarshal(claims))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + encodeBase64(signature)
}

func (s *issuer) token(w http.ResponseWriter, r *http.Request) {
	id, password, ok := r.BasicAuth()
	if ok { // RFC 6749, section 2.3.1: both are form-encoded first
		id, _ = url.QueryUnescape(id)
		password, _ = url.QueryUnescape(password)
	} else {
		id, password = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != ClientID || subtle.ConstantTimeCompare([]byte(password), []byte(ClientSecret)) != 1 {
		writeAnswer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	s.mu.Lock()
	g, known := s.codes[r.PostFormValue("code")]
	delete(s.codes, r.PostFormValue("code")) // each serves once
	s.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("redirect_uri") != g.query.Get("redirect_uri") ||
		encodeBase64(sum[:]) != g.query.Get("code_challenge") {
		writeAnswer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	body := map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300}
	if g.fault != "no id token" {
		body["id_token"] = s.sign(g)
	}
	writeAnswer(w, http.StatusOK, body)
}

// sign makes an id token, with the fault that was asked for.
func (s *issuer) sign(g grant) string {
	now := time.Now()
	claims := map[string]any{
		"iss": s.url, "aud": ClientID, "sub": g.subject, "nonce": g.query.Get("nonce"), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"name": "Pat " + g.subject, "email": g.subject + "@staff.example", "email_verified": true, "groups": g.groups,
		"sid": g.sid, "auth_time": g.since.Unix(),
	}
	header := map[string]any{"alg": "RS256", "kid": "1", "typ": "JWT"}
	key := s.key
	maps.Copy(claims, map[string]map[string]any{
		"nonce": {"nonce": rand.Text()}, "audience": {"aud": "somebody-else"}, "issuer": {"iss": "https://elsewhere.example"},
		"nobody": {"sub": ""}, "another client": {"aud": []string{ClientID, "somebody-else"}, "azp": "somebody-else"},
		"several audiences": {"aud": []string{ClientID, "somebody-else"}}, "from the future": {"iat": now.Add(time.Hour).Unix()},
		"signed in in the future": {"auth_time": now.Add(time.Hour).Unix()}, "a long subject": {"sub": strings.Repeat("u", 256)},
		"a long session": {"sid": strings.Repeat("s", 256)}, "many groups": {"groups": make([]string, 1001)},
		"long name":  {"name": "\u202ePat\n" + strings.Repeat("é", 100_000), "email": strings.Repeat("p", 300) + "@staff.example"},
		"unverified": {"email_verified": false}, "verified in words": {"email_verified": "true"}, "verification unknown": {"email_verified": nil},
		"no auth_time": {"auth_time": nil}, "an old auth_time": {"auth_time": now.Add(-time.Hour).Unix()},
		"expired": {"exp": now.Add(-time.Hour).Unix(), "iat": now.Add(-2 * time.Hour).Unix()},
	}[g.fault])
	switch g.fault {
	case "signature":
		key = s.other
	case "unsigned":
		header["alg"] = "none"
	case "hmac": // the public key taken for a shared secret
		header["alg"] = "HS256"
	}
	if g.fault == "unsigned" {
		return encodeBase64(mustMarshal(header)) + "." + encodeBase64(mustMarshal(claims)) + "."
	}
	return signJWT(header, claims, key)
}

func mustMarshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func encodeBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

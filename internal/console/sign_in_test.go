package console_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/oidc/oidctest"
	"github.com/connectlink/connectlink/internal/secret"
)

const wanted = "/console/default/test/audit?act=unmask"

func TestSingleSignOnLeadsBackToThePageThatWasWanted(t *testing.T) {
	t.Parallel()
	issuer := oidctest.Start(t)
	s := newSite(t, withIssuer(issuer, "http://"+host))
	b := s.browser()
	// A page asks to sign in, and the sign-in remembers it.
	a := b.get("/console/default/test/home?x=1")
	door := b.get(a.location())
	if !strings.Contains(door.body, "/console/sign-in/issuer?back=%2fconsole%2fdefault%2ftest%2fhome%3fx%3d1") {
		t.Fatalf("the door does not know the way back:\n%s", door.body)
	}
	at := func(back string, form url.Values) answer {
		t.Helper()
		begun := b.get("/console/sign-in/issuer?back=" + url.QueryEscape(back))
		if !strings.HasPrefix(begun.location(), issuer+"/authorize?") {
			t.Fatalf("sent to %q", begun.location())
		}
		there := b.post(begun.location(), form)
		to, err := url.Parse(there.location())
		if err != nil || to.Hostname() != host {
			t.Fatalf("the issuer sends to %q, %v", there.location(), err)
		}
		return b.get(to.RequestURI())
	}
	a = at("/console/default/test/home?x=1", oidctest.Pick("u1", []string{"support"}, ""))
	if a.StatusCode != http.StatusSeeOther || a.location() != "/console/default/test/home?x=1" {
		t.Fatalf("after signing in: %d to %q\n%s", a.StatusCode, a.location(), a.body)
	}
	if page := b.follow(a); !strings.Contains(page.body, "Pat u1") || !strings.Contains(page.body, "Agent") {
		t.Error("the page does not say who is signed in")
	}
	// People without a role, and invalid answers of the issuer, are refused.
	for name, c := range map[string]struct {
		form   url.Values
		status int
		says   string
	}{
		"no role":       {oidctest.Pick("u2", []string{"canteen"}, ""), http.StatusForbidden, "Your account has no role here"},
		"wrong nonce":   {oidctest.Pick("u1", []string{"support"}, "nonce"), http.StatusUnauthorized, "Sign-in failed"},
		"wrong state":   {oidctest.Pick("u1", []string{"support"}, "state"), http.StatusUnauthorized, "Sign-in failed"},
		"they declined": {url.Values{}, http.StatusUnauthorized, "denied access"},
	} {
		b = s.browser()
		if a := at("", c.form); a.StatusCode != c.status || !strings.Contains(a.body, c.says) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body[strings.Index(a.body, "<main"):])
		}
		if a := b.get("/console/"); a.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: is inside", name)
		}
	}
	// An answer that another browser began is not taken.
	begun := s.browser().get("/console/sign-in/issuer")
	there := b.post(begun.location(), oidctest.Pick("u1", []string{"support"}, ""))
	to, _ := url.Parse(there.location())
	if a := s.browser().get(to.RequestURI()); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "another browser") {
		t.Errorf("another browser's answer: %d", a.StatusCode)
	}
	// A role that the issuer took away is gone at the next sign-in.
	b = s.browser()
	if a := at("", oidctest.Pick("u1", nil, "")); a.StatusCode != http.StatusForbidden {
		t.Errorf("without groups any more: %d", a.StatusCode)
	}
	if n := s.count(`SELECT count(*) FROM staff`); n != 1 {
		t.Errorf("%d accounts", n)
	}
	for _, canary := range []string{"u1@staff.example", "Pat u1", "cls_"} {
		if strings.Contains(s.log.String(), canary) {
			t.Errorf("the log holds %s", canary)
		}
	}
}

func emergency(t *testing.T, s *site, roles map[string]access.Role) {
	t.Helper()
	_, err := s.staff.Create(t.Context(), access.Principal{Kind: access.KindSystem}, grant.NewAccount{
		Login: secret.New("Sam@Northwind.example"), Name: "Sam", Password: secret.New("correct horse battery"), Roles: roles,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func credentials(login, password string) url.Values {
	return url.Values{"login": {login}, "password": {password}, "back": {wanted}}
}

func TestAnEmergencyAccountSignsInByPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	emergency(t, s, map[string]access.Role{"*": access.RoleLead})
	b := s.browser()
	var refusals []string
	for _, c := range []url.Values{credentials("sam@northwind.example", "wrong horse battery"), credentials("nobody@northwind.example", "correct horse battery")} {
		a := b.post("/console/sign-in", c)
		if a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, `role="alert"`) {
			t.Errorf("%d", a.StatusCode)
		}
		refusals = append(refusals, strings.ReplaceAll(mainOf(a.body), c.Get("login"), ""))
	}
	if refusals[0] != refusals[1] {
		t.Error("a wrong password and an unknown account are told apart")
	}
	a := b.post("/console/sign-in", credentials(" SAM@northwind.example", "correct horse battery"))
	if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.location(), "/console/sign-in/code?") {
		t.Fatalf("%d to %q", a.StatusCode, a.location())
	}
	if a := b.get(wanted); a.StatusCode != http.StatusSeeOther {
		t.Errorf("with the password alone: %d", a.StatusCode)
	}
	a = b.setUp(a.location())
	if page := b.follow(a); page.StatusCode != http.StatusOK || !strings.Contains(page.body, "Sam") {
		t.Errorf("the page: %d", page.StatusCode)
	}
	for _, canary := range []string{"northwind.example", "battery"} {
		if strings.Contains(s.log.String(), canary) {
			t.Errorf("the log holds %s", canary)
		}
	}
}

func mainOf(body string) string { return body[strings.Index(body, "<main"):] }

// appKey finds the key for the authenticator app on the page that sets it up.
func appKey(body string) string {
	m := regexp.MustCompile(`<code id="key" dir="ltr">([A-Z2-7 ]+)</code>`).FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return strings.ReplaceAll(m[1], " ", "")
}

// appCode is what an authenticator app with this key shows.
func (s *site) appCode(key string) string {
	s.t.Helper()
	s.exec(`UPDATE staff_totp SET last_step = 0`) // these tests are quicker than its 30 s
	var now time.Time
	if err := s.db.QueryRow(s.t.Context(), `SELECT now()`).Scan(&now); err != nil {
		s.t.Fatal(err)
	}
	return must[string](s.t)(totp.GenerateCode(key, now))
}

// setUp sets the authenticator app up and returns the answer that leads inside.
func (b *browser) setUp(address string) answer {
	b.s.t.Helper()
	shown := b.get(address)
	key := appKey(shown.body)
	if key == "" || !strings.Contains(shown.body, `<svg role="img"`) || shown.Header.Get("Cache-Control") != "no-store" {
		b.s.t.Fatalf("the page shows no key or no QR code: %d\n%s", shown.StatusCode, mainOf(shown.body))
	}
	u := must[*url.URL](b.s.t)(url.Parse(address))
	a := b.post("/console/sign-in/code", url.Values{"code": {b.s.appCode(key)}, "back": {u.Query().Get("back")}})
	codes := regexp.MustCompile(`[A-Z2-7]{4}(-[A-Z2-7]{4}){3}`).FindAllString(a.body, -1)
	if a.StatusCode != http.StatusOK || len(codes) != 10 {
		b.s.t.Fatalf("after the code: %d with %d recovery codes\n%s", a.StatusCode, len(codes), mainOf(a.body))
	}
	b.key, b.recovery = key, codes
	next := regexp.MustCompile(`class="button primary wide" href="([^"]+)"`).FindStringSubmatch(a.body)
	if next == nil {
		b.s.t.Fatal("no way inside")
	}
	a.Header.Set("Location", html.UnescapeString(next[1]))
	return a
}

func TestGuessingIsSlowedDownByDeviceAndByPlace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	emergency(t, s, map[string]access.Role{"*": access.RoleLead})
	sam := s.browser()
	sam.setUp(sam.post("/console/sign-in", credentials("sam@northwind.example", "correct horse battery")).location())
	b := s.browser()
	for _, login := range []string{"sam@northwind.example", "nobody@northwind.example"} {
		for range 5 {
			b.post("/console/sign-in", credentials(login, "wrong horse battery"))
		}
		a := b.post("/console/sign-in", credentials(login, "correct horse battery"))
		if a.StatusCode != http.StatusTooManyRequests || !strings.Contains(a.body, "Too many failed attempts. Try again in 1 minute.") || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s, after five wrong ones the right one: %d", login, a.StatusCode)
		}
	}
	// The same address, and a browser that signed in before.
	sam.post("/console/sign-out", nil)
	a := sam.post("/console/sign-in", credentials("sam@northwind.example", "correct horse battery"))
	if a.StatusCode != http.StatusSeeOther {
		t.Fatalf("a browser that signed in before: %d", a.StatusCode)
	}
	for _, wrongCode := range []string{"000000", "", sam.recovery[0] + "X"} {
		if a := sam.post("/console/sign-in/code", url.Values{"code": {wrongCode}}); a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, "The code is wrong or was used before") {
			t.Errorf("the code %q: %d", wrongCode, a.StatusCode)
		}
	}
	if a := sam.post("/console/sign-in/code", url.Values{"code": {sam.recovery[0]}, "back": {wanted}}); a.StatusCode != http.StatusSeeOther || a.location() != wanted {
		t.Errorf("a recovery code: %d to %q", a.StatusCode, a.location())
	}
	if a := sam.get(wanted); a.StatusCode != http.StatusOK {
		t.Errorf("inside: %d", a.StatusCode)
	}
	if a := s.browser().post("/console/sign-in/code", url.Values{"code": {sam.recovery[1]}}); a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, "Start again") {
		t.Errorf("a code without a password: %d", a.StatusCode)
	}
	for _, canary := range append(sam.recovery, sam.key) {
		if strings.Contains(s.log.String(), canary) {
			t.Error("the log holds a code or the key")
		}
	}
	s = newSite(t, func(p *console.Params) { p.Tries = limit.New(0.0001, 2, time.Now) })
	b = s.browser()
	var last answer
	for range 3 {
		last = b.post("/console/sign-in", credentials("a@b.example", "x"))
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("the third try from one place: %d", last.StatusCode)
	}
}

func TestSessionsEndAndSayWhy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, c := range map[string]struct {
		end  func(b *browser)
		says string
	}{
		"idle": {func(*browser) { s.exec(`UPDATE staff_sessions SET seen_at = now() - interval '31 minutes'`) }, "30 minutes of inactivity"},
		"old":  {func(*browser) { s.exec(`UPDATE staff_sessions SET created_at = now() - interval '12 hours 1 second'`) }, "Sessions last 12 hours"},
		// Vendors 12: a role that was removed at the issuer lived until the session's end.
		"by an issuer, 5 minutes old": {func(*browser) {
			s.exec(`UPDATE staff_sessions SET method = 'oidc', created_at = now() - interval '5 minutes 1 second' WHERE ended_at IS NULL`)
		}, "did not confirm that you are still signed in"},
		"signed out at the issuer": {func(*browser) { s.exec(`UPDATE staff_sessions SET ended_at = now(), ended_why = 'issuer'`) }, "signed out at single sign-on"},
		"revoked":                  {func(*browser) { s.exec(`UPDATE staff_sessions SET ended_at = now(), ended_why = 'revoked'`) }, "ended, by you elsewhere or by an administrator"},
		"disabled":                 {func(*browser) { s.exec(`UPDATE staff SET disabled_at = now()`) }, "disabled"},
		"signed out":               {func(b *browser) { b.post("/console/sign-out", nil) }, ""},
	} {
		b := s.signedIn(name, map[string]access.Role{"default": access.RoleLead})
		if a := b.get(wanted); a.StatusCode != http.StatusOK {
			t.Fatalf("%s: inside: %d", name, a.StatusCode)
		}
		c.end(b)
		a := b.get(wanted)
		to, err := url.Parse(a.location())
		if err != nil || a.StatusCode != http.StatusSeeOther || to.Path != "/console/sign-in" || to.Query().Get("back") != wanted {
			t.Errorf("%s: %d to %q", name, a.StatusCode, a.location())
		}
		if page := b.get(a.location()); !strings.Contains(page.body, c.says) || !strings.Contains(page.body, `value="`+strings.ReplaceAll(wanted, "&", "&amp;")+`"`) {
			t.Errorf("%s: the door does not say why, or forgot the way back:\n%s", name, mainOf(page.body))
		}
		s.exec(`UPDATE staff_sessions SET ended_at = now(), ended_why = 'revoked' WHERE ended_at IS NULL`)
		s.exec(`UPDATE staff SET disabled_at = NULL`)
	}
}

func TestATokenFromBeforeASignInIsWorthNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn("pat", map[string]access.Role{"default": access.RoleLead})
	u, _ := url.Parse(s.url)
	before := b.http.Jar.Cookies(u)
	if len(before) != 1 || before[0].Name != "connectlink_staff" {
		t.Fatalf("%d cookies", len(before))
	}
	emergency(t, s, map[string]access.Role{"default": access.RoleLead})
	b.setUp(b.post("/console/sign-in", credentials("sam@northwind.example", "correct horse battery")).location())
	thief := s.browser()
	thief.http.Jar.SetCookies(u, before)
	if a := thief.get(wanted); a.StatusCode != http.StatusSeeOther {
		t.Errorf("the earlier token: %d", a.StatusCode)
	}
	if a := b.get(wanted); a.StatusCode != http.StatusOK {
		t.Errorf("the new one: %d", a.StatusCode)
	}
	if s.count(`SELECT count(*) FROM staff_sessions WHERE digest = $1`, []byte(before[0].Value)) != 0 {
		t.Error("the token stands in the database")
	}
}

func TestCookiesAreBoundWhereThereIsHTTPS(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *console.Params) { p.HTTPS = true })
	token, err := s.staff.Link(t.Context(), access.Principal{Kind: access.KindSystem}, "pat", map[string]access.Role{"default": access.RoleLead}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	a := s.browser().post("/console/sign-in/link/"+token.Reveal(), nil)
	cookie := a.Header.Get("Set-Cookie")
	for _, want := range []string{"__Host-connectlink_staff=cls_", "; Path=/;", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie lacks %q", want)
		}
	}
	if strings.Contains(cookie, "Domain") || strings.Contains(cookie, "Max-Age") {
		t.Error("the cookie reaches further than it should")
	}
}

func TestNobodyIsSentAnywhereElse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn("pat", map[string]access.Role{"default": access.RoleLead})
	for _, back := range []string{"https://evil.example/console/", "//evil.example/console/x", `/\evil.example/console/`, "/console/../c/x", "/console/sign-out",
		"/v1/invites", "javascript:alert(1)", "/console/sign-in", "http:/console/x", "/console/\r\nSet-Cookie: a=b", "/console/%2e%2e/%2e%2e/x"} {
		if a := b.get("/console/sign-in?back=" + url.QueryEscape(back)); a.location() != "/console/" {
			t.Errorf("%q leads to %q", back, a.location())
		}
	}
	if a := b.get("/console/sign-in?back=" + url.QueryEscape(wanted)); a.location() != wanted {
		t.Errorf("the right one leads to %q", a.location())
	}
}

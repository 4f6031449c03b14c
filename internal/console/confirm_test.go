package console_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/oidc/oidctest"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/account"
)

const keysPath = "/console/default/live/keys"

// stale makes every proof of identity older than five minutes.
func (s *site) stale() {
	s.t.Helper()
	s.exec(`UPDATE staff_sessions SET created_at = now() - interval '301 seconds', confirmed_at = NULL, checked_at = now()`)
}

// hidden are the fields that a page keeps of a form.
func hidden(body string) url.Values {
	out := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(body, -1) {
		out.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return out
}

func (b *browser) signInAt(issuer, subject string, groups ...string) {
	b.s.t.Helper()
	begun := b.get("/console/sign-in/issuer")
	if a := b.back(b.post(begun.location(), oidctest.Pick(subject, groups, ""))); a.StatusCode != http.StatusSeeOther || a.location() != "/console/" {
		b.s.t.Fatalf("signing in at the issuer: %d to %q", a.StatusCode, a.location())
	}
}

// back follows an issuer's answer to the console.
func (b *browser) back(there answer) answer {
	b.s.t.Helper()
	to := must[*url.URL](b.s.t)(url.Parse(there.location()))
	if to.Hostname() != host {
		b.s.t.Fatalf("the issuer answers %d and sends to %q", there.StatusCode, there.location())
	}
	return b.get(to.RequestURI())
}

// ASVS 7.5.1 and 7.5.2: keys, erasure and the team need a proof of identity of
// the last five minutes, and the typed form survives it.
func TestActsOfConsequenceNeedAFreshProofByPasswordAndCode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	emergency(t, s, map[string]access.Role{"*": access.RoleAdmin})
	b := s.browser()
	b.setUp(b.post("/console/sign-in", credentials("sam@northwind.example", "correct horse battery")).location())
	form := url.Values{"name": {`A "key" <of> Sam's`}, "scope": {"invites:read", "invites:write"}, "days": {"30"}}
	if a := b.post(keysPath, form); a.StatusCode != http.StatusCreated {
		t.Fatalf("right after the sign-in: %d", a.StatusCode)
	}
	const someone = "stf_00000000000000000000000000"
	for _, path := range []string{keysPath, keysPath + "/key_00000000000000000000000000/revoke", "/console/default/live/team/" + someone + "/disable",
		"/console/default/live/team", "/console/default/live/team/" + someone + "/role", "/console/default/live/team/" + someone + "/link", "/console/default/live/team/" + someone + "/factor",
		"/console/default/live/team/" + someone + "/enable", "/console/default/live/team/sessions/ses_00000000000000000000000000/end",
		"/console/default/live/people/inv_00000000000000000000000000/erase"} {
		s.stale()
		if a := b.post(path, form); a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, "confirm_password") {
			t.Errorf("%s without a proof: %d", path, a.StatusCode)
		}
	}
	if n := s.count(`SELECT count(*) FROM api_keys`); n != 1 {
		t.Fatalf("%d keys", n)
	}
	s.stale()
	asked := b.post(keysPath, form)
	kept := hidden(asked.body)
	if kept.Encode() != form.Encode() {
		t.Fatalf("kept %v of %v", kept, form)
	}
	for name, c := range map[string]struct {
		password, code, says string
	}{
		"a wrong password": {"wrong horse battery", b.recovery[0], "Wrong email address or password"},
		"a wrong code":     {"correct horse battery", "000000", "The code is wrong"},
		"no code":          {"correct horse battery", "", "The code is wrong"},
	} {
		f := hidden(asked.body)
		f.Set("confirm_password", c.password)
		f.Set("confirm_code", c.code)
		a := b.post(keysPath, f)
		if a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, c.says) || hidden(a.body).Encode() != form.Encode() {
			t.Errorf("%s: %d, kept %v", name, a.StatusCode, hidden(a.body))
		}
		if strings.Contains(a.body, "horse") {
			t.Errorf("%s: the page holds the password", name)
		}
	}
	kept.Set("confirm_password", "correct horse battery")
	kept.Set("confirm_code", s.appCode(b.key))
	if a := b.post(keysPath, kept); a.StatusCode != http.StatusCreated || !strings.Contains(a.body, "cl_live_") {
		t.Fatalf("with the proof: %d", a.StatusCode)
	}
	if n := s.count(`SELECT count(*) FROM api_keys WHERE name = $1 AND 'invites:read' = ANY(scopes)`, form.Get("name")); n != 2 {
		t.Errorf("%d keys of the form", n)
	}
	if a := b.post(keysPath, form); a.StatusCode != http.StatusCreated {
		t.Errorf("another within five minutes: %d", a.StatusCode)
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act = 'identity_confirmed'`); n != 1 {
		t.Errorf("%d confirmations in the audit log", n)
	}
}

func TestNewRecoveryCodesReplaceTheOldOnes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	emergency(t, s, map[string]access.Role{"*": access.RoleAdmin})
	b := s.browser()
	b.setUp(b.post("/console/sign-in", credentials("sam@northwind.example", "correct horse battery")).location())
	old := b.recovery
	if a := b.get("/console/settings"); !strings.Contains(a.body, "You have 10 recovery codes left") {
		t.Error("the settings do not say how many are left")
	}
	const path = "/console/settings/recovery-codes"
	s.stale()
	if a := b.post(path, nil); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a proof: %d", a.StatusCode)
	}
	proof := func(code string) url.Values {
		return url.Values{"confirm_password": {"correct horse battery"}, "confirm_code": {code}}
	}
	made := b.post(path, proof(old[0]))
	codes := regexp.MustCompile(`[A-Z2-7]{4}(-[A-Z2-7]{4}){3}`).FindAllString(made.body, -1)
	if made.StatusCode != http.StatusOK || len(codes) != 10 || made.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d with %d codes", made.StatusCode, len(codes))
	}
	for i, c := range []struct {
		code   string
		status int
	}{{old[1], http.StatusUnauthorized}, {codes[9], http.StatusOK}, {codes[9], http.StatusUnauthorized}} {
		s.stale()
		if a := b.post(path, proof(c.code)); a.StatusCode != c.status {
			t.Errorf("%d: %d, want %d", i, a.StatusCode, c.status)
		}
	}
	if a := s.signedIn("dev", map[string]access.Role{"*": access.RoleAdmin}).post(path, nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("an account without a second factor: %d", a.StatusCode)
	}
}

func TestActsOfConsequenceNeedAFreshProofAtTheIssuer(t *testing.T) {
	t.Parallel()
	issuer := oidctest.Start(t)
	s := newSite(t, withIssuer(issuer, "http://"+host))
	b := s.browser()
	b.signInAt(issuer, "u1", "platform")
	form := url.Values{"name": {"A key"}, "scope": {"invites:read"}, "days": {"30"}}
	s.stale()
	asked := b.post(keysPath, form)
	if asked.StatusCode != http.StatusUnauthorized || !strings.Contains(asked.body, `href="/console/confirm/issuer"`) {
		t.Fatalf("without a proof: %d\n%s", asked.StatusCode, asked.body)
	}
	if n := s.count(`SELECT count(*) FROM staff_sessions WHERE position('A key' IN encode(held_form, 'escape')) > 0`); n != 0 {
		t.Error("the form is stored in clear")
	}
	again := func(subject, fault string) answer {
		t.Helper()
		begun := b.get("/console/confirm/issuer")
		u := must[*url.URL](t)(url.Parse(begun.location()))
		if u.Query().Get("prompt") != "login" || u.Query().Get("max_age") != "0" {
			t.Fatalf("asked by %s", begun.location())
		}
		return b.back(b.post(begun.location(), oidctest.Pick(subject, []string{"platform"}, fault)))
	}
	for name, a := range map[string]answer{"no time of the proof": again("u1", "no auth_time"), "an old proof": again("u1", "an old auth_time"), "another person": again("u2", "")} {
		if a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	if a := b.post(keysPath, form); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("after refused proofs: %d", a.StatusCode)
	}
	a := again("u1", "")
	if a.location() != "/console/confirm" {
		t.Fatalf("after the proof: %d to %q", a.StatusCode, a.location())
	}
	held := b.follow(a)
	if hidden(held.body).Encode() != form.Encode() || !strings.Contains(held.body, `action="`+keysPath+`"`) {
		t.Fatalf("the form is not kept: %d\n%s", held.StatusCode, mainOf(held.body))
	}
	if n := s.count(`SELECT count(*) FROM api_keys`); n != 0 {
		t.Errorf("a GET made %d keys", n)
	}
	if a := b.post(keysPath, hidden(held.body)); a.StatusCode != http.StatusCreated {
		t.Errorf("the form that waited: %d", a.StatusCode)
	}
	if a := b.get("/console/confirm"); a.location() != "/console/" {
		t.Errorf("the form is still held: %d", a.StatusCode)
	}
}

// At an unlocked workstation: signing out here and in again, where the issuer answers
// without a page, proves no identity.
func TestSignInByIssuerWithoutALoginThereIsNoProof(t *testing.T) {
	t.Parallel()
	issuer := oidctest.Start(t)
	s := newSite(t, withIssuer(issuer, "http://"+host))
	for fault, want := range map[string]int{"": http.StatusCreated, "an old auth_time": http.StatusUnauthorized, "no auth_time": http.StatusUnauthorized} {
		b := s.browser()
		begun := b.get("/console/sign-in/issuer")
		if a := b.back(b.post(begun.location(), oidctest.Pick("u1", []string{"platform"}, fault))); a.location() != "/console/" {
			t.Fatalf("%q: signing in: %d", fault, a.StatusCode)
		}
		if a := b.post(keysPath, url.Values{"name": {"A key"}, "scope": {"invites:read"}, "days": {"30"}}); a.StatusCode != want {
			t.Errorf("%q: %d, want %d", fault, a.StatusCode, want)
		}
	}
}

// Each answer of the issuer costs a row and a call to it, and needs no session.
func TestAnswersOfTheIssuerAreLimitedPerAddress(t *testing.T) {
	t.Parallel()
	issuer := oidctest.Start(t)
	s := newSite(t, withIssuer(issuer, "http://"+host), func(p *console.Params) { p.Answers = limit.New(0.0001, 2, time.Now) })
	var last answer
	for range 3 {
		b := s.browser()
		begun := b.get("/console/sign-in/issuer")
		last = b.back(b.post(begun.location(), oidctest.Pick("u1", []string{"platform"}, "")))
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" || len(last.Cookies()) != 0 {
		t.Errorf("the third answer from one address: %d", last.StatusCode)
	}
	if n := s.count(`SELECT count(*) FROM single_uses`); n != 2 {
		t.Errorf("%d answers are recorded", n)
	}
}

// ASVS 7.6.1 and 7.4.x: the issuer vouches for each session every five minutes, and
// a role that goes there goes here.
func TestARoleThatGoesAtTheIssuerGoesWithinFiveMinutes(t *testing.T) {
	t.Parallel()
	issuer := oidctest.Start(t)
	s := newSite(t, withIssuer(issuer, "http://"+host))
	b := s.browser()
	b.signInAt(issuer, "u1", "platform")
	age := func(seconds int) {
		s.exec(`UPDATE staff_sessions SET checked_at = now() - make_interval(secs => $1) WHERE ended_at IS NULL`, seconds)
	}
	page := "/console/default/live/home?x=1"
	roundTrip := func() answer { // console, issuer, console
		t.Helper()
		checked := b.get(page)
		if !strings.HasPrefix(checked.location(), "/console/sign-in/issuer?") {
			t.Fatalf("no check: %d to %q", checked.StatusCode, checked.location())
		}
		begun := b.get(checked.location())
		if u := must[*url.URL](t)(url.Parse(begun.location())); u.Query().Get("prompt") != "none" {
			t.Fatalf("asked by %q", begun.location())
		}
		return b.back(b.get(begun.location()))
	}
	sessions := func() int { return s.count(`SELECT count(*) FROM staff_sessions`) }
	for _, seconds := range []int{200, 301, 1200} {
		age(seconds)
		if a := roundTrip(); a.location() != page {
			t.Fatalf("after %d s: %d to %q", seconds, a.StatusCode, a.location())
		}
		if a := b.get(page); a.StatusCode != http.StatusOK {
			t.Errorf("vouched for: %d", a.StatusCode)
		}
	}
	if n := sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	// A part of a page and a stream are not sent to another host.
	age(301)
	for header, value := range map[string]string{"Sec-Fetch-Dest": "iframe", "Accept": "text/event-stream"} {
		b.extra.Set(header, value)
		if a := b.get(page); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d to %q", value, a.StatusCode, a.location())
		}
		b.extra.Del(header)
	}
	// A file waits for the check, and so does a form.
	file := "user-1,pat@customer.example\n\"user 2\",kim@customer.example\n"
	afterCheck := func(held answer) answer {
		t.Helper()
		link := regexp.MustCompile(`href="(/console/sign-in/issuer\?[^"]+)"`).FindStringSubmatch(held.body)
		if held.StatusCode != http.StatusUnauthorized || link == nil {
			t.Fatalf("a form: %d\n%s", held.StatusCode, mainOf(held.body))
		}
		return b.follow(b.back(b.get(b.get(html.UnescapeString(link[1])).location())))
	}
	if a := afterCheck(b.upload("/console/default/live/bulk/correct", file)); hidden(a.body).Get("text") != file {
		t.Errorf("the file is not kept: %d\n%s", a.StatusCode, mainOf(a.body))
	}
	age(301)
	form := url.Values{"name": {"A key"}, "scope": {"invites:read"}, "days": {"30"}}
	a := afterCheck(b.post(keysPath, form))
	if hidden(a.body).Encode() != form.Encode() {
		t.Errorf("the form is not kept: %d\n%s", a.StatusCode, mainOf(a.body))
	}
	// The role changes, and goes.
	oidctest.SetGroups(t, issuer, "u1", "support")
	age(301)
	if a := roundTrip(); a.location() != page {
		t.Errorf("with another role: %d to %q", a.StatusCode, a.location())
	}
	if a := b.get(keysPath); a.StatusCode != http.StatusForbidden {
		t.Errorf("keys without the role: %d", a.StatusCode)
	}
	oidctest.SetGroups(t, issuer, "u1", "canteen")
	age(301)
	if a := roundTrip(); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "Your account has no role here") {
		t.Errorf("without a role: %d", a.StatusCode)
	}
	if a := b.get(page); !strings.HasPrefix(a.location(), "/console/sign-in?") {
		t.Errorf("inside without a role: %d to %q", a.StatusCode, a.location())
	}
	// Who is signed out at the issuer is signed out here.
	b = s.browser()
	b.signInAt(issuer, "u3", "platform")
	oidctest.SetGroups(t, issuer, "u3")
	age(301)
	a = roundTrip()
	if q := must[*url.URL](t)(url.Parse(a.location())).Query(); q.Get("why") != "confirm" || q.Get("back") != page {
		t.Errorf("signed out at the issuer: %d to %q", a.StatusCode, a.location())
	}
	if n := s.count(`SELECT count(*) FROM staff_sessions WHERE ended_at IS NULL`); n != 0 {
		t.Errorf("%d sessions go on", n)
	}
}

func TestTheIssuerReportsLogouts(t *testing.T) {
	t.Parallel()
	issuer := oidctest.Start(t)
	s := newSite(t, withIssuer(issuer, "http://"+host))
	b, other := s.browser(), s.browser()
	b.signInAt(issuer, "u1", "support")
	other.signInAt(issuer, "u2", "support")
	const page, path = "/console/default/live/home", "/console/sign-in/logout"
	report := func(token string) answer { // of a server, which sends no Sec-Fetch headers
		t.Helper()
		from := s.browser()
		from.extra = http.Header{"Sec-Fetch-Site": nil}
		return from.post(path, url.Values{"logout_token": {token}})
	}
	for name, token := range map[string]string{
		"no token": "", "a forged one": oidctest.LogoutToken(t, issuer, map[string]any{"sub": "u1"}, "signature"),
		"an id token's": oidctest.LogoutToken(t, issuer, map[string]any{"sub": "u1", "nonce": "n"}, ""),
	} {
		if a := report(token); a.StatusCode != http.StatusBadRequest || a.Header.Get("Cache-Control") != "no-store" || !strings.Contains(a.body, `"invalid_request"`) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	if a := b.get(page); a.StatusCode != http.StatusOK {
		t.Fatalf("refused reports ended a session: %d", a.StatusCode)
	}
	token := oidctest.LogoutToken(t, issuer, map[string]any{"sub": "u1"}, "")
	if a := report(token); a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the report: %d %s", a.StatusCode, a.body)
	}
	if a := b.get(page); !strings.Contains(a.location(), "why=issuer") {
		t.Errorf("the person afterwards: %d to %q", a.StatusCode, a.location())
	}
	if a := other.get(page); a.StatusCode != http.StatusOK {
		t.Errorf("another person: %d", a.StatusCode)
	}
	if a := report(token); a.StatusCode != http.StatusBadRequest {
		t.Errorf("the report again: %d", a.StatusCode)
	}
	if strings.Contains(s.log.String(), token) {
		t.Error("the log holds a token")
	}
	if a := newSite(t).browser().post(path, url.Values{"logout_token": {token}}); a.StatusCode != http.StatusNotFound {
		t.Errorf("without an issuer: %d", a.StatusCode)
	}
	few := newSite(t, withIssuer(issuer, "http://"+host), func(p *console.Params) { p.Reports = limit.New(0.0001, 1, time.Now) })
	few.browser().post(path, nil)
	if a := few.browser().post(path, nil); a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" {
		t.Errorf("beyond the limit: %d", a.StatusCode)
	}
}

// Security F12: with an issuer that lets a code be used twice, a copied cookie signed
// in again.
func TestF12TheCookieOfASignInServesOnce(t *testing.T) {
	t.Parallel()
	issuer := oidctest.Start(t)
	s := newSite(t, withIssuer(issuer, "http://"+host))
	b := s.browser()
	begun := b.get("/console/sign-in/issuer")
	u := must[*url.URL](t)(url.Parse(s.url))
	copied := b.http.Jar.Cookies(u)
	there := b.post(begun.location(), oidctest.Pick("u1", []string{"support"}, ""))
	if a := b.back(there); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("the first time: %d", a.StatusCode)
	}
	thief := s.browser()
	thief.http.Jar.SetCookies(u, copied)
	if a := thief.back(there); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "Start again") {
		t.Errorf("the second time: %d", a.StatusCode)
	}
}

// ASVS 7.5.2: the 21st address that a session unmasks within an hour needs a proof.
func TestUnmaskingInBulkNeedsAFreshProof(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	emergency(t, s, map[string]access.Role{"*": access.RoleAgent})
	b := s.browser()
	b.setUp(b.post("/console/sign-in", credentials("sam@northwind.example", "correct horse battery")).location())
	var staff invite.StaffID
	var session invite.SessionID
	if err := s.db.QueryRow(t.Context(), `SELECT staff_id, id FROM staff_sessions`).Scan(&staff, &session); err != nil {
		t.Fatal(err)
	}
	unmasked := func(by access.Principal, times int) {
		t.Helper()
		err := postgres.InTx(t.Context(), s.db, func(tx pgx.Tx) error {
			for range times {
				if err := account.InsertAudit(t.Context(), tx, account.Entry{By: by, Act: access.ActUnmask, Target: invite.New[invite.ID]().String()}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	by := access.Staff(staff.String(), access.RoleAgent, invite.Place{Project: "default", Live: true})
	by.Origin.SessionID = session.String()
	elsewhere := by
	elsewhere.Origin.SessionID = invite.New[invite.SessionID]().String()
	unmasked(by, 19)
	unmasked(elsewhere, 19)
	s.stale()
	path := "/console/default/live/invites/" + invite.New[invite.ID]().String() + "/unmask"
	if a := b.post(path, nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("the 20th: %d", a.StatusCode)
	}
	unmasked(by, 1)
	if a := b.post(path, nil); a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, "confirm_password") {
		t.Errorf("the 21st: %d", a.StatusCode)
	}
	s.exec(`UPDATE staff_sessions SET confirmed_at = now()`)
	if a := b.post(path, nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("the 21st with a proof: %d", a.StatusCode)
	}
}

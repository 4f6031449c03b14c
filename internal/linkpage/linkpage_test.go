package linkpage_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/linkpage"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

func TestEveryAnswerForbidsStoringReferringAndIndexing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	c := "/c/" + m.Code.Reveal()
	for _, r := range [][2]string{{"GET", c}, {"HEAD", c}, {"POST", c}, {"POST", c + "/seen"}, {"GET", c + "/not-me"}, {"POST", c + "/not-me"}, {"POST", c + "/not-me/undo"}, {"GET", c + "/not-me/undo"}, {"POST", c + "/renew"}, {"GET", c + "/renew"},
		{"GET", c + "/verify"}, {"POST", c + "/verify"}, {"POST", c + "/verify/again"}, {"GET", c + "/verify/again"}, {"GET", "/done/" + m.Code.Reveal()}, {"GET", "/c/nope"}, {"POST", "/c/nope"},
		{"GET", "/r/acme?invite=inv_1&status=connected"}, {"HEAD", "/r/"}} {
		a := s.do(r[0], r[1])
		for name, want := range map[string]string{
			"Cache-Control": "no-store, no-transform", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex", "X-Content-Type-Options": "nosniff",
		} {
			if got := a.Header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s %s: %s is %q", r[0], r[1], name, got)
			}
		}
		if len(a.Cookies()) > 0 {
			t.Errorf("%s %s sets a cookie", r[0], r[1])
		}
		csp := a.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "form-action") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s %s: policy %q", r[0], r[1], csp)
		}
	}
}

func TestPageShowsTheInviteAndHidesTheAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{Content: &invite.Content{
		Recipient: invite.Recipient{Email: "pat@customer.example", Phone: "+12025550100", TimeZone: "Europe/Berlin"},
		Inviter:   "Sam <b>Rivera</b>\u202e http://evil.example", Reason: `"><script>alert(1)</script>`, Note: "n",
	}})
	a := s.do("GET", "/c/"+m.Code.Reveal())
	if a.StatusCode != http.StatusOK {
		t.Fatalf("status %d", a.StatusCode)
	}
	for _, want := range []string{"Connect your", "Slack", "Northwind", "p••@c•••.example", "pipedream.com", "Berlin", invite.ReferenceOf(m.ID), `method="post"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, not := range []string{"pat@customer", "2025550100", m.Token.Reveal(), "<b>Rivera", "<script>alert", "evil.example", "\u202e", "assets.pipedream"} {
		if strings.Contains(a.body, not) {
			t.Errorf("the page holds %q", not)
		}
	}
	if len(a.body) > 50<<10 {
		t.Errorf("the page has %d bytes", len(a.body))
	}
	nonce := regexp.MustCompile(`nonce="([^"]+)"`).FindStringSubmatch(a.body)
	if nonce == nil || !strings.Contains(a.Header.Get("Content-Security-Policy"), "'nonce-"+nonce[1]+"'") {
		t.Error("the policy does not allow the page's own style")
	}
	if b := s.do("GET", "/c/"+m.Code.Reveal()); nonce != nil && strings.Contains(b.body, nonce[1]) {
		t.Error("the nonce is used twice")
	}
}

func TestLookingChangesNothingButTheFetchLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	path := "/c/" + m.Code.Reveal()
	for _, ua := range []string{browser, "curl/8", "Slackbot-LinkExpanding 1.0", "python-requests/2", ""} {
		for range 10 {
			for _, method := range []string{"GET", "HEAD"} {
				if a := s.send(method, path, http.Header{"User-Agent": {ua}}, nil); a.StatusCode != http.StatusOK || (method == "HEAD" && a.body != "") {
					t.Fatalf("%s: status %d", method, a.StatusCode)
				}
			}
		}
	}
	got := s.Get(m.ID)
	if got.Status != invite.Active || got.Progress != invite.NotOpened || got.FirstHandedOutAt != nil {
		t.Errorf("invite is %s, %s", got.Status, got.Progress)
	}
	s.eventually("twenty fetches logged", func() bool {
		return s.Count(`SELECT count(*) FROM events WHERE type = 'link.fetched'`) == 20
	})
	if n := s.Count(`SELECT count(*) FROM events WHERE type NOT IN ('link.fetched', 'created')`); n != 0 {
		t.Errorf("%d other events", n)
	}
	if s.Vendor.Mints() != 0 {
		t.Error("a token was minted")
	}
	if a := s.press(path); a.StatusCode != http.StatusSeeOther {
		t.Errorf("afterwards the button gives %d", a.StatusCode)
	}
}

func TestButtonLeadsToPipedream(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	// As a browser sends it under no-referrer, from a page that it may have
	// opened out of another application.
	a := s.send("POST", "/c/"+m.Code.Reveal(), http.Header{"Origin": {"null"}, "Sec-Fetch-Site": {"cross-site"}, "Content-Type": {"application/x-www-form-urlencoded"}}, strings.NewReader(pressed))
	if a.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d", a.StatusCode)
	}
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || to.Host != "pipedream.com" || to.Query().Get("token") != m.Token.Reveal() || to.Query().Get("app") != "slack" {
		t.Errorf("leads to host %q", to.Host)
	}
	if again := s.press("/c/" + m.Code.Reveal()); again.Header.Get("Location") != a.Header.Get("Location") {
		t.Error("a double tap leads elsewhere")
	}
	if strings.Contains(s.log.String(), m.Token.Reveal()) || strings.Contains(s.log.String(), m.Code.Reveal()) {
		t.Error("the log holds the token or the code")
	}
}

func TestStatusesOfEndedInvites(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, c := range map[string]struct {
		event  invite.Event
		status int
		says   string
	}{
		"expired":   {invite.Event{Type: invite.EventExpired}, http.StatusGone, "expired"},
		"revoked":   {invite.Event{Type: invite.EventRevoked}, http.StatusGone, "cancelled"},
		"connected": {invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}}, http.StatusOK, "is connected"},
		"failed":    {invite.Event{Type: invite.EventConnectFailed}, http.StatusOK, "did not connect"},
	} {
		m := s.Invite(tracktest.Options{})
		s.Append(m.ID, c.event)
		a := s.do("GET", "/c/"+m.Code.Reveal())
		if a.StatusCode != c.status || !strings.Contains(a.body, c.says) {
			t.Errorf("%s: status %d, says so %t", name, a.StatusCode, strings.Contains(a.body, c.says))
		}
	}
}

func TestUnknownCodesLookAllAlike(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *linkpage.Params) { p.Guesses = unlimited{} })
	erased := s.Invite(tracktest.Options{})
	s.Exec(`UPDATE invites SET content = NULL WHERE id = $1`, erased.ID)
	nonce := regexp.MustCompile(`nonce="[^"]+"`)
	var first answer
	for i, code := range []string{access.NewCode().Reveal(), erased.Code.Reveal(), "x", strings.Repeat("a", 23), strings.Repeat("a", access.OldCodeLength), "%00", "%F0%9F%98%80", "..%2f..%2fetc", "%3Cscript%3E", strings.Repeat("A", 4000)} {
		for _, method := range []string{"GET", "POST"} {
			a := s.do(method, "/c/"+code)
			a.body = nonce.ReplaceAllString(a.body, "")
			if i == 0 && method == "GET" {
				first = a
			}
			if a.StatusCode != http.StatusNotFound || a.body != first.body {
				t.Errorf("%s code %d: status %d, other page %t", method, i, a.StatusCode, a.body != first.body)
			}
			var names, want []string
			for k := range a.Header {
				names = append(names, k)
			}
			for k := range first.Header {
				want = append(want, k)
			}
			slices.Sort(names)
			slices.Sort(want)
			if !slices.Equal(names, want) {
				t.Errorf("%s code %d: headers %v, want %v", method, i, names, want)
			}
		}
	}
}

func TestGuessingIsSlowedDownAndKnownCodesAreNot(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	var last answer
	for range 11 {
		last = s.do("GET", "/c/"+access.NewCode().Reveal())
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("the eleventh guess: status %d, Retry-After %q", last.StatusCode, last.Header.Get("Retry-After"))
	}
	if a := s.do("GET", "/c/"+m.Code.Reveal()); a.StatusCode != http.StatusOK {
		t.Errorf("a good link beside a guesser: status %d", a.StatusCode)
	}
}

func TestBusyIsAPageWithRetryAfter(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{NoLink: true})
	s.Vendor.Answer(http.StatusServiceUnavailable, "")
	for i := range 3 {
		a := s.press("/c/" + m.Code.Reveal())
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "Try again") {
			t.Fatalf("status %d, Retry-After %q", a.StatusCode, a.Header.Get("Retry-After"))
		}
		if offers := strings.Contains(a.body, "Still not working"); offers != (i == 2) {
			t.Errorf("press %d names somebody to turn to: %t", i+1, offers)
		}
	}
}

func TestDatabaseDownIsAPageToo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	s.Pool.Close()
	a := s.do("GET", "/c/"+m.Code.Reveal())
	if a.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || a.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, %s", a.StatusCode, a.Header.Get("Content-Type"))
	}
}

func TestBodiesAreCapped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	for _, path := range []string{"", "/seen", "/renew", "/not-me", "/not-me/undo"} {
		a := s.send("POST", "/c/"+m.Code.Reveal()+path, nil, strings.NewReader(strings.Repeat("x", 64<<10)))
		if a.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("POST %s: status %d", path, a.StatusCode)
		}
	}
	if got := s.Get(m.ID); got.Progress != invite.NotOpened {
		t.Errorf("progress is %s", got.Progress)
	}
}

func TestBeaconMarksAVisit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	for range 2 {
		if a := s.do("POST", "/c/"+m.Code.Reveal()+"/seen"); a.StatusCode != http.StatusNoContent {
			t.Errorf("status %d", a.StatusCode)
		}
	}
	if got := s.Get(m.ID); got.Progress != invite.Visited {
		t.Errorf("progress is %s", got.Progress)
	}
	if a := s.do("POST", "/c/"+access.NewCode().Reveal()+"/seen"); a.StatusCode != http.StatusNoContent {
		t.Errorf("an unknown code's beacon: status %d", a.StatusCode)
	}
}

func TestDoneWaitsCountsAndEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{Content: &invite.Content{ReturnURL: "https://product.example/back"}})
	s.HandOut(m)
	done := "/done/" + m.Code.Reveal()
	path, waited := done+"?outcome=success", 0
	for range 100 {
		a := s.do("GET", path)
		if !strings.Contains(a.body, "inishing") {
			t.Fatalf("status %d, not the page", a.StatusCode)
		}
		refresh := a.Header.Get("Refresh")
		longer := strings.Contains(a.body, "longer than usual")
		if longer != (waited >= 25) {
			t.Errorf("after %d s it says that it takes longer: %t", waited, longer)
		}
		if refresh == "" {
			break
		}
		seconds, next, ok := strings.Cut(refresh, ";url=")
		d, err := time.ParseDuration(seconds + "s")
		if !ok || err != nil {
			t.Fatalf("Refresh: %q", refresh)
		}
		waited += int(d.Seconds())
		path = next
	}
	if waited < 120 || waited > 600 {
		t.Errorf("the page asks for %d s", waited)
	}
	for _, odd := range []string{"-5", "99999999999999999999", "x", ""} {
		if a := s.do("GET", done+"?try="+odd); a.StatusCode != http.StatusOK {
			t.Errorf("try=%s: status %d", odd, a.StatusCode)
		}
	}
	s.mu.Lock()
	s.confirm = func(_ context.Context, id invite.ID) (bool, error) {
		s.Append(id, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
		return true, nil
	}
	s.mu.Unlock()
	a := s.do("GET", done+"?outcome=success")
	back := "https://product.example/back?invite=" + m.ID.String() + "&amp;status=connected"
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "is connected") || !strings.Contains(a.body, back) || !strings.Contains(a.body, `http-equiv="refresh"`) {
		t.Errorf("confirmed: status %d, way back %t", a.StatusCode, strings.Contains(a.body, back))
	}
}

// TestF12AnAppIsOpenedFromOurPage: a redirect to an app's own scheme leaves the
// person on a blank page where the browser wants a press, or has no such app.
func TestF12AnAppIsOpenedFromOurPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{Content: &invite.Content{ReturnURL: "com.example.app://done?x=1"}})
	s.HandOut(m)
	done, link := "/done/"+m.Code.Reveal(), "/c/"+m.Code.Reveal()
	if a := s.do("GET", done+"?outcome=success"); a.StatusCode != http.StatusOK || strings.Contains(a.body, "com.example.app") || strings.Contains(a.Header.Get("Refresh"), "com.example.app") {
		t.Errorf("before it is confirmed the app is opened: %d", a.StatusCode)
	}
	failed := `href="com.example.app://done?x=1&amp;invite=` + m.ID.String() + `&amp;status=failed"`
	if a := s.do("GET", done+"?outcome=error"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, failed) || strings.Contains(a.body, `http-equiv="refresh"`) {
		t.Errorf("after a failure: %d, a way back %t", a.StatusCode, strings.Contains(a.body, failed))
	}
	s.Append(m.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	back := `com.example.app://done?x=1&amp;invite=` + m.ID.String() + `&amp;status=connected"`
	a := s.do("GET", done+"?outcome=success")
	for _, want := range []string{"is connected", `href="` + back, "Back to <bdi>Northwind</bdi>", `http-equiv="refresh" content="1;url=` + back, "Without the app on this device"} {
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("confirmed: %d, %q is missing", a.StatusCode, want)
		}
	}
	if a := s.do("GET", link); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `href="`+back) || strings.Contains(a.body, `http-equiv="refresh"`) {
		t.Errorf("the link of a connected invite: %d, a way back %t", a.StatusCode, strings.Contains(a.body, back))
	}
}

func TestNoAppIsOpenedForAnInviteThatEnded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{Content: &invite.Content{ReturnURL: "com.example.app://done"}})
	s.Append(m.ID, invite.Event{Type: invite.EventRevoked})
	if a := s.do("GET", "/done/"+m.Code.Reveal()+"?outcome=success"); a.StatusCode != http.StatusGone {
		t.Errorf("status %d", a.StatusCode)
	}
}

package linkpage_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// guarded is an invite whose link asks for a passcode.
func (s *site) guarded(o tracktest.Options) tracktest.Made {
	s.t.Helper()
	m := s.Invite(o)
	s.Exec(`UPDATE invites SET verify = 'code' WHERE id = $1`, m.ID)
	return m
}

// digits are the newest passcode, as its message would carry it.
func (s *site) digits(m tracktest.Made) string {
	s.t.Helper()
	var sealed []byte
	var d invite.DeliveryID
	err := s.Pool.QueryRow(s.t.Context(), `SELECT digits, delivery_id FROM passcodes WHERE invite_id = $1 ORDER BY created_at DESC LIMIT 1`, m.ID).Scan(&sealed, &d)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(must(s.Box.Open(sealed, seal.AD{Column: "passcodes.digits", ID: d.UUID()})))
}

func (s *site) enter(path, digits string) answer {
	s.t.Helper()
	return s.post(path+"/verify", pressed+"&code="+url.QueryEscape(digits))
}

func TestThePageAsksForDigitsAndLeadsOnByTheirAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.guarded(tracktest.Options{})
	c := "/c/" + m.Code.Reveal()
	if a := s.do("GET", c); !strings.Contains(a.body, "Email me a code") {
		t.Error("the button does not say what it does")
	}
	// Before anything was sent there is nothing to enter, and looking sends nothing.
	if a := s.do("GET", c+"/verify"); a.StatusCode != http.StatusOK || strings.Contains(a.body, "one-time-code") {
		t.Errorf("before a press: %d", a.StatusCode)
	}
	if a := s.press(c); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != c+"/verify" {
		t.Fatalf("a press: %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	page := s.do("GET", c+"/verify")
	for _, want := range []string{`autocomplete="one-time-code"`, `inputmode="numeric"`, "p••@c•••.example", `action="` + c + `/verify"`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	digits := s.digits(m)
	if strings.Contains(page.body, digits) || strings.Contains(s.log.String(), digits) {
		t.Fatal("the page or the log holds the digits")
	}
	bad := "000000"
	if digits == bad {
		bad = "000001"
	}
	if a := s.enter(c, bad); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, "4 tries left") || a.Header.Get("Location") != "" {
		t.Errorf("wrong digits: %d", a.StatusCode)
	}
	if a := s.enter(c, "12345"); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, "six digits") {
		t.Errorf("five digits: %d", a.StatusCode)
	}
	a := s.enter(c, digits)
	if u := must(url.Parse(a.Header.Get("Location"))); a.StatusCode != http.StatusSeeOther || u.Query().Get("app") != "slack" || len(a.Cookies()) > 0 {
		t.Errorf("right digits: %d to %s", a.StatusCode, u.Host)
	}
	if again := s.enter(c, digits); again.Header.Get("Location") != a.Header.Get("Location") {
		t.Error("a double tap leads elsewhere")
	}
	if strings.Contains(s.log.String(), digits) {
		t.Error("the log holds the digits")
	}
}

func TestRobotsThatOpenAndPostCauseNoMessages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.guarded(tracktest.Options{})
	s.Exec(`UPDATE invites SET livemode = true WHERE id = $1`, m.ID)
	c := "/c/" + m.Code.Reveal()
	robot := http.Header{"User-Agent": {"Mozilla/5.0 (compatible; Mimecast-URL-Scan)"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	for _, r := range [][2]string{{"GET", c}, {"HEAD", c}, {"GET", c + "/verify"}, {"POST", c}, {"POST", c + "/verify/again"}, {"POST", c + "/verify"}} {
		for range 5 {
			s.send(r[0], r[1], robot, strings.NewReader("from=page&code=123456"))
		}
	}
	if n := s.Count(`SELECT count(*) FROM deliveries WHERE invite_id = $1`, m.ID); n != 1 {
		t.Errorf("%d messages for one invite", n)
	}
	// A robot that submits each form it is given, with all that is in it.
	for range 10 {
		s.send("POST", c+"/verify/again", robot, strings.NewReader("from=page&again=1"))
		s.Exec(`UPDATE passcodes SET created_at = created_at - interval '2 minutes' WHERE invite_id = $1`, m.ID)
		s.Exec(`UPDATE deliveries SET status = 'sent', next_at = NULL WHERE invite_id = $1 AND kind = 'passcode'`, m.ID)
	}
	if n := s.Count(`SELECT count(*) FROM passcodes WHERE invite_id = $1`, m.ID); n != 2 {
		t.Errorf("%d messages for a robot that does everything twice", n)
	}
}

// TestBrowserEntersDigits: without scripts and by the keyboard alone, from a link
// on a name that is not localhost to Pipedream's page.
func TestBrowserEntersDigits(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	s, there := newSite(t), newConnectPage(t)
	s.Vendor.LinkTo(there.URL + "/_static/connect.html")
	m := s.guarded(tracktest.Options{NoLink: true})
	ctx := newBrowser(t)
	enter := chromedp.KeyEvent("\r")
	err := chromedp.Do(ctx, noScripts(), chromedp.Navigate(s.named(t)+"/c/"+m.Code.Reveal()), chromedp.WaitVisible(chromedp.CSS(`main.ready`)),
		chromedp.Focus(chromedp.CSS(`main button[type=submit]`)), enter, chromedp.WaitVisible(chromedp.CSS(`main.verify #code`)))
	if err != nil {
		t.Fatal(err)
	}
	// The field has the focus: typed and pasted text goes there at once.
	if err := chromedp.Do(ctx, chromedp.KeyEvent("12 34"), enter, chromedp.WaitVisible(chromedp.CSS(`.fault[role=alert]`))); err != nil {
		t.Fatal(err)
	}
	digits := s.digits(m)
	if err := chromedp.Do(ctx, chromedp.KeyEvent(digits[:3]+" "+digits[3:]), enter, chromedp.WaitVisible(chromedp.CSS(`#there`))); err != nil {
		where, _ := chromedp.Run(ctx, chromedp.Location())
		u, _ := url.Parse(where)
		t.Fatalf("the browser is at host %s: %v", u.Host, err)
	}
	there.mu.Lock()
	defer there.mu.Unlock()
	if ref := there.seen[0].Header.Get("Referer"); ref != "" {
		t.Error("the code went along as a referrer")
	}
	if got := s.Get(m.ID); got.Progress != invite.Continued {
		t.Errorf("progress is %s", got.Progress)
	}
}

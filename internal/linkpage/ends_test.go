package linkpage_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/linkpage"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

const insideInstagram = "Mozilla/5.0 (Linux; Android 15; Pixel 8 Build/AP4A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/133.0.0.0 Mobile Safari/537.36 Instagram 369.0.0.46.101 Android"

func (s *site) expire(m tracktest.Made) {
	s.t.Helper()
	s.Exec(`UPDATE invites SET expires_at = now(), gives_up_at = now() WHERE id = $1`, m.ID)
	s.Exec(`UPDATE deliveries SET status = 'delivered', next_at = NULL WHERE invite_id = $1`, m.ID)
}

func (s *site) post(path, body string) answer {
	s.t.Helper()
	return s.send(http.MethodPost, path, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, strings.NewReader(body))
}

func TestAFreshLinkIsAskedForInOneTapAndTheAnswerTellsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	c := "/c/" + m.Code.Reveal()
	s.expire(m)
	page := s.do("GET", c)
	if page.StatusCode != http.StatusGone || !strings.Contains(page.body, `action="`+c+`/renew"`) || !strings.Contains(page.body, "Email me a new link") || !strings.Contains(page.body, "p••@c•••.example") {
		t.Fatalf("status %d, offer %t", page.StatusCode, strings.Contains(page.body, "/renew"))
	}
	first := s.post(c+"/renew", "")
	if first.StatusCode != http.StatusOK || !strings.Contains(first.body, "Look for a message from <bdi>Northwind</bdi>") {
		t.Errorf("status %d", first.StatusCode)
	}
	s.expire(m)
	again := s.post(c+"/renew", "") // too soon, so nothing is sent
	if withoutNonce(again.body) != withoutNonce(first.body) || again.StatusCode != first.StatusCode {
		t.Error("the second answer differs from the first")
	}
	if n := s.Count(`SELECT count(*) FROM deliveries WHERE invite_id = $1`, m.ID); n != 2 {
		t.Errorf("%d messages", n)
	}
	if a := s.do("GET", c+"/renew"); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != c {
		t.Errorf("a look at the form's address: %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	if a := s.post("/c/"+access.NewCode().Reveal()+"/renew", ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown code: %d", a.StatusCode)
	}
}

func TestNotForMeEndsTheLink(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{Channel: invite.SMS})
	c := "/c/" + m.Code.Reveal()
	if a := s.do("GET", c); !strings.Contains(a.body, `href="`+c+`/not-me"`) {
		t.Error("the page has no way to say so")
	}
	if a := s.do("GET", c+"/not-me"); a.StatusCode != http.StatusOK || strings.Count(a.body, `name="why"`) != 3 {
		t.Errorf("the form: %d", a.StatusCode)
	}
	words := "<b>who</b> are you? " + strings.Repeat("ü", 470)
	if a := s.post(c+"/not-me", url.Values{"words": {words}}.Encode()); a.StatusCode != http.StatusUnprocessableEntity ||
		!strings.Contains(a.body, `role="alert"`) || !strings.Contains(a.body, "&lt;b&gt;who&lt;/b&gt;") || !strings.Contains(a.body, "üüü</textarea>") {
		t.Errorf("without a reason: %d, keeps the words %t", a.StatusCode, strings.Contains(a.body, "üüü</textarea>"))
	}
	if got := s.Get(m.ID).Status; got != invite.Active {
		t.Fatalf("it ended without a reason: %s", got)
	}
	if a := s.post(c+"/not-me", url.Values{"from": {"page"}, "why": {"scam"}, "words": {words}, "suppress": {"1"}}.Encode()); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `action="`+c+`/not-me/undo"`) {
		t.Errorf("reported: %d", a.StatusCode)
	}
	if a := s.do("GET", c); a.StatusCode != http.StatusGone || !strings.Contains(a.body, "cancelled") {
		t.Errorf("afterwards: %d", a.StatusCode)
	}
	// The answer offers the way back; a look takes nothing back.
	undo := c + "/not-me/undo"
	if a := s.do("GET", undo); a.StatusCode != http.StatusSeeOther || s.Get(m.ID).Status != invite.Revoked {
		t.Errorf("a look at the way back: %d", a.StatusCode)
	}
	if a := s.post(undo, "from=page"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `action="`+c+`"`) || s.lifted.Load() != 1 {
		t.Errorf("taken back: %d, %d suppressions lifted", a.StatusCode, s.lifted.Load())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.suppressed) != 1 || s.suppressed[0].To.Reveal() != "+12025550100" {
		t.Errorf("%d addresses suppressed", len(s.suppressed))
	}
	if strings.Contains(s.log.String(), "üüü") || strings.Contains(s.log.String(), m.Code.Reveal()) {
		t.Error("the log holds their words or the code")
	}
}

func TestTextMessagesEndByAPressAndNeverByALook(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *linkpage.Params) {
		p.OneWay = func(string, invite.Place) bool { return true }
	})
	m := s.Invite(tracktest.Options{Channel: invite.SMS})
	stop := "/s/" + m.Code.Reveal()
	stopped := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.suppressed)
	}
	for range 3 {
		if a := s.do("GET", stop); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `action="`+stop+`"`) || !strings.Contains(a.body, "1\u00a0•••\u00a000</span></bdi>") {
			t.Fatalf("the question: %d", a.StatusCode)
		}
	}
	if a := s.do("GET", stop+"?lang=de"); !strings.Contains(a.body, "Keine SMS mehr erhalten?") || !strings.Contains(a.body, `action="`+stop+`?lang=de"`) {
		t.Error("the question is not asked in the language that was chosen")
	}
	robot := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {"Mozilla/5.0 (compatible; Barracuda Sentinel)"}}
	s.send(http.MethodPost, stop, robot, strings.NewReader("from=page"))
	if n := stopped(); n != 0 {
		t.Fatalf("a look or a robot ended them: %d", n)
	}
	if a := s.post(stop, "from=page"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "No more text messages") || !strings.Contains(a.body, `name="resume"`) {
		t.Errorf("after the press: %d", a.StatusCode)
	}
	s.mu.Lock()
	if len(s.suppressed) != 1 || !s.suppressed[0].OptOut || s.suppressed[0].To.Reveal() != "+12025550100" {
		t.Errorf("%d numbers were opted out", len(s.suppressed))
	}
	s.mu.Unlock()
	if got := s.Get(m.ID).Status; got != invite.Active {
		t.Errorf("the invite is %s", got)
	}
	if a := s.post(stop, "resume=1"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Stop text messages?") || s.resumed.Load() != 1 {
		t.Errorf("taken back: %d, %d times", a.StatusCode, s.resumed.Load())
	}
	// However the invite ended, its messages can still be stopped.
	s.Append(m.ID, invite.Event{Type: invite.EventRevoked})
	if a := s.post(stop, "from=page"); a.StatusCode != http.StatusOK || stopped() != 2 {
		t.Errorf("after the invite's end: %d, %d", a.StatusCode, stopped())
	}
	// What came by mail has no texts to stop, but mails.
	if a := s.do("GET", "/s/"+s.Invite(tracktest.Options{}).Code.Reveal()); strings.Contains(a.body, "Stop text messages") {
		t.Error("a link that came by mail offers to stop texts")
	}
	if a := s.do("GET", "/s/"+access.NewCode().Reveal()); a.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown code: %d", a.StatusCode)
	}
}

func TestWhereRepliesWorkThePageTakesNothingBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{Channel: invite.SMS})
	stop := "/s/" + m.Code.Reveal()
	if a := s.post(stop, "from=page"); strings.Contains(a.body, "resume") {
		t.Error("it offers what the provider would not follow")
	}
	s.post(stop, "resume=1")
	if n := s.resumed.Load(); n != 0 {
		t.Errorf("taken back %d times", n)
	}
}

func TestInsideAnAppThereIsAWayOutAndAWayThrough(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{App: "google_sheets"})
	c := "/c/" + m.Code.Reveal()
	inside := http.Header{"User-Agent": {insideInstagram}}
	a := s.send("GET", c, inside, nil)
	host := strings.TrimPrefix(s.URL, "http://")
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "inside <bdi>Instagram</bdi>") ||
		!strings.Contains(a.body, `href="intent://`+host+c+`#Intent;`) || !strings.Contains(a.body, `href="`+c+`?stay=1"`) ||
		!strings.Contains(a.body, "will probably refuse") || strings.Contains(a.body, "<form") {
		t.Errorf("status %d:\n%s", a.StatusCode, a.body[strings.Index(a.body, "<main"):])
	}
	if a := s.send("GET", c+"?stay=1", inside, nil); !strings.Contains(a.body, `<form method="post" action="`+c+`"`) {
		t.Error("no way through")
	}
	if a := s.do("GET", c); strings.Contains(a.body, "intent:") || !strings.Contains(a.body, "<form") {
		t.Error("an ordinary browser is sent away")
	}
	// Where there is nothing to sign in to, the browser does not matter.
	s.expire(m)
	if a := s.send("GET", c, inside, nil); a.StatusCode != http.StatusGone {
		t.Errorf("expired: %d", a.StatusCode)
	}
	// A forged host leads nowhere else.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/c/"+s.Invite(tracktest.Options{}).Code.Reveal(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example;package=evil"
	req.Header = http.Header{"User-Agent": {insideInstagram}, "Accept-Language": {"en"}}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if body := readAll(t, res.Body); strings.Contains(body, "intent:") || strings.Contains(body, "evil") {
		t.Errorf("status %d, and the forged host is in the page", res.StatusCode)
	}
}

func TestOnePressInTheMailProgramEndsMails(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	stop := "/s/" + m.Code.Reveal()
	if a := s.do("GET", stop); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Stop these emails?") || len(s.suppressed) != 0 {
		t.Fatalf("the question: %d, and %d addresses blocked", a.StatusCode, len(s.suppressed))
	}
	// RFC 8058, section 3.1: by a program, without cookies, with this body.
	program := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {"Mail-Provider-Unsubscribe-Bot/1.0"}}
	s.send(http.MethodPost, stop, program, strings.NewReader("from=page"))
	if n := len(s.suppressed); n != 0 {
		t.Fatalf("a robot that does not say that somebody pressed ended %d", n)
	}
	if a := s.send(http.MethodPost, stop, program, strings.NewReader("List-Unsubscribe=One-Click")); a.StatusCode != http.StatusOK {
		t.Errorf("one click: %d", a.StatusCode)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.suppressed) != 1 || s.suppressed[0].OptOut || s.suppressed[0].Channel != invite.Email || s.suppressed[0].To.Reveal() != "pat@customer.example" {
		t.Errorf("%d addresses were blocked", len(s.suppressed))
	}
}

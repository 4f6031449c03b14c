package linkpage_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// agents are what scanners and preview robots call themselves. The first is
// how the sly ones do: like a browser.
const agents = `
` + browser + `
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 SafeLinks
Mozilla/5.0 (compatible; Barracuda Sentinel (EE))
BarracudaCentral
Mimecast-URL-Scan
Mozilla/5.0 (compatible; Proofpoint URL Defense)
Mozilla/4.0 (compatible; ms-office; MSOffice 16)
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36
Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)
facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)
Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5
TelegramBot (like TwitterBot)
LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)
WhatsApp/2.24.1 A
python-requests/2.32
`

// invitesEach is how many invites each behaviour is tried on. The figures of
// the promise are for 200: CONNECTLINK_ROBOT_INVITES=200.
func invitesEach(t *testing.T) int {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv("CONNECTLINK_ROBOT_INVITES")); err == nil && n > 0 {
		return n
	}
	return 3
}

// TestRobotsChangeNothingAndPeopleGetThroughAfterThem replays what robots do
// with links, each on invites of its own, and sends a person after it.
func TestRobotsChangeNothingAndPeopleGetThroughAfterThem(t *testing.T) {
	t.Parallel()
	s, there := newSite(t), newConnectPage(t)
	s.Vendor.LinkTo(there.URL + "/_static/connect.html")
	ctx := newBrowser(t)
	n := invitesEach(t)
	asAgents := func(method string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			for _, agent := range strings.Split(strings.TrimSpace(agents), "\n") {
				a := s.send(method, path, http.Header{"User-Agent": {agent}}, nil)
				if a.StatusCode != http.StatusOK || a.Header.Get("Location") != "" || strings.Contains(a.body, "ctok_") {
					t.Errorf("%s as %q: status %d, leads to %q", method, agent, a.StatusCode, a.Header.Get("Location"))
				}
			}
		}
	}
	load := func(t *testing.T, path, then string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Navigate(s.named(t)+path), chromedp.WaitVisible(chromedp.CSS(`button[type=submit]`))); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](then, chromedp.EvalAwaitPromise)); err != nil {
			t.Fatal(err)
		}
	}
	for _, behaviour := range []struct {
		name    string
		do      func(t *testing.T, path string)
		clicked bool // a real click, which nobody can tell from a person's
	}{
		{"HEAD", asAgents(http.MethodHead), false},
		{"GET", asAgents(http.MethodGet), false},
		{"GET with scripts", func(t *testing.T, path string) {
			load(t, path, `new Promise(r => setTimeout(() => r(true), 1300))`)
		}, false},
		{"GET with forms submitted", func(t *testing.T, path string) {
			load(t, path, `document.querySelectorAll("form").forEach(f => f.submit()); true`)
			if err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(`.why[role=status]`))); err != nil {
				t.Fatalf("the form that a script submitted did not lead back to the page: %v", err)
			}
		}, false},
		{"POST without a page", asAgents(http.MethodPost), false},
		{"click", func(t *testing.T, path string) {
			load(t, path, `true`)
			if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`#there`))); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		visited, through := 0, 0
		for range n {
			m := s.Invite(tracktest.Options{NoLink: true})
			path := "/c/" + m.Code.Reveal()
			behaviour.do(t, path)
			switch got := s.Get(m.ID); {
			case got.Progress != invite.NotOpened:
				visited++
			case got.FirstHandedOutAt != nil:
				t.Errorf("%s: a link was handed out", behaviour.name)
			}
			// Later than a double tap: what a click used up must not matter.
			s.Exec(`UPDATE connect_links SET handed_out_at = handed_out_at - interval '2 minutes' WHERE invite_id = $1`, m.ID)
			if a := s.press(path); a.StatusCode == http.StatusSeeOther && strings.Contains(a.Header.Get("Location"), "token=ctok_") {
				through++
			}
			if got := s.Get(m.ID).Progress; got != invite.Continued {
				t.Errorf("%s: after the person's press progress is %s", behaviour.name, got)
			}
		}
		t.Logf("%s: %d invites, taken for a person's %d, people got through %d", behaviour.name, n, visited, through)
		if through != n {
			t.Errorf("%s: %d of %d people got through", behaviour.name, through, n)
		}
		if visited > 0 && !behaviour.clicked {
			t.Errorf("%s: %d of %d were taken for a person's", behaviour.name, visited, n)
		}
	}
}

// TestAPersonTakenForARobotGetsThroughByASecondPress is the price of the
// above, and all of it.
func TestAPersonTakenForARobotGetsThroughByASecondPress(t *testing.T) {
	t.Parallel()
	s, there := newSite(t), newConnectPage(t)
	s.Vendor.LinkTo(there.URL + "/_static/connect.html")
	m := s.Invite(tracktest.Options{NoLink: true})
	ctx := newBrowser(t)
	err := chromedp.Do(ctx, chromedp.Navigate(s.named(t)+"/c/"+m.Code.Reveal()), chromedp.WaitVisible(chromedp.CSS(`button[type=submit]`)))
	if err != nil {
		t.Fatal(err)
	}
	// An extension that strips what it does not know makes them look like a robot.
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelectorAll("form input").forEach(i => i.remove()); true`)); err != nil {
		t.Fatal(err)
	}
	err = chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`.why[role=status]`)),
		chromedp.Click(chromedp.CSS(`button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`#there`)))
	if err != nil {
		t.Fatal(err)
	}
	var how []string
	for _, e := range s.Events(m.ID) {
		if e.Type == invite.EventFetched && e.Data.LooksLike == invite.LooksLikeScanner {
			how = append(how, fmt.Sprint(e.Data.Signs))
		}
	}
	if len(how) != 1 || how[0] != "[post no_page_before]" {
		t.Errorf("what was taken for a robot: %v", how)
	}
	if got := s.Get(m.ID).Progress; got != invite.Continued {
		t.Errorf("progress is %s", got)
	}
}

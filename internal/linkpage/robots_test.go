package linkpage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/waittest"
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

// tabs is how many pages robots have open at once: most of their time they wait.
const tabs = 4

// robot is a browser tab without a person.
type robot struct {
	s   *site
	tab context.Context
}

// asAgents asks for a page under every name that robots go by.
func asAgents(method string) func(robot, string) error {
	return func(r robot, path string) error {
		var all error
		for _, agent := range strings.Split(strings.TrimSpace(agents), "\n") {
			a := r.s.send(method, path, http.Header{"User-Agent": {agent}}, nil)
			if a.StatusCode != http.StatusOK || a.Header.Get("Location") != "" || strings.Contains(a.body, "ctok_") {
				all = errors.Join(all, fmt.Errorf("%s as %q: status %d, leads to %q", method, agent, a.StatusCode, a.Header.Get("Location")))
			}
		}
		return all
	}
}

// load opens a page as browsers do, runs a script in it, and waits for what
// that leads to.
func (r robot) load(path, script, then string, press ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(r.tab, waittest.Limit) // far above what it takes
	defer cancel()
	u, err := url.Parse(r.s.URL)
	if err != nil {
		return err
	}
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+host+":"+u.Port()+path), chromedp.WaitVisible(chromedp.CSS(`button[type=submit]`))); err != nil {
		return fmt.Errorf("open the page: %w", err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise)); err != nil {
		return fmt.Errorf("run %s: %w", script, err)
	}
	if err := chromedp.Do(ctx, append(press, chromedp.WaitVisible(chromedp.CSS(then)))...); err != nil {
		return fmt.Errorf("wait for %s: %w", then, err)
	}
	return nil
}

// behaviours are what robots do with links.
func behaviours() []behaviour {
	return []behaviour{
		{"HEAD", asAgents(http.MethodHead), false},
		{"GET", asAgents(http.MethodGet), false},
		{"GET with scripts", func(r robot, path string) error {
			return r.load(path, `new Promise(r => setTimeout(() => r(document.visibilityState === "visible"), 1300)).then(v => { if (!v) throw "the page was hidden"; return v })`, `button[type=submit]`)
		}, false},
		// The form that a script submits leads back to the page.
		{"GET with forms submitted", func(r robot, path string) error {
			return r.load(path, `document.querySelectorAll("form").forEach(f => f.submit()); true`, `.why[role=status]`)
		}, false},
		{"POST without a page", asAgents(http.MethodPost), false},
		{"click", func(r robot, path string) error {
			return r.load(path, `true`, `#there`, chromedp.Click(chromedp.CSS(`button[type=submit]`)))
		}, true},
	}
}

type behaviour struct {
	name    string
	do      func(robot, string) error
	clicked bool // a real click, indistinguishable from a person's
}

// TestBrowserRobotsChangeNothingAndPeopleGetThroughAfterThem replays what robots do
// with links, each on invites of its own, and sends a person after it.
func TestBrowserRobotsChangeNothingAndPeopleGetThroughAfterThem(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	s, there := newSite(t), newConnectPage(t)
	s.Vendor.LinkTo(there.URL + "/_static/connect.html")
	ctx := newBrowser(t)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // the browser lives as long as its first tab
		t.Fatal(err)
	}
	n := invitesEach(t)
	var robots []robot
	for range min(tabs, n) {
		tab, stop := chromedp.NewContext(ctx)
		t.Cleanup(stop)
		// Each of them is looked at, as far as its page can tell.
		if _, err := chromedp.Call(tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
			t.Fatal(err)
		}
		robots = append(robots, robot{s, tab})
	}
	for _, b := range behaviours() {
		began := time.Now()
		invites := make(chan tracktest.Made, n)
		for i := range n {
			// Of as many people: Pipedream makes a hundred links a minute for one.
			invites <- s.Invite(tracktest.Options{NoLink: true, User: fmt.Sprintf("%s %d", b.name, i)})
		}
		close(invites)
		var visited, through atomic.Int32
		var all sync.WaitGroup
		for _, r := range robots {
			all.Go(func() {
				for m := range invites {
					v, ok, err := b.meets(r, m)
					if err != nil {
						t.Errorf("%s: %v", b.name, err)
					}
					if v {
						visited.Add(1)
					}
					if ok {
						through.Add(1)
					}
				}
			})
		}
		all.Wait()
		t.Logf("%s: %d invites, taken for a person's %d, people got through %d, in %s", b.name, n, visited.Load(), through.Load(), time.Since(began).Round(time.Second))
		if int(through.Load()) != n {
			t.Errorf("%s: %d of %d people got through", b.name, through.Load(), n)
		}
		if visited.Load() > 0 && !b.clicked {
			t.Errorf("%s: %d of %d were taken for a person's", b.name, visited.Load(), n)
		}
	}
}

// meets lets a robot at an invite, and then its person: whether the robot was
// taken for them, and whether they got through.
func (b behaviour) meets(r robot, m tracktest.Made) (visited, through bool, err error) {
	path := "/c/" + m.Code.Reveal()
	err = b.do(r, path)
	switch got := r.s.Get(m.ID); {
	case got.Progress != invite.NotOpened:
		visited = true
	case got.FirstHandedOutAt != nil:
		err = errors.Join(err, errors.New("a link was handed out"))
	}
	// Later than a double tap: what a click used up must not matter.
	r.s.Exec(`UPDATE connect_links SET handed_out_at = handed_out_at - interval '2 minutes' WHERE invite_id = $1`, m.ID)
	a := r.s.press(path)
	through = a.StatusCode == http.StatusSeeOther && strings.Contains(a.Header.Get("Location"), "token=ctok_")
	if got := r.s.Get(m.ID).Progress; got != invite.Continued {
		err = errors.Join(err, fmt.Errorf("after the person's press progress is %s", got))
	}
	return visited, through, err
}

// TestBrowserAPersonTakenForARobotGetsThroughByASecondPress is the price of the
// above, and all of it.
func TestBrowserAPersonTakenForARobotGetsThroughByASecondPress(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
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

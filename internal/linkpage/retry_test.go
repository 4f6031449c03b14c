package linkpage_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/waittest"
)

var retries = regexp.MustCompile(`data-retry="(\d+)"[^>]*>(?s:.*?)name="try" value="(\d+)"`)

// The matrix of recipients: while Pipedream was slow, people had to press again.
func TestRCTheBusyPageRetriesByItselfWithBackoffAndABound(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{NoLink: true})
	s.Vendor.Answer(http.StatusServiceUnavailable, "")
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	at := "/c/" + m.Code.Reveal()
	body, last, n := pressed, 0, 0
	for {
		a := s.send("POST", at, form, strings.NewReader(body))
		r := retries.FindStringSubmatch(a.body)
		if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Refresh") != "" {
			t.Fatalf("try %d: status %d, Refresh %q", n, a.StatusCode, a.Header.Get("Refresh"))
		}
		if r == nil {
			break
		}
		seconds := len(r[1])*1000 + int(r[1][0]) // grows with the number's length, then its first digit
		if n++; n > 20 || seconds < last || r[1] == "0" {
			t.Fatalf("try %d comes after %s s", n, r[1])
		}
		// As the script submits it: no hand, and Chromium does not speak for one.
		body, last = "from=page&js=1&g=&retry=1&try="+r[2], seconds
	}
	if n < 3 {
		t.Errorf("the page retries %d times", n)
	}
	if a := s.send("POST", at, form, strings.NewReader(pressed)); retries.FindString(a.body) == "" {
		t.Error("a person's own press does not begin the count again")
	}
	// What looks like a bot is not pressed for.
	if a := s.send("POST", at, form, strings.NewReader("from=page&js=1&g=&again=1")); a.StatusCode == http.StatusServiceUnavailable && retries.FindString(a.body) != "" {
		t.Error("a press without a hand is repeated")
	}
	s.Vendor.Answer(0, "")
	if a := s.send("POST", at, http.Header{"Content-Type": form["Content-Type"], "Sec-Fetch-Mode": {"navigate"}}, strings.NewReader("from=page&js=1&g=&retry=1&try=2")); a.StatusCode != http.StatusSeeOther {
		t.Errorf("a retry once Pipedream is back: status %d\n%s", a.StatusCode, a.body)
	}
	if got := s.Get(m.ID); got.Progress != invite.Continued {
		t.Errorf("the retry leaves the invite %s: it is not taken for the person's press", got.Progress)
	}
}

// A page that could not be read asks for itself again, without scripts too.
func TestRCAPageThatFailsIsAskedForAgainByItselfAndABound(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	s.Pool.Close()
	at := "/c/" + m.Code.Reveal()
	next, tries := at+"?lang=de&evil=%0d%0aX:1", 0
	for ; next != "" && tries < 20; tries++ {
		a := s.do("GET", next)
		if a.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("status %d", a.StatusCode)
		}
		_, next, _ = strings.Cut(a.Header.Get("Refresh"), ";url=")
		if next != "" && (!strings.HasPrefix(next, at+"?lang=de&try=") || strings.Contains(next, "evil")) {
			t.Fatalf("goes on to %q", next)
		}
	}
	if tries < 3 || tries > 10 {
		t.Errorf("asked for %d times", tries)
	}
	for _, c := range [][2]string{{"POST", at}, {"POST", at + "/renew"}, {"GET", "/done/" + m.Code.Reveal()}} {
		if a := s.do(c[0], c[1]); a.Header.Get("Refresh") != "" {
			t.Errorf("%s %s asks for itself again", c[0], c[1])
		}
	}
}

// quick makes a page's own waits short.
func quick(ctx context.Context, t *testing.T) {
	t.Helper()
	_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `(() => { const later = window.setTimeout; window.setTimeout = (f, ms) => later(f, Math.min(ms, 2000)); })()`,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBrowserRCGoesOnByItselfOncePipedreamIsBack(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	s, there := newSite(t), newConnectPage(t)
	s.Vendor.LinkTo(there.URL + "/_static/connect.html")
	s.Vendor.Answer(http.StatusServiceUnavailable, "")
	m := s.Invite(tracktest.Options{NoLink: true})
	ctx := newBrowser(t)
	quick(ctx, t)
	soon, cancel := context.WithTimeout(ctx, waittest.Limit)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(s.named(t)+"/c/"+m.Code.Reveal()), chromedp.WaitVisible(chromedp.CSS(`button[type=submit]`))); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(soon, append(hand(), chromedp.Click(chromedp.CSS(`button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`[data-retry-said]`)))...); err != nil {
		t.Fatal(err)
	}
	s.Vendor.Answer(0, "")
	if err := chromedp.Do(soon, chromedp.WaitVisible(chromedp.CSS(`#there`))); err != nil {
		where, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
		t.Fatalf("%v: %s", err, where)
	}
	if got := s.Get(m.ID); got.Progress != invite.Continued {
		t.Errorf("the invite is %s", got.Progress)
	}
}

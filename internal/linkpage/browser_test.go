package linkpage_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// host is not localhost: browsers make exceptions there that hide faults.
const host = "connect.example.test"

// newBrowser is a headless Chromium that finds host here.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	return browsertest.New(t, chromedp.UserAgent(browser), chromedp.Flag("host-resolver-rules", "MAP "+host+" 127.0.0.1"))
}

// connectPage stands in for Pipedream's page, on another origin.
type connectPage struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
}

func newConnectPage(t *testing.T) *connectPage {
	p := &connectPage{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, r)
		p.mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><title>Pipedream</title><h1 id="there">Connect</h1>`))
	}))
	t.Cleanup(p.Close)
	return p
}

func (s *site) named(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + host + ":" + u.Port()
}

func TestBrowserFollowsTheButtonToAnotherHost(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	s, there := newSite(t), newConnectPage(t)
	s.Vendor.LinkTo(there.URL + "/_static/connect.html")
	m := s.Invite(tracktest.Options{NoLink: true})
	ctx := newBrowser(t)
	if err := chromedp.Do(ctx, chromedp.Navigate(s.named(t)+"/c/"+m.Code.Reveal()), chromedp.WaitVisible(chromedp.CSS(`button[type=submit]`))); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, hand()...); err != nil {
		t.Fatal(err)
	}
	s.eventually("the beacon", func() bool { return s.Get(m.ID).Progress == invite.Visited })
	soon, cancel := context.WithTimeout(ctx, waittest.Limit)
	defer cancel()
	if err := chromedp.Do(soon, chromedp.Click(chromedp.CSS(`button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`#there`))); err != nil {
		where, _ := chromedp.Run(ctx, chromedp.Location())
		u, _ := url.Parse(where)
		t.Fatalf("the browser did not follow the button; it is at host %s: %v", u.Host, err)
	}
	there.mu.Lock()
	defer there.mu.Unlock()
	r := there.seen[0]
	if r.Method != http.MethodGet || r.URL.Query().Get("app") != "slack" || !strings.HasPrefix(r.URL.Query().Get("token"), "ctok_") {
		t.Errorf("arrived by %s at %s with app %q", r.Method, r.URL.Path, r.URL.Query().Get("app"))
	}
	if ref := r.Header.Get("Referer"); ref != "" {
		t.Error("the code went along as a referrer")
	}
	if got := s.Get(m.ID); got.Progress != invite.Continued || got.Status != invite.Active {
		t.Errorf("invite is %s, %s", got.Status, got.Progress)
	}
}

func TestBrowserGoesOnByItselfWhenTheConnectionIsConfirmed(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	s.HandOut(m)
	asked := 0
	s.confirm = func(_ context.Context, id invite.ID) (bool, error) {
		if asked++; asked < 3 {
			return false, nil
		}
		if asked > 3 {
			return false, errors.New("asked again after a yes")
		}
		s.Append(id, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
		return true, nil
	}
	ctx := newBrowser(t)
	err := chromedp.Do(ctx, chromedp.Navigate(s.named(t)+"/done/"+m.Code.Reveal()+"?outcome=success"), chromedp.WaitVisible(chromedp.CSS(`main.finishing`)), chromedp.WaitVisible(chromedp.CSS(`main.connected`)))
	if err != nil {
		t.Fatal(err)
	}
	styled, err := chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.querySelector("main")).borderRadius`))
	if err != nil || styled == "" || styled == "0px" {
		t.Errorf("the page's own style was not applied: %q, %v", styled, err)
	}
}

// hand moves the pointer over the page, as a person's does.
func hand() []chromedp.Action[chromedp.Void] {
	return []chromedp.Action[chromedp.Void]{
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 20, 20), chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 40, 30),
	}
}

func noScripts() chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	}
}

// TestBrowserInsideAnAppThatOnlyScriptsCanTell: Telegram on iOS calls itself Safari.
func TestBrowserInsideAnAppThatOnlyScriptsCanTell(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	s := newSite(t)
	m := s.Invite(tracktest.Options{})
	ctx := newBrowser(t)
	_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `window.TelegramWebviewProxy = {}`})
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(s.named(t)+"/c/"+m.Code.Reveal()), chromedp.WaitVisible(chromedp.CSS(`main.in_app`))); err != nil {
		t.Fatal(err)
	}
	says, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector(".lead").innerText`))
	if err != nil || !strings.Contains(says, "You are inside Telegram") {
		t.Errorf("the page says %q, %v", says, err)
	}
	// The way through stays open.
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`a[href$="?stay=1"]`)), chromedp.WaitVisible(chromedp.CSS(`main.ready`))); err != nil {
		t.Fatal(err)
	}
	if got, err := chromedp.Run(ctx, chromedp.Location()); err != nil || !strings.HasSuffix(got, "?stay=1") {
		t.Errorf("the page did not stay: %v", err)
	}
}

// Without scripts progress goes straight to continued, and all works.
func TestBrowserWithoutScripts(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	s, there := newSite(t), newConnectPage(t)
	s.Vendor.LinkTo(there.URL + "/_static/connect.html")
	m := s.Invite(tracktest.Options{NoLink: true})
	ctx := newBrowser(t)
	if err := chromedp.Do(ctx, noScripts()); err != nil {
		t.Fatal(err)
	}
	err := chromedp.Do(ctx, chromedp.Navigate(s.named(t)+"/c/"+m.Code.Reveal()), chromedp.Click(chromedp.CSS(`button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`#there`)))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Get(m.ID); got.Progress != invite.Continued {
		t.Errorf("progress is %s", got.Progress)
	}
}

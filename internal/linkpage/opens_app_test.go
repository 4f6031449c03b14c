package linkpage_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// TestBrowserF12StaysOnOurPageWhereThereIsNoApp: after a chain of redirects the
// page tries the app once and stays, with a button and with what to do.
func TestBrowserF12StaysOnOurPageWhereThereIsNoApp(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	s := newSite(t)
	m := s.Invite(tracktest.Options{Content: &invite.Content{ReturnURL: "acmeapp://done"}})
	s.HandOut(m)
	s.Append(m.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	vendor := httptest.NewServer(http.RedirectHandler(s.named(t)+"/done/"+m.Code.Reveal()+"?outcome=success", http.StatusFound))
	t.Cleanup(vendor.Close)
	ctx := newBrowser(t)
	var mu sync.Mutex
	tried := make(chan struct{}, 16)
	var tries []string
	err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*page.EventFrameRequestedNavigation); ok && strings.HasPrefix(e.URL, "acmeapp:") {
			mu.Lock()
			tries = append(tries, e.URL)
			mu.Unlock()
			tried <- struct{}{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(vendor.URL), chromedp.WaitVisible(chromedp.CSS(`a.button[href^="acmeapp://done"]`))); err != nil {
		t.Fatal(err)
	}
	select {
	case <-tried:
	case <-ctx.Done():
		t.Fatal("the app's scheme was not tried")
	}
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`a.button`))); err != nil {
		t.Fatal(err)
	}
	select {
	case <-tried:
	case <-ctx.Done():
		t.Fatal("the button does not try the app's scheme")
	}
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(`main`)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Slack is connected", "Back to Northwind", "Without the app on this device"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page: %s", want, text)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	want := "acmeapp://done?invite=" + m.ID.String() + "&status=connected"
	if len(tries) != 2 || tries[0] != want || tries[1] != want {
		t.Errorf("tried %q, want %q by itself and by the press", tries, want)
	}
}

package console_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/oidc/oidctest"
)

// tab is a person at a browser.
type tab struct {
	s   *site
	ctx context.Context //nolint:containedctx // the browser's, which is the tab itself
}

func (b tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.s.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.s.t.Fatal(err)
	}
}

func (b tab) text(selector string) string {
	b.s.t.Helper()
	return must[string](b.s.t)(chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector("`+selector+`")?.textContent ?? ""`)))
}

// submit presses the page's button and waits for what comes after.
func (b tab) submit(then string) {
	b.s.t.Helper()
	b.do(browsertest.Click(`main button[type=submit]`), chromedp.WaitVisible(chromedp.CSS(then)))
}

// shoot keeps a picture of the page as it stands, if CONNECTLINK_SCREENSHOTS is set.
func (b tab) shoot(name string) {
	b.s.t.Helper()
	browsertest.Picture(b.ctx, b.s.t, name+"-en", true)
}

// check finds accessibility faults of the page as it stands.
func (b tab) check(instrument *browsertest.Instrument, name string) {
	b.s.t.Helper()
	b.shoot(name)
	found, err := instrument.Look(browsertest.Page{Lang: "en", Dir: "ltr"})
	if err != nil {
		b.s.t.Fatalf("%s: %v", name, err)
	}
	for _, f := range found {
		b.s.t.Errorf("%s: %s", name, f)
	}
}

func TestBrowserAnEmergencyAccountSetsUpItsSecondFactor(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	s := newSite(t)
	emergency(t, s, map[string]access.Role{"*": access.RoleAdmin})
	b := tab{s, chromium(t)}
	instrument := browsertest.NewInstrument(b.ctx, t)
	password := func(then string) {
		t.Helper()
		b.do(chromedp.Navigate(s.url+"/console/default/live/keys"), chromedp.SendKeys(chromedp.CSS("#login"), "sam@northwind.example"),
			chromedp.SendKeys(chromedp.CSS("#password"), "correct horse battery"))
		b.submit(then)
	}
	password("#key")
	key := strings.ReplaceAll(b.text("#key"), " ", "")
	b.check(instrument, "second_factor_setup")
	b.do(chromedp.SendKeys(chromedp.CSS("#code"), s.appCode(key)))
	b.submit("#codes")
	codes := strings.Fields(b.text("#codes"))
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	b.check(instrument, "recovery_codes")
	b.do(browsertest.Click("main a.primary"), chromedp.WaitVisible(chromedp.CSS("#name")))

	// The typed name is kept over the proof of identity.
	s.stale()
	b.do(chromedp.SendKeys(chromedp.CSS("#name"), "Backend of <Sam>"), browsertest.Click(`form[aria-labelledby=new] button[type=submit]`),
		chromedp.WaitVisible(chromedp.CSS("#confirm_password")))
	b.check(instrument, "confirm")
	b.do(chromedp.SendKeys(chromedp.CSS("#confirm_password"), "correct horse battery"), chromedp.SendKeys(chromedp.CSS("#confirm_code"), s.appCode(key)))
	b.submit("#made")
	if n := s.count(`SELECT count(*) FROM api_keys WHERE name = 'Backend of <Sam>'`); n != 1 {
		t.Errorf("%d keys", n)
	}

	// The second sign-in asks for the code alone, and a recovery code does.
	s.exec(`UPDATE staff_sessions SET ended_at = now(), ended_why = 'revoked'`)
	password("#code")
	if b.text("#key") != "" {
		t.Error("the app is set up again")
	}
	b.check(instrument, "second_factor")
	b.do(chromedp.SendKeys(chromedp.CSS("#code"), strings.ToLower(codes[0])))
	b.submit("#name")
}

// The policy of our pages lets no form lead to another host, so the ways to the
// issuer and back are links and redirects, which only a browser shows to work.
func TestBrowserSingleSignOnConfirmsASessionAndKeepsAForm(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	issuer := oidctest.Start(t)
	s := newSite(t, withIssuer(issuer, "http://"+host))
	u := must[*url.URL](t)(url.Parse(s.url))
	b := tab{s, browsertest.New(t, chromedp.Flag("host-resolver-rules", "MAP "+host+":80 127.0.0.1:"+u.Port()))}
	keys := "http://" + host + "/console/default/live/keys"
	atIssuer := func(then string) {
		t.Helper()
		b.do(chromedp.WaitVisible(chromedp.CSS("input[name=subject]")), chromedp.SetValue(chromedp.CSS("input[name=subject]"), "u1"),
			chromedp.SetValue(chromedp.CSS("input[name=groups]"), "platform"), browsertest.Click("button"), chromedp.WaitVisible(chromedp.CSS(then)))
	}
	b.do(chromedp.Navigate(keys), browsertest.Click("main a.primary"))
	atIssuer("#name")
	send := func(name string) {
		t.Helper()
		b.do(chromedp.SendKeys(chromedp.CSS("#name"), name), browsertest.Click(`form[aria-labelledby=new] button[type=submit]`),
			chromedp.WaitVisible(chromedp.CSS("main a.primary")))
	}
	// Long after the issuer's last word: the way there and back shows nothing.
	s.exec(`UPDATE staff_sessions SET checked_at = now() - interval '6 minutes'`)
	send("first")
	b.shoot("confirm_sso")
	b.do(browsertest.Click("main a.primary"), chromedp.WaitVisible(chromedp.CSS("main form")))
	b.submit("#made")
	s.exec(`UPDATE staff_sessions SET checked_at = now() - interval '6 minutes'`)
	b.do(chromedp.Navigate(keys), chromedp.WaitVisible(chromedp.CSS("#name")))
	// A proof of identity shows the issuer's page.
	s.stale()
	send("second")
	b.do(browsertest.Click("main a.primary"))
	atIssuer("main form")
	b.submit("#made")
	if n := s.count(`SELECT count(*) FROM api_keys WHERE name IN ('first', 'second')`); n != 2 {
		t.Errorf("%d keys", n)
	}
	if n := s.count(`SELECT count(*) FROM staff_sessions`); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

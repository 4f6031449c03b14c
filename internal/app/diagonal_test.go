package app_test

import (
	"net/http"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/sandbox"
)

// diagonal are cells of the recipient matrix with each value of each axis at least
// once, for a real browser.
func diagonal() []*cell {
	ages, browsers := matrixAges(), matrixBrowsers()
	return []*cell{
		{age: ages[0], trouble: plainLink, browser: browsers[4]},
		{age: ages[1], trouble: botVisited, browser: browsers[1]},
		{age: ages[2], trouble: handedOutBefore, browser: browsers[3]},
		{age: ages[3], valid: true, trouble: tokenSpent, browser: browsers[2]},
		{age: ages[4], valid: true, trouble: failedBefore, browser: browsers[1]},
		{age: ages[2], valid: true, trouble: pipedreamDown, browser: browsers[0]},
		{age: ages[4], trouble: failedBefore, browser: browsers[4]},
	}
}

// screens are the visible parts of the small phones that people hold.
func (c *cell) screen() (width, height int64) {
	if c.browser.agent == smallPhone {
		return 320, 553
	}
	return 375, 553
}

// walkDiagonal takes a person with a real browser from the link to the account.
func (r *recipient) walkDiagonal(c *cell) {
	r.t.Helper()
	behind := *r.product
	behind.http = &http.Client{Timeout: patience, Transport: behindProxy{strings.TrimPrefix(r.base, "http://")}}
	m := &matrix{product: &behind, db: r.db}
	width, height := c.screen()
	r.emulate(c.browser)
	r.do("the screen", chromedp.EmulateViewport(width, height))
	if err := m.create(c); err != nil {
		r.t.Fatal(err)
	}
	m.delivered([]*cell{c}, 1)
	if err := m.trouble(c); err != nil {
		r.t.Fatal(err)
	}
	if c.trouble == failedBefore {
		m.waitForFailures([]*cell{c})
	}
	m.age(c.age, []*cell{c})
	ready := "ready"
	if c.trouble == failedBefore && !c.isLate() {
		ready = "could_not_connect"
	}
	link := c.link
	if c.isLate() {
		r.open(link, "expired")
		r.tapInView(`main.sent`)
		link = r.latest(c.id, 2)
		r.taps++ // which opens the message
	}
	if c.browser.agent == instagramsBrowser {
		r.open(link, "in_app")
		r.inView(`main a.button`)
		r.taps++ // Android opens the address in the phone's browser
		r.emulate(browserOfPerson{agent: smallPhone, language: c.browser.language, scripts: true})
	}
	r.open(link, ready)
	if c.browser.language == "ar" {
		r.do("the page is in Arabic", chromedp.WaitVisible(chromedp.CSS(`html[lang=ar][dir=rtl] main`)))
	}
	if c.trouble == pipedreamDown {
		if err := r.app.Sandbox().SetFaults(sandbox.Faults{Pipedream: []sandbox.Fault{{Ops: []string{"mint"}, Status: http.StatusServiceUnavailable}}}); err != nil {
			r.t.Fatal(err)
		}
		r.tapInView(`main.busy`)
		if err := r.app.Sandbox().SetFaults(sandbox.Faults{}); err != nil {
			r.t.Fatal(err)
		}
	}
	r.tapInView(pipedreamsButton)
	taps := c.taps()
	if c.trouble == pipedreamDown {
		taps++ // not everyone waits until the page tries again by itself
	}
	r.connects(c.id, taps)
}

// behindProxy asks the process itself for a page of its public host.
type behindProxy struct{ host string }

func (b behindProxy) RoundTrip(req *http.Request) (*http.Response, error) {
	inner := req.Clone(req.Context())
	if req.URL.Host == publicHost {
		inner.URL.Scheme, inner.URL.Host = "http", b.host
	}
	res, err := http.DefaultTransport.RoundTrip(inner)
	if err == nil {
		res.Request = req
	}
	return res, err
}

// emulate makes the tab another browser.
func (r *recipient) emulate(b browserOfPerson) {
	r.t.Helper()
	_, err := chromedp.Call(r.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: b.agent, AcceptLanguage: b.language})
	if err == nil {
		_, err = chromedp.Call(r.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !b.scripts})
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// tapInView demands that the main button can be pressed without scrolling, and presses it.
func (r *recipient) tapInView(then string) {
	r.t.Helper()
	r.inView(`main button[type=submit]`)
	r.tap(then)
}

// inView demands that an element lies on the first screen. The striped bar of test mode is
// not on the pages of people.
func (r *recipient) inView(selector string) {
	r.t.Helper()
	below, err := chromedp.Run(r.ctx, chromedp.Evaluate[float64](`document.querySelector("`+selector+`").getBoundingClientRect().bottom -
		(document.querySelector(".test")?.getBoundingClientRect().height ?? 0) - innerHeight`))
	if err != nil {
		r.t.Fatal(err)
	}
	if below > 0 {
		r.t.Errorf("%s ends %.0f px below the first screen", selector, below)
	}
}

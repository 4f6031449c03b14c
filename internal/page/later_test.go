package page_test

import (
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// "Reload this page in 1 minute" asked the person to watch a clock, and a reload
// takes away the digits that are being typed.
func TestBrowserRCAnotherCodeIsOfferedByItselfAndKeepsWhatIsTyped(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	srv := serve(t, nil)
	_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `window.waits = []; window.setTimeout = (f, ms) => { window.waits.push([f, ms]); return 1; };`,
	})
	if err != nil {
		t.Fatal(err)
	}
	const look = `[...document.querySelectorAll("form")].map(f => f.hidden + " " + new URL(f.action).pathname.split("/").pop()).join() + " " +
		(document.querySelector("[data-until]").offsetParent !== null) + " " + document.querySelector("#code").value`
	if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/page/en/verify"), chromedp.SendKeys(chromedp.CSS("#code"), "123")); err != nil {
		t.Fatal(err)
	}
	before, err := chromedp.Run(ctx, chromedp.Evaluate[string](look))
	if err != nil {
		t.Fatal(err)
	}
	after, err := chromedp.Run(ctx, chromedp.Evaluate[string](`waits.filter(w => w[1] === 60000).forEach(w => w[0]()), `+look))
	if err != nil {
		t.Fatal(err)
	}
	if before != "false verify,true again true 123" || after != "false verify,false again false 123" {
		t.Errorf("before %q, after a minute %q", before, after)
	}
}

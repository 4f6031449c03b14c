package page_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// findings runs axe-core and returns serious and critical violations as
// sentences.
const findings = `axe.run(document, { resultTypes: ["violations"] }).then(r => r.violations
	.filter(v => v.impact === "serious" || v.impact === "critical")
	.flatMap(v => v.nodes.map(n => v.impact + " " + v.id + ": " + n.html.slice(0, 120) + " – " + n.failureSummary.replace(/\s+/g, " "))))`

func TestBrowserPagesAreAccessible(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join("..", "browsertest", "axe", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range measured() {
		t.Run(lang, func(t *testing.T) { // one after the other: each has a browser, and its time, to itself
			examineAll(t, lang, string(axe))
		})
	}
}

// examineAll looks at every page of a language. A page is opened once; then its
// scheme and its width are changed under it.
func examineAll(t *testing.T, lang, axe string) {
	ctx := browser(t)
	srv := serve(t, nil)
	open := func(name, then string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/page/"+lang+"/"+name)); err != nil {
			t.Fatal(err)
		}
		for _, script := range []string{axe + "; true", then + "; true"} {
			if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script)); err != nil {
				t.Fatal(err)
			}
		}
	}
	examine := func() []string {
		t.Helper()
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](findings, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	// The instrument first: it must find the deliberate violations.
	open("not_me", `document.querySelector("label.field").remove();
		document.documentElement.removeAttribute("lang"); document.querySelector(".lead").style.color = "#ddd"`)
	spoilt := strings.Join(examine(), "\n")
	for _, want := range []string{"label", "html-has-lang", "color-contrast"} {
		if !strings.Contains(spoilt, want) {
			t.Errorf("axe does not see %s: %s", want, spoilt)
		}
	}
	names := make([]string, 0, len(shots(t)))
	for name := range shots(t) {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		// Folded and hidden parts are checked too.
		open(name, `document.querySelectorAll("details").forEach(d => d.open = true);
			document.querySelectorAll("button[hidden]").forEach(b => b.hidden = false)`)
		for _, scheme := range []string{"light", "dark"} {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, width := range []int64{320, 1280} {
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)); err != nil {
					t.Fatal(err)
				}
				for _, f := range examine() {
					t.Errorf("%s in %s at %d px, %s: %s", name, lang, width, scheme, f)
				}
			}
		}
	}
}

// Package browsertest gives tests a headless Chromium and an instrument that finds
// accessibility faults of a page. It is the only place that looks for a browser
// and decides whether a test with one runs.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Variable is the environment variable that makes tests with a browser run.
const Variable = "CONNECTLINK_TEST_BROWSER"

// prefix begins the name of every test with a browser: the run that has browsers
// chooses its tests by name, and would leave others out without a word.
const prefix = "TestBrowser"

// Need skips the test unless browsers were asked for. One person at a browser does
// one thing after another, which takes most of the time of all tests; so
// they have a run of their own. Call it before what the browser is to look at
// is started. It returns the path of the browser; where there is none, a run
// that asked for browsers fails.
func Need(t testing.TB) string {
	t.Helper()
	if !strings.HasPrefix(t.Name(), prefix) {
		t.Fatalf("%s needs a browser: call it %s…, so that the run with browsers finds it", t.Name(), prefix)
	}
	if os.Getenv(Variable) == "" {
		t.Skip("needs a browser, which has a run of its own: set " + Variable + "=1 and run '^" + prefix + "'")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	t.Fatal("no Chromium or Chrome on PATH, and " + Variable + " asks for one")
	return ""
}

// limit ends a browser that hangs, before the time limit of the whole run ends the
// other tests of its package with it.
const limit = 20 * time.Minute

// New starts a browser with one tab, and ends it with the test. See Need for
// when the test is skipped.
func New(t testing.TB, options ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path := Need(t)
	options = append([]chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.Flag("lang", "en-US")}, options...)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's own refuses root
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(options...), chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(stop)
	return ctx
}

// Package browsertest gives tests a headless Chromium and an instrument that finds
// accessibility faults of a page. It is the only place that looks for a browser
// and decides between skip and failure without one.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// New starts a browser with one tab, and ends it with the test or after the
// given time. Where there is none, the test is skipped on a developer's machine
// and fails in CI. A short run goes without: one person at a browser does one
// thing after another, for minutes.
func New(t testing.TB, within time.Duration, options ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("drives a browser, which takes minutes in all: the full run does")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("no Chromium or Chrome on PATH: CI looks at every page in one")
		}
		t.Skip("no Chromium or Chrome on PATH: the pages were not tried in a browser")
	}
	options = append([]chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.Flag("lang", "en-US")}, options...)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's own refuses root
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(options...), chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(stop)
	return ctx
}

package page_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// browser is a headless Chromium with one tab.
func browser(t *testing.T) context.Context {
	t.Helper()
	return browsertest.New(t)
}

// measured are the languages that layouts are looked at in: the one with the
// longest words, and the one that is set from the right.
func measured() []string { return []string{"de", "ar"} }

// serve answers /page/{language}/{shot} with the page and its policy, and counts beacons.
func serve(t *testing.T, seen chan<- time.Time) *httptest.Server {
	t.Helper()
	p := newPages(t)
	all := shots(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page/{lang}/{name}", func(w http.ResponseWriter, r *http.Request) {
		sh, ok := all[r.PathValue("name")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		// What another host would answer is not this test's concern, and
		// going back by itself would end the measuring.
		sh.data.LogoURL, sh.data.App.LogoURL, sh.data.ReturnAfter, sh.data.RefreshIn = "", "", 0, 0
		w.Header().Set("Content-Security-Policy", p.CSP(sh.data.Nonce, sh.data))
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := p.Render(w, sh.state, r.PathValue("lang"), sh.data); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("POST "+codePath+"/seen", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		if seen != nil {
			seen <- time.Now()
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// measure returns the faults of the page in its current state, as
// sentences.
const measure = `(() => {
  const faults = [];
  if (document.documentElement.scrollWidth > innerWidth) faults.push("is " + document.documentElement.scrollWidth + " px wide");
  for (const el of document.querySelectorAll("a,button,summary,.choice")) {
    const box = el.getBoundingClientRect();
    if (box.height === 0) continue;
    if (box.height < 44) faults.push("target " + el.textContent.trim() + " is " + box.height + " px high");
    if (box.right > innerWidth + .5 || box.left < -.5) faults.push("target " + el.textContent.trim() + " sticks out");
  }
  const parse = s => { const m = s.match(/[\d.]+/g).map(Number); return { c: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
  const lum = c => c.map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; })
    .reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const el = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || el.closest("script,style,.test")) continue;
    let ground = [255, 255, 255];
    for (let up = el; up; up = up.parentElement) {
      const b = parse(getComputedStyle(up).backgroundColor);
      if (b.a === 1) { ground = b.c; break; }
    }
    const x = lum(parse(getComputedStyle(el).color).c), y = lum(ground);
    const ratio = (Math.max(x, y) + .05) / (Math.min(x, y) + .05);
    if (ratio < 4.5) faults.push("text " + walker.currentNode.data.trim() + " has " + ratio.toFixed(2) + " to 1");
  }
  if (getComputedStyle(document.querySelector("main")).backgroundColor === "rgba(0, 0, 0, 0)") faults.push("the style was not applied");
  return faults;
})()`

func TestBrowserPagesFitTheirScreens(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	srv := serve(t, nil)
	// The instrument first: it must find the deliberate violations.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844), chromedp.Navigate(srv.URL+"/page/en/ready")); err != nil {
		t.Fatal(err)
	}
	spoilt, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`(() => {
		const b = document.querySelector("button").style, h = document.querySelector("h1").style;
		b.minHeight = 0; b.padding = 0; b.width = "900px"; h.color = getComputedStyle(document.querySelector("main")).backgroundColor;
		return `+measure+`;
	})()`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"px wide", "px high", "sticks out", "1.00 to 1"} {
		if !strings.Contains(strings.Join(spoilt, "\n"), want) {
			t.Errorf("the measuring does not see %q: %q", want, spoilt)
		}
	}

	var names []string
	for name := range shots(t) {
		for _, lang := range append(measured(), "ja") { // whose lines have no spaces to end at
			names = append(names, lang+"/"+name)
		}
		if os.Getenv(browsertest.Screenshots) != "" {
			names = append(names, "en/"+name)
			if longtest.Wanted() {
				names = append(names, "es/"+name, "fr/"+name, "pt-BR/"+name)
			}
		}
	}
	for _, name := range names {
		if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/page/"+name)); err != nil {
			t.Fatal(err)
		}
		lang, page, _ := strings.Cut(name, "/")
		if lang == "en" || lang == "ar" || longtest.Wanted() {
			browsertest.Picture(ctx, t, "page-"+page+"-"+lang, lang == "en")
		}
		for _, scheme := range []string{"light", "dark"} {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, width := range []int64{320, 390, 1280} {
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 844)); err != nil {
					t.Fatal(err)
				}
				faults, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](measure))
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range faults {
					t.Errorf("%s at %d px, %s: %s", name, width, scheme, f)
				}
			}
		}
	}
}

func TestBrowserTheBeaconComesFromAHandOnAPageThatWasVisible(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	seen := make(chan time.Time, 8)
	srv := serve(t, seen)
	move := func(x float64) chromedp.Action[chromedp.Void] {
		return chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, 20)
	}
	// The hand first: the second is waited for.
	start := time.Now()
	if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/page/en/ready"), move(10), move(30)); err != nil {
		t.Fatal(err)
	}
	select {
	case at := <-seen:
		if d := at.Sub(start); d < time.Second {
			t.Errorf("the beacon came after %v", d)
		}
	case <-time.After(waittest.Limit):
		t.Fatal("no beacon came: the policy or the script is wrong")
	}
	// No hand, or one that a script pretends: no beacon, however long. The
	// second page's beacon shows that the first one's time was over.
	const pretended = `for (const t of ["pointerdown","pointermove","touchstart","wheel","keydown","click"]) window.dispatchEvent(new Event(t)); document.querySelector("h1").click(); true`
	if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/page/en/ready_product_asks")); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](pretended)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`new Promise(r => setTimeout(() => r(true), 1500))`, chromedp.EvalAwaitPromise)); err != nil {
		t.Fatal(err)
	}
	if len(seen) > 0 {
		t.Error("a page that nobody touched told of a visit")
	}

	// The policy must let the button through: no form-action, no inline handler.
	if err := chromedp.Do(ctx, chromedp.Navigate(srv.URL+"/page/en/busy")); err != nil {
		t.Fatal(err)
	}
	busy, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(() => {
		const f = document.querySelector("form");
		f.addEventListener("submit", e => e.preventDefault());
		f.requestSubmit();
		return f.getAttribute("aria-busy") + " " + new URL(f.action).pathname;
	})()`))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("true %s", codePath); !strings.EqualFold(busy, want) {
		t.Errorf("after a press the form says %q, want %q", busy, want)
	}
}

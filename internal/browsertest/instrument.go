package browsertest

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

//go:embed axe/axe.min.js measure.js
var scripts embed.FS

// axe returns axe-core's serious and critical findings, and faults of headings
// and landmarks, as sentences. It runs all rules, or one.
const axe = `(rule => axe.run(document, { resultTypes: ["violations"], ...(rule ? { runOnly: [rule] } : {}) }).then(r => r.violations
	.filter(v => v.impact === "serious" || v.impact === "critical" || /^(region|heading-order|page-has-heading-one|landmark-)/.test(v.id))
	.flatMap(v => v.nodes.map(n => v.impact + " " + v.id + ": " + n.html.slice(0, 160) + " – " + n.failureSummary.replace(/\s+/g, " ")))))`

// Instrument examines pages with different themes, widths, zoom and input,
// and reports the faults.
type Instrument struct{ ctx context.Context }

// NewInstrument looks at the pages that the tab of ctx opens from now on.
func NewInstrument(ctx context.Context, t testing.TB) *Instrument {
	t.Helper()
	var all strings.Builder
	for _, name := range []string{"axe/axe.min.js", "measure.js"} {
		text, err := scripts.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(append(text, ";\n"...))
	}
	// The browser lives as long as the context of its first step; and this way
	// no page's policy is asked.
	_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: all.String()})
	if err != nil {
		t.Fatal(err)
	}
	return &Instrument{ctx}
}

// Page is what a page must say of itself, and how large its targets must be.
type Page struct {
	Lang, Dir string // default "en", "ltr"
	Target    int    // px; default 24
	Narrow    bool   // only in light, and where there is little room: for one more language
}

func (p Page) orUsual() Page {
	if p.Lang == "" {
		p.Lang, p.Dir = "en", "ltr"
	}
	if p.Target == 0 {
		p.Target = 24
	}
	return p
}

// everything is measured of a window, except axe's findings.
func (p Page) everything() (string, error) {
	lang, err := json.Marshal([]string{p.Lang, p.Dir})
	return fmt.Sprintf(`[...measured.built(...%s), ...measured.laidOut(), ...measured.inLine(), ...measured.targets(%d), ...measured.menus()]`, lang, p.Target), err
}

// Spaced gives every page that is opened from now on the reader's own text
// spacing (WCAG 2.2, 1.4.12).
func (i *Instrument) Spaced() error {
	_, err := chromedp.Call(i.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `addEventListener("DOMContentLoaded", () => measured.space(true))`,
	})
	return err
}

// Window sets the size of the tab's window, in the pixels of style sheets: a
// scale of 2 is what 200 % makes of a window twice as wide.
func (i *Instrument) Window(width, height int64, scale float64) error {
	return showWindow(i.ctx, "light", width, height, scale)
}

// Here examines the page as it is shown now, in any window.
func (i *Instrument) Here(of Page) ([]string, error) {
	all, err := of.orUsual().everything()
	if err != nil {
		return nil, err
	}
	return chromedp.Run(i.ctx, chromedp.Evaluate[[]string](`(async () => [...`+all+`, ...await `+axe+`()])()`, chromedp.EvalAwaitPromise))
}

// Look examines the page in the tab: light and dark, at 320 and 1280 px and at
// 200 % of 1280, there also with the reader's own text spacing; on paper, in forced
// colours, and by the Tab key in both directions. Folded parts are unfolded first. It leaves the page
// wide and light.
func (i *Instrument) Look(of Page) ([]string, error) {
	ctx := i.ctx
	all, err := of.orUsual().everything()
	if err != nil {
		return nil, err
	}
	var faults []string
	// Most people see the parts folded, as they come.
	for _, at := range []struct{ width, height int64 }{{320, 640}, {1280, 900}} {
		if err := showWindow(ctx, "light", at.width, at.height, 1); err != nil {
			return nil, err
		}
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`measured.inLine()`))
		if err != nil {
			return nil, fmt.Errorf("measure the folded page: %w", err)
		}
		faults = append(faults, prefixFaults(fmt.Sprintf("at %d px, folded", at.width), found)...)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelectorAll("details:not(.menu)").forEach(d => d.open = true); true`)); err != nil {
		return nil, fmt.Errorf("begin to measure: %w", err)
	}
	for _, at := range []struct {
		name, theme   string
		width, height int64
		scale         float64
		narrow        bool
		script        string
	}{
		{"320 px, light", "light", 320, 640, 1, true, `(async () => [...` + all + `, ...await ` + axe + `()])()`},
		{"320 px, dark", "dark", 320, 640, 1, false, axe + `("color-contrast")`},
		{"1280 px, dark", "dark", 1280, 900, 1, false, `(async () => [...` + all + `, ...await ` + axe + `("color-contrast")])()`},
		{"200 %, light", "light", 640, 450, 2, true, all},
		{"200 % and spaced, light", "light", 640, 450, 2, true, `(() => { measured.space(true); const f = ` + all + `; measured.space(false); return f })()`},
		{"1280 px, light", "light", 1280, 900, 1, false, `(async () => [...` + all + `, ...await ` + axe + `()])()`},
	} {
		if of.Narrow && !at.narrow {
			continue
		}
		if err := showWindow(ctx, at.theme, at.width, at.height, at.scale); err != nil {
			return nil, err
		}
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](at.script, chromedp.EvalAwaitPromise))
		if err != nil {
			return nil, fmt.Errorf("measure at %s: %w", at.name, err)
		}
		faults = append(faults, prefixFaults("at "+at.name, found)...)
	}
	if of.Narrow {
		return faults, nil
	}
	for _, in := range []struct {
		name, media, script string
		features            []*emulation.MediaFeature
		width               int64
	}{
		// A sheet of A4 is 794 px wide; colours are those of a person who reads dark pages.
		{"on paper", "print", `measured.printed()`, []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}, 794},
		{"in forced colours", "", `measured.forced()`, []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}, {Name: "prefers-reduced-motion", Value: "reduce"}}, 1280},
	} {
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: in.media, Features: in.features}); err != nil {
			return nil, fmt.Errorf("show the page %s: %w", in.name, err)
		}
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(in.width, 900)); err != nil {
			return nil, err
		}
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](in.script))
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", in.name, err)
		}
		faults = append(faults, prefixFaults(in.name, found)...)
	}
	for _, way := range []struct {
		name          string
		width, height int64
		modifiers     int64
	}{{"by Shift and Tab at 320 px", 320, 640, shift}, {"by Tab at 1280 px", 1280, 900, 0}} {
		if err := showWindow(ctx, "light", way.width, way.height, 1); err != nil {
			return nil, err
		}
		found, err := walkTab(ctx, way.modifiers)
		if err != nil {
			return nil, fmt.Errorf("go through the page %s: %w", way.name, err)
		}
		faults = append(faults, prefixFaults(way.name, found)...)
	}
	return faults, nil
}

func prefixFaults(where string, faults []string) []string {
	for i, f := range faults {
		faults[i] = where + ": " + f
	}
	return faults
}

func showWindow(ctx context.Context, theme string, width, height int64, scale float64) error {
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		// Colours that are still fading into each other have no contrast to measure.
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	}); err != nil {
		return fmt.Errorf("choose %s: %w", theme, err)
	}
	return chromedp.Do(ctx, chromedp.EmulateViewport(width, height, chromedp.EmulateScale(scale)))
}

const shift = 8 // as the protocol counts modifiers

// walkTab presses the Tab key until the focus has left the page, or was caught.
// Keys that come quicker than a busy browser passes the focus between a page and
// its frames are lost; so what a quick walk finds is believed only when one that
// waits for each press finds it too.
func walkTab(ctx context.Context, modifiers int64) ([]string, error) {
	found, err := pressTab(ctx, modifiers, 12, 0)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return pressTab(ctx, modifiers, 1, 400*time.Millisecond)
}

// pressTab presses the Tab key so many times before it looks where the focus is,
// and waits after each press until the page has had the key. A frame that has the
// focus has it in its place; wait is how long it is given.
func pressTab(ctx context.Context, modifiers int64, batch int, wait time.Duration) ([]string, error) {
	stops, err := chromedp.Run(ctx, chromedp.Evaluate[int](`measured.begin()`))
	if err != nil {
		return nil, err
	}
	// A field for a date is several stops, and so is a frame with links in it.
	for pressed := 0; pressed < 3*stops+60; {
		before, err := chromedp.Run(ctx, chromedp.Evaluate[int](`measured.pressed()`))
		if err != nil {
			return nil, err
		}
		for range batch {
			for _, kind := range []input.DispatchKeyEventType{"rawKeyDown", "keyUp"} {
				if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{
					Type: kind, Key: "Tab", Code: "Tab", WindowsVirtualKeyCode: 9, NativeVirtualKeyCode: 9, Modifiers: modifiers,
				}); err != nil {
					return nil, err
				}
			}
			pressed++
		}
		for until := time.Now().Add(wait); time.Now().Before(until); {
			now, err := chromedp.Run(ctx, chromedp.Evaluate[int](`measured.pressed()`))
			if err != nil {
				return nil, err
			}
			if now > before {
				break
			}
		}
		if wait > 0 {
			// What has the focus is scrolled to when the next picture is drawn.
			drawn := `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`
			if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](drawn, chromedp.EvalAwaitPromise)); err != nil {
				return nil, err
			}
		}
		left, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`measured.left()`))
		if err != nil {
			return nil, err
		}
		if left {
			return chromedp.Run(ctx, chromedp.Evaluate[[]string](`measured.ended()`))
		}
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`measured.ended()`))
	return append(found, "the focus is caught: the Tab key does not lead out of the page"), err
}

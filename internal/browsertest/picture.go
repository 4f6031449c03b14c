package browsertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Screenshots names a folder to write pictures of every page into:
//
//	CONNECTLINK_SCREENSHOTS=/some/folder go test -count=1 ./internal/console ./internal/app ./internal/page -run 'TestBrowser.*(Accessible|Fit)'
const Screenshots = "CONNECTLINK_SCREENSHOTS"

// loaded waits for the frames of the page, which are drawn from its top.
const loaded = `(async () => {
	scrollTo(0, 0);
	await Promise.all([...document.querySelectorAll("iframe")].map(f => new Promise(done => {
		f.addEventListener("load", done);
		f.src = f.src;
	})));
	await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
	return true;
})()`

// Picture writes pictures of the whole page in the tab, if Screenshots is set: in both
// themes at two widths, and where it is the page's English, on paper and in forced
// colours. It leaves the page wide and light.
func Picture(ctx context.Context, t testing.TB, name string, english bool) {
	t.Helper()
	folder := os.Getenv(Screenshots)
	if folder == "" {
		return
	}
	type shot struct {
		name, media string
		features    []*emulation.MediaFeature
		width       int64
	}
	still := &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"}
	var shots []shot
	for _, theme := range []string{"dark", "light"} {
		for _, width := range []int64{320, 1280} {
			shots = append(shots, shot{fmt.Sprintf("%s-%d", theme, width), "", []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, still}, width})
		}
	}
	if english {
		shots = append([]shot{
			{"paper", "print", []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}, 794},
			{"forced", "", []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}, still}, 1280},
		}, shots...)
	}
	for _, s := range shots {
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: s.media, Features: s.features}); err != nil {
			t.Fatal(err)
		}
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(s.width, 900)); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](loaded, chromedp.EvalAwaitPromise)); err != nil {
			t.Fatal(err)
		}
		// Only what is in the window is drawn for certain: frames, and pages set from the
		// right. So the window is made as high as the page.
		high, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollHeight`))
		if err != nil {
			t.Fatal(err)
		}
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(s.width, max(high, 900))); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](loaded, chromedp.EvalAwaitPromise)); err != nil {
			t.Fatal(err)
		}
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name+"-"+s.name+".png"), png, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

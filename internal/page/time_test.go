package page_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Finding L: without a zone of the recipient's, people read UTC although their
// browser knows better. The page's policy is the one that it is served with.
func TestBrowserRCLTimesAreInTheZoneOfTheBrowserAndRightWithoutScripts(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	srv := serve(t, nil)
	read := func(page, zone string, scripts bool) (text, title string) {
		t.Helper()
		if _, err := chromedp.Call(ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone}); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts}); err != nil {
			t.Fatal(err)
		}
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844), chromedp.Navigate(srv.URL+"/page/"+page)); err != nil {
			t.Fatal(err)
		}
		if dir := os.Getenv("CONNECTLINK_SCREENSHOTS"); dir != "" {
			shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "time_"+strings.ReplaceAll(page+"_"+zone, "/", "-")+".png"), shot, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`(() => { const t = document.querySelector("time"); return [t.textContent, t.title] })()`))
		if err != nil {
			t.Fatal(err)
		}
		return got[0], got[1]
	}
	for _, c := range []struct{ page, zone, want string }{
		{"en/ready_product_asks", "America/New_York", "12:28 on Monday 23 November (your time)"},
		{"en/ready_product_asks", "Asia/Kolkata", "22:58 on Monday 23 November (your time)"},
		{"en-US/ready_product_asks", "America/New_York", "12:28 PM on Monday, November 23 (your time)"},
		{"de/ready_product_asks", "Asia/Tokyo", "Dienstag, 24. November, 2:28 Uhr (Ihre Ortszeit)"},
		{"fr/ready_product_asks", "Asia/Tokyo", "mardi 24 novembre à 2h28 (votre heure)"},
		{"es/ready_product_asks", "Asia/Tokyo", "las 2:28 del martes 24 de noviembre (hora de su dispositivo)"},
		{"ar/ready_product_asks", "Asia/Tokyo", "الساعة 2:28 ص يوم الثلاثاء 24 نوفمبر (بتوقيت جهازك)"},
		{"pt-BR/ready_product_asks", "America/Sao_Paulo", "segunda-feira, 23 de novembro, às 14:28 (no seu horário)"},
		{"ja/ready_product_asks", "Asia/Tokyo", "11月24日火曜日 2:28（お使いの端末の時刻）"},
		{"en/replaced", "Asia/Kolkata", "18:10 on Monday 23 November (your time)"},
	} {
		written, _ := read(c.page, c.zone, false)
		text, title := read(c.page, c.zone, true)
		if text != c.want || title != written || text == written {
			t.Errorf("%s in %s: %q, want %q; title %q, without scripts %q", c.page, c.zone, text, c.want, title, written)
		}
	}
}

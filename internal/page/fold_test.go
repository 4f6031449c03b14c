package page_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/templates"
)

// TestBrowserGContinueIsOnTheFirstScreenOfPhones measures the visible part of small
// phones: the button must be usable without scrolling.
func TestBrowserGContinueIsOnTheFirstScreenOfPhones(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	srv := serve(t, nil)
	langs, err := message.NewLanguages(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	pictures := os.Getenv("CONNECTLINK_SCREENSHOTS")
	for _, lang := range langs.Tags() {
		for _, name := range []string{"ready", "ready_asks_code", "ready_user_asked", "ready_keys_test_long", "ready_failed_before_denied", "ready_note",
			"ready_held", "could_not_connect_denied", "expired_reportable_by_text", "replaced_renewable", "busy_retries", "verify_wrong",
			"in_app_android", "stop"} {
			for _, screen := range [][2]int64{{375, 553}, {390, 664}, {320, 553}} {
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(screen[0], screen[1]), chromedp.Navigate(srv.URL+"/page/"+lang+"/"+name)); err != nil {
					t.Fatal(err)
				}
				// The striped bar of test mode is not on the pages of people.
				end, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`document.querySelector("main form button, main a.button").getBoundingClientRect().bottom -
					(document.querySelector(".test")?.getBoundingClientRect().height ?? 0)`))
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s/%s at %d: %.0f of %d px", lang, name, screen[0], end, screen[1])
				if limit := float64(screen[1]); end > limit {
					t.Errorf("%s/%s at %d × %d: the button ends at %.0f px", lang, name, screen[0], screen[1], end)
				}
				if pictures != "" && screen[0] == 375 {
					shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(pictures, lang+"_"+name+".png"), shot, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

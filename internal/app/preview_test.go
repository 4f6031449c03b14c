package app_test

import (
	"strings"
	"testing"
)

// TestAPreviewHoldsEveryPage asks the service as it runs: the pages are those
// that a recipient would get, in the language asked for.
func TestAPreviewHoldsEveryPage(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	body := to("delivered@connectlink.test")
	status, _, got := p.call("POST", "/v1/invites/preview?language=ar", body)
	if status != 200 {
		t.Fatalf("%d: %v", status, got)
	}
	previews, _ := got.at("previews").([]any)
	if len(previews) != 1 {
		t.Fatalf("%d previews", len(previews))
	}
	pages, _ := object(previews[0].(map[string]any)).at("pages").([]any)
	seen := map[string]string{}
	for _, page := range pages {
		one := object(page.(map[string]any))
		seen[one.text("state")] = one.text("html")
	}
	for _, state := range []string{"ready", "in_app", "expired", "revoked", "connected", "not_me", "stop", "unknown"} {
		html := seen[state]
		if !strings.Contains(html, `<html lang="ar" dir="rtl">`) || len(html) >= 50_000 {
			t.Errorf("%s: %d bytes", state, len(html))
		}
	}
	if ready := seen["ready"]; !strings.Contains(ready, "pipedream.com") || !strings.Contains(ready, `action="/c/preview-`) {
		t.Error("the page of a link that works is not what recipients see")
	}
	_, _, list := p.call("GET", "/v1/invites", nil)
	if made, _ := list.at("data").([]any); len(made) != 0 {
		t.Errorf("%d invites came of it", len(made))
	}
}

package httpapi_test

import "testing"

// TestF19ASlugAsPeopleWriteItGetsASuggestion: as the app's web page spells it, with
// capitals, or with a slip.
func TestF19ASlugAsPeopleWriteItGetsASuggestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for sent, want := range map[string]string{
		"Slack": "slack", "slak": "slack", "SLACK ": "slack", "google-sheets": "google_sheets", "google sheets": "google_sheets", "Google Sheets": "google_sheets",
		"googlesheets": "google_sheets", "gogle_sheets": "google_sheets", "hub-spot": "hubspot",
	} {
		for _, path := range []string{"/v1/invites", "/v1/invites/preview"} {
			r := w.call(t, w.key, "POST", path, `{"external_user_id":"u1","channel":"link","app":"`+sent+`"}`)
			if r.status != 422 || r.at(t, "errors.0.pointer") != "/app" || r.at(t, "errors.0.suggestion") != want {
				t.Errorf("%s with app %q: %d %s", path, sent, r.status, r.body)
			}
		}
	}
	r := w.call(t, w.key, "POST", "/v1/invites", `{"external_user_id":"u1","channel":"link","app":"nothing_like_it_exists"}`)
	if r.status != 422 || r.at(t, "code") != "unknown_app" || r.at(t, "errors.0.suggestion") != nil {
		t.Errorf("an app that is like none: %d %s", r.status, r.body)
	}
}

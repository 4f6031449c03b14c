package httpapi_test

import (
	"fmt"
	"testing"

	"github.com/connectlink/connectlink/internal/secret"
)

func TestAppsAreSearched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for q, want := range map[string]string{"slack": "slack", "SLACK": "slack", "google+sheets": "google_sheets", "google_sheets": "google_sheets", "Sheets": "google_sheets"} {
		r := w.call(t, w.key, "GET", "/v1/apps?q="+q, "")
		if r.status != 200 || r.at(t, "data.0.slug") != want || r.at(t, "data.0.name") == "" || r.at(t, "data.0.auth_type") == nil || r.at(t, "suggestion") != nil {
			t.Errorf("%s: %d %s", q, r.status, r.body)
		}
	}
	all := w.call(t, w.key, "GET", "/v1/apps", "")
	if all.status != 200 || len(all.at(t, "data").([]any)) < 3 {
		t.Errorf("%d %s", all.status, all.body)
	}
	for _, app := range all.at(t, "data").([]any) {
		// Each listed app can be invited to.
		body := fmt.Sprintf(`{"external_user_id":"u1","channel":"link","app":%q}`, app.(map[string]any)["slug"])
		if r := w.call(t, w.key, "POST", "/v1/invites/preview", body); r.status != 200 {
			t.Errorf("%v: %d %s", app, r.status, r.body)
		}
	}
	r := w.call(t, w.key, "GET", "/v1/apps?q=slak", "")
	if r.status != 200 || len(r.at(t, "data").([]any)) != 0 || r.at(t, "suggestion") != "slack" {
		t.Errorf("a slip: %d %s", r.status, r.body)
	}
	if r := w.call(t, w.key, "GET", "/v1/apps?q=nothing_like_it_exists", ""); r.status != 200 || r.at(t, "suggestion") != nil {
		t.Errorf("nothing near: %d %s", r.status, r.body)
	}
	// Pipedream goes: what was asked before is still answered.
	w.vendors.Close()
	if r := w.call(t, w.readOnly, "GET", "/v1/apps?q=slack", ""); r.status != 200 || r.at(t, "data.0.slug") != "slack" {
		t.Errorf("in an outage: %d %s", r.status, r.body)
	}
	w.play(t, []scenario{
		{name: "in an outage, not asked before", key: w.key, method: "GET", path: "/v1/apps?q=notion", status: 503, want: map[string]any{"code": "unavailable", "retryable": true}},
		{name: "empty", key: w.key, method: "GET", path: "/v1/apps?q=", status: 422, want: map[string]any{"errors.0.pointer": "/q"}},
		{name: "another parameter", key: w.key, method: "GET", path: "/v1/apps?query=slack", status: 422, want: map[string]any{"errors.0.pointer": "/query"}},
		{name: "without a key", key: secret.Text{}, method: "GET", path: "/v1/apps", status: 401},
	})
}

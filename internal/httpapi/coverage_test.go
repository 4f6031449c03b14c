package httpapi_test

import (
	"slices"
	"testing"

	"github.com/connectlink/connectlink/internal/secret"
)

// TestEveryOperationOfTheDocumentSucceeds holds one success of each operation
// to the document: an answer that is never seen is never checked.
func TestEveryOperationOfTheDocumentSucceeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	id := w.create(t, w.key, `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"delivered@connectlink.test"},
		"inviter":{"name":"Sam Rivera"},"reason":"so that Acme can post","note":"See you","return_url":"https://acme.example/back","link_type":"invite",
		"expires_in":3600,"valid_for":86400,"initiated_by":"user","metadata":{"k":"v"},"oauth_app_id":"oa_slack9"}`)
	r := w.until(t, id, "delivery.status", "delivered")
	delivery := r.at(t, "delivery.id").(string)
	own := w.client(t, id)
	connected, _ := w.connect(t, "u3")
	message := w.call(t, w.key, "GET", "/v1/test_helpers/messages", "").at(t, "data.0.id").(string)
	none := secret.Text{}
	w.play(t, []scenario{
		{name: "list", key: w.key, method: "GET", path: "/v1/invites", status: 200},
		{name: "search", key: w.key, method: "POST", path: "/v1/invites/search", body: `{"external_user_id":"u1"}`, status: 200, want: map[string]any{"data.0.id": id}},
		{name: "read", key: w.key, method: "GET", path: "/v1/invites/" + id, status: 200},
		{name: "preview", key: w.key, method: "POST", path: "/v1/invites/preview?language=all", body: wanted, status: 200},
		{name: "events", key: w.key, method: "GET", path: "/v1/invites/" + id + "/events", status: 200},
		{name: "deliveries", key: w.key, method: "GET", path: "/v1/invites/" + id + "/deliveries", status: 200},
		{name: "delivery", key: w.key, method: "GET", path: "/v1/deliveries/" + delivery, status: 200},
		{name: "content", key: w.key, method: "GET", path: "/v1/deliveries/" + delivery + "/content", status: 200},
		{name: "client token", key: w.key, method: "POST", path: "/v1/invites/" + id + "/client_token", status: 201},
		{name: "read in the app", key: own, method: "GET", path: "/v1/client/invite", status: 200},
		{name: "open in the app", key: own, method: "POST", path: "/v1/client/invite/open", status: 200},
		{name: "iOS apps", key: none, method: "GET", path: "/.well-known/apple-app-site-association", status: 200},
		{name: "contact for reports", key: none, method: "GET", path: "/.well-known/security.txt", status: 200},
		{name: "Android apps", key: none, method: "GET", path: "/.well-known/assetlinks.json", status: 200},
		{name: "message", key: w.key, method: "GET", path: "/v1/test_helpers/messages/" + message, status: 200},
		{name: "make a vendor fail", key: w.key, method: "POST", path: "/v1/test_helpers/faults", body: `{"vendor":"sms","kind":"down","duration":60}`, status: 200, want: map[string]any{"kind": "down"}},
		{name: "the faults", key: w.key, method: "GET", path: "/v1/test_helpers/faults", status: 200, want: map[string]any{"data.0.vendor": "sms"}},
		{name: "heal a vendor", key: w.key, method: "DELETE", path: "/v1/test_helpers/faults/sms", status: 204},
		{name: "reconnect", key: w.key, method: "POST", path: "/v1/invites/" + connected + "/reconnect", status: 201, want: map[string]any{"kind": "reconnect"}},
		{name: "check", key: w.key, method: "POST", path: "/v1/invites/" + connected + "/check_connection", status: 200, want: map[string]any{"connection.health.status": "healthy"}},
		{name: "resend", key: w.key, method: "POST", path: "/v1/invites/" + id + "/resend", status: 200, want: map[string]any{"resend_count": 1}},
		{name: "extend", key: w.key, method: "POST", path: "/v1/invites/" + id + "/extend", body: `{"valid_for":864000}`, status: 200, want: map[string]any{"status": "active"}},
		{name: "advance", key: w.key, method: "POST", path: "/v1/test_helpers/invites/" + id + "/advance", body: `{"to":"expired"}`, status: 200},
		{name: "block", key: w.blocks, method: "POST", path: "/v1/suppressions", body: `{"email":"jo@customer.example","reason":"Asked by phone"}`, status: 201},
		{name: "blocks", key: w.blocks, method: "GET", path: "/v1/suppressions", status: 200},
		{name: "search blocks", key: w.blocks, method: "POST", path: "/v1/suppressions/search", body: `{"recipient":"jo@customer.example"}`, status: 200, want: map[string]any{"data.0.channel": "email"}},
		{name: "batch", key: w.key, method: "POST", path: "/v1/invites/batch", body: `{"invites":[{"external_user_id":"u2","app":"slack","channel":"link"}]}`, status: 200, want: map[string]any{"results.0.status": 201.0}},
		{name: "apps", key: w.key, method: "GET", path: "/v1/apps?q=slack", status: 200, want: map[string]any{"data.0.slug": "slack"}},
		{name: "limits", key: w.key, method: "GET", path: "/v1/limits", status: 200, want: map[string]any{"enforced": false, "data.0.limit": "recipient_per_hour"}},
		{name: "pause", key: w.admin, method: "POST", path: "/v1/pauses", body: `{"channel":"sms","country":"GB","reason":"pumping"}`, status: 200},
		{name: "pauses", key: w.key, method: "GET", path: "/v1/pauses", status: 200, want: map[string]any{"data.0.country": "GB"}},
		{name: "resume", key: w.admin, method: "POST", path: "/v1/pauses/resume", body: `{"channel":"sms","country":"GB"}`, status: 200},
		{name: "revoke a user's", key: w.key, method: "POST", path: "/v1/invites/revoke", body: `{"external_user_id":"u2"}`, status: 200, want: map[string]any{"revoked": 1.0}},
		{name: "revoke", key: w.key, method: "POST", path: "/v1/invites/" + id + "/revoke", status: 200},
		{name: "export", key: w.admin, method: "POST", path: "/v1/privacy/export", body: `{"external_user_id":"u1"}`, status: 200},
		{name: "erase", key: w.admin, method: "POST", path: "/v1/privacy/erase", body: `{"external_user_id":"u1"}`, status: 200, want: map[string]any{"invites": 1.0}},
		{name: "reasons", key: none, method: "GET", path: "/v1/reasons", status: 200},
		{name: "document", key: none, method: "GET", path: "/v1/openapi.json", status: 200},
		{name: "documentation", key: none, method: "GET", path: "/docs", status: 200},
		{name: "an error's page", key: none, method: "GET", path: "/docs/errors/internal", status: 200},
		{name: "the guides", key: none, method: "GET", path: "/docs/guides", status: 200},
		{name: "a guide", key: none, method: "GET", path: "/docs/guides/quickstart", status: 200},
		{name: "a search", key: none, method: "GET", path: "/docs/search?q=verify+webhook", status: 200},
		{name: "the reasons' page", key: none, method: "GET", path: "/docs/reasons", status: 200},
		{name: "alive", key: none, method: "GET", path: "/livez", status: 200},
		{name: "ready", key: none, method: "GET", path: "/readyz", status: 200},
	})
	endpoint := w.call(t, w.hooks, "POST", "/v1/webhook_endpoints", `{"url":"https://acme.example/hooks"}`).at(t, "id").(string)
	event := w.publicEvents(t, "?invite="+id).at(t, "data.0.id").(string)
	w.play(t, []scenario{
		{name: "redeliver", key: w.hooks, method: "POST", path: "/v1/events/" + event + "/redeliver", status: 202},
		{name: "event", key: w.hooks, method: "GET", path: "/v1/events/" + event, status: 200, want: map[string]any{"invite_id": id, "type": "invite.created"}},
	})
	w.play(t, []scenario{
		{name: "endpoints", key: w.hooks, method: "GET", path: "/v1/webhook_endpoints", status: 200},
		{name: "endpoint", key: w.hooks, method: "GET", path: "/v1/webhook_endpoints/" + endpoint, status: 200},
		{name: "change an endpoint", key: w.hooks, method: "PATCH", path: "/v1/webhook_endpoints/" + endpoint, body: `{"types":["invite.connected"]}`, status: 200},
		{name: "rotate a secret", key: w.hooks, method: "POST", path: "/v1/webhook_endpoints/" + endpoint + "/rotate_secret", status: 200},
		{name: "test an endpoint", key: w.hooks, method: "POST", path: "/v1/webhook_endpoints/" + w.private(t) + "/test", body: `{"type":"invite.connected"}`, status: 200, want: map[string]any{"delivered": false}},
		{name: "recover", key: w.hooks, method: "POST", path: "/v1/webhook_endpoints/" + endpoint + "/recover", body: `{"since":"2026-01-01T00:00:00Z"}`, status: 202},
		{name: "attempts", key: w.hooks, method: "GET", path: "/v1/webhook_endpoints/" + endpoint + "/attempts", status: 200},
		{name: "delete an endpoint", key: w.hooks, method: "DELETE", path: "/v1/webhook_endpoints/" + endpoint, status: 204},
	})
	block := w.call(t, w.blocks, "GET", "/v1/suppressions", "").at(t, "data.0.id").(string)
	w.play(t, []scenario{{name: "lift", key: w.blocks, method: "DELETE", path: "/v1/suppressions/" + block, body: `{"reason":"Was wrong"}`, status: 200}})
	var missing []string
	for _, item := range w.contract.doc.Paths.Map() {
		for _, op := range item.Operations() {
			if !w.contract.seen[op.OperationID] {
				missing = append(missing, op.OperationID)
			}
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("never answered with success here: %v", missing)
	}
}

func TestFaultsOfFormAndOfMeaningComeTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.call(t, w.key, "POST", "/v1/invites",
		`{"externalUserId":"u1","app":"Slack!","channel":"sms","email":"a@b.example","expires_in":"60","recipient":{"phone":"12"},"note":7}`)
	var got []string
	for _, f := range r.at(t, "errors").([]any) {
		got = append(got, f.(map[string]any)["pointer"].(string)+" "+f.(map[string]any)["code"].(string))
	}
	// external_user_id is not called missing: it was found under another name.
	want := []string{
		"/externalUserId unknown_field", "/email unknown_field", "/expires_in wrong_type", "/note wrong_type",
		"/app invalid", "/recipient/phone invalid",
	}
	if r.status != 422 || !slices.Equal(got, want) {
		t.Errorf("%d\n got %q\nwant %q", r.status, got, want)
	}
}

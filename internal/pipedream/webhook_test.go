package pipedream_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestParseWebhookReadsEveryPublishedShape(t *testing.T) {
	t.Parallel()
	success := pipedream.Webhook{
		Event: pipedream.EventSuccess, ConnectToken: secret.New("ctok_1"), Environment: "production",
		AccountID: "apn_1", ExternalID: "user-1", AppSlug: "google_sheets",
	}
	for name, c := range map[string]struct {
		body string
		want pipedream.Webhook
	}{
		// connect_session_id is about 2^127, which no integer of Go's holds.
		"success, session id as a float": {`{"event":"CONNECTION_SUCCESS","connect_token":"ctok_1","environment":"production",
			"connect_session_id":1.4058728083872854e+38,"account":{"id":"apn_1","name":"jane@example.com","external_id":"user-1","healthy":true,"dead":null,
			"app":{"id":"oa_1","name_slug":"google_sheets","name":"Google Sheets","custom_fields_json":"[]","categories":["Productivity"]},
			"created_at":"2026-03-25T17:49:15.000Z"}}`, success},
		"success, session id in full": {`{"event":"CONNECTION_SUCCESS","connect_token":"ctok_1","environment":"production",
			"connect_session_id":140587280838728540000000000000000000001,"account":{"id":"apn_1","external_id":"user-1","app":{"name_slug":"google_sheets"}}}`, success},
		"success, the older shape": {`{"event":"CONNECTION_SUCCESS","connect_token":"ctok_1","environment":"production","connect_session_id":123,
			"account":{"id":"apn_1","external_id":"user-1","dead":false,"app":{"name_slug":"google_sheets","categories":"x","custom_fields_json":[]}}}`, success},
		"success, the app as a slug": {`{"event":"CONNECTION_SUCCESS","connect_token":"ctok_1","environment":"production",
			"account":{"id":"apn_1","external_id":"user-1","app":"google_sheets"}}`, success},
		"error": {`{"event":"CONNECTION_ERROR","connect_token":"ctok_1","environment":"production","connect_session_id":1.4058727315359677e+38,"error":"Test request failed."}`,
			pipedream.Webhook{Event: pipedream.EventError, ConnectToken: secret.New("ctok_1"), Environment: "production", Error: secret.New("Test request failed.")}},
		"members of unexpected types": {`{"event":"CONNECTION_SUCCESS","connect_token":{"a":1},"environment":7,"account":[],"error":{"m":1}}`,
			pipedream.Webhook{Event: pipedream.EventSuccess}},
		"of tomorrow": {`{"event":"CONNECTION_EXPIRED"}`, pipedream.Webhook{Event: "CONNECTION_EXPIRED"}},
	} {
		got, err := pipedream.ParseWebhook([]byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(c.want, got, cmp.Transformer("reveal", func(s secret.Text) string { return s.Reveal() })); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	for _, bad := range []string{"", "null", "[]", "{}", `"x"`, `{"event":""}`, `{"event":1}`, `{"event":"X"} {"event":"Y"}`, "{"} {
		if got, err := pipedream.ParseWebhook([]byte(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

// Connection webhooks are unsigned: anyone who learns the address posts what he likes.
func FuzzParseWebhook(f *testing.F) {
	f.Add([]byte(`{"event":"CONNECTION_SUCCESS","account":{"id":1,"app":[null]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if w, err := pipedream.ParseWebhook(raw); err == nil && w.Event == "" {
			t.Error("a webhook without an event")
		}
	})
}

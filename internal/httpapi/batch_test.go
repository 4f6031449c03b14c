package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

// bare posts a body that the document forbids, so the contract is not checked.
func (w *world) bare(t *testing.T, key secret.Text, path, body string) reply {
	t.Helper()
	return w.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, key.Reveal(), len(body), body))
}

func TestABatchAnswersEachItem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/v1/invites/batch"
	body := `{"invites":[` + strings.Join([]string{
		`{"external_user_id":"u1","app":"slack","channel":"link","idempotency_key":"row-1"}`,
		`{"external_user_id":"u2","app":"Slack!","channel":"sms","email":"a@b.example","expires_in":"60","note":7}`,
		`null`, `7`, `[]`,
		`{"external_user_id":"u3","app":"slack","channel":"email","recipient":{"email":"pat@customer.example"},"note":"see https://x.example"}`,
		`{"external_user_id":"u4","app":"slack","channel":"link","idempotency_key":"a key"}`,
		`{` + strings.Repeat(`"x":1,`, 80) + `"y":1}`,
		`{"external_user_id":"u5","app":"slack","channel":"link","idempotency_key":null}`,
	}, ",") + `]}`
	r := w.bare(t, w.key, path, body)
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	var got []string
	for i, result := range r.at(t, "results").([]any) {
		at := func(name string) any { return r.at(t, fmt.Sprintf("results.%d.%s", i, name)) }
		if at("index") != float64(i) || (at("invite") == nil) == (at("problem") == nil) {
			t.Errorf("result %d: %v", i, result)
		}
		line := fmt.Sprint(at("status"))
		if at("problem") != nil {
			if at("problem.status") != at("status") || at("problem.request_id") != r.header.Get("Request-Id") {
				t.Errorf("result %d: %v", i, result)
			}
			for _, f := range at("problem.errors").([]any) {
				line += " " + fmt.Sprint(f.(map[string]any)["pointer"])
			}
		}
		if len(line) > 80 {
			line = line[:80]
		}
		got = append(got, line)
	}
	want := []string{
		"201", "422 /email /expires_in /note /app /recipient/phone", "422 ", "422 ", "422 ", "201", "422 /idempotency_key",
		("422" + strings.Repeat(" /x", 80))[:80], "201",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.at(t, "results.5.invite.warnings.0.pointer") != "/note" || r.at(t, "results.0.invite.connect_link_url") == nil {
		t.Errorf("%s", r.body)
	}
	// The item alone is the same request.
	alone := w.call(t, w.key, "POST", "/v1/invites", `{"external_user_id":"u1","app":"slack","channel":"link"}`, "Idempotency-Key: row-1")
	if alone.header.Get("Idempotency-Replayed") != "true" || alone.at(t, "id") != r.at(t, "results.0.invite.id") {
		t.Errorf("%d %s", alone.status, alone.body)
	}
	// The header's key is one of each item's place.
	two := `{"invites":[{"external_user_id":"u7","app":"slack","channel":"link"},{"external_user_id":"u7","app":"slack","channel":"link"}]}`
	first, again := w.call(t, w.key, "POST", path, two, "Idempotency-Key: b"), w.call(t, w.key, "POST", path, two, "Idempotency-Key: b")
	for i := range 2 {
		id := fmt.Sprintf("results.%d.invite.id", i)
		if first.at(t, id) != again.at(t, id) || again.at(t, fmt.Sprintf("results.%d.idempotency_replayed", i)) != true {
			t.Errorf("item %d: %s", i, again.body)
		}
	}
	if first.at(t, "results.0.invite.id") == first.at(t, "results.1.invite.id") {
		t.Error("two items got one key from the header")
	}
}

func TestABatchThatIsNoneIsRefusedWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/v1/invites/batch"
	many := `{"invites":[` + strings.Repeat(byLink+",", 100) + byLink + `]}`
	w.play(t, []scenario{
		{name: "101", key: w.key, method: "POST", path: path, body: many, status: 413, want: map[string]any{"code": "batch_too_large", "detail": "A batch has at most 100 invites, these are 101."}},
		{name: "none", key: w.key, method: "POST", path: path, body: `{"invites":[]}`, status: 422, want: map[string]any{"errors.0.pointer": "/invites", "errors.0.code": "required"}},
		{name: "no member", key: w.key, method: "POST", path: path, body: `{}`, status: 422, want: map[string]any{"errors.0.pointer": "/invites"}},
		{name: "an object", key: w.key, method: "POST", path: path, body: `{"invites":{}}`, status: 422, want: map[string]any{"errors.0.code": "wrong_type"}},
		{name: "another member", key: w.key, method: "POST", path: path, body: `{"invite":[` + byLink + `]}`, status: 422, want: map[string]any{"errors.0.suggestion": "invites"}},
		{name: "a list", key: w.key, method: "POST", path: path, body: `[` + byLink + `]`, status: 422},
		{name: "without the scope", key: w.readOnly, method: "POST", path: path, body: `{"invites":[` + byLink + `]}`, status: 403},
	})
	if n := len(w.call(t, w.key, "GET", "/v1/invites", "").at(t, "data").([]any)); n > 0 {
		t.Errorf("%d invites are stored", n)
	}
}

// TestABatchItemHasTheFieldsOfACreate, in the document too.
func TestABatchItemHasTheFieldsOfACreate(t *testing.T) {
	t.Parallel()
	schemas := loadContract(t).doc.Components.Schemas
	fields := func(name string) map[string]string {
		out := map[string]string{}
		for field, s := range schemas[name].Value.Properties {
			if name == "BatchInvite" && field == "idempotency_key" {
				continue
			}
			plain := *s.Value
			plain.Description = ""
			text, err := json.Marshal(&plain)
			if err != nil {
				t.Fatal(err)
			}
			out[field] = string(text)
		}
		return out
	}
	if diff := cmp.Diff(fields("CreateInvite"), fields("BatchInvite")); diff != "" {
		t.Errorf("(-CreateInvite +BatchInvite): %s", diff)
	}
	if !slices.Equal(schemas["CreateInvite"].Value.Required, schemas["BatchInvite"].Value.Required) {
		t.Error("they require other fields")
	}
}

func TestRevokeByUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/v1/invites/revoke"
	add := func(key secret.Text, user, app string) string {
		return w.create(t, key, `{"external_user_id":"`+user+`","app":"`+app+`","channel":"email","recipient":{"email":"pat@customer.example"}}`)
	}
	slack, sheets, other := add(w.key, "u1", "slack"), add(w.key, "u1", "google_sheets"), add(w.key, "u2", "slack")
	expired, connected, foreign := add(w.key, "u1", "slack"), add(w.key, "u1", "slack"), add(w.other, "u1", "slack")
	set := func(id, status string) {
		t.Helper()
		if _, err := w.db.Exec(t.Context(), `UPDATE invites SET status = $2 WHERE id = $1`, must(invite.Parse[invite.ID](id)), status); err != nil {
			t.Fatal(err)
		}
	}
	set(expired, "expired")
	set(connected, "connected")
	r := w.call(t, w.key, "POST", path, `{"external_user_id":"u1","app":"slack","reason":"The account was closed"}`)
	if r.status != 200 || r.at(t, "revoked") != 2.0 || r.at(t, "invites.0.id") != expired || r.at(t, "invites.1.id") != slack ||
		r.at(t, "invites.1.status") != "revoked" || r.at(t, "invites.1.invite_link") != nil {
		t.Errorf("%d %s", r.status, r.body)
	}
	r = w.call(t, w.key, "POST", path, `{"external_user_id":"u1"}`)
	if r.at(t, "revoked") != 1.0 || r.at(t, "invites.0.id") != sheets {
		t.Errorf("all apps: %s", r.body)
	}
	if r = w.call(t, w.key, "POST", path, `{"external_user_id":"u1"}`); r.at(t, "revoked") != 0.0 || len(r.at(t, "invites").([]any)) != 0 {
		t.Errorf("again: %s", r.body)
	}
	for id, want := range map[string]string{slack: "revoked", other: "active", connected: "connected"} {
		if got := w.call(t, w.key, "GET", "/v1/invites/"+id, "").at(t, "status"); got != want {
			t.Errorf("%s is %v, want %s", id, got, want)
		}
	}
	if got := w.call(t, w.other, "GET", "/v1/invites/"+foreign, "").at(t, "status"); got != "active" {
		t.Errorf("the invite of another project is %v", got)
	}
	events := w.call(t, w.key, "GET", "/v1/invites/"+slack+"/events", "")
	if !strings.Contains(string(events.body), `"revoked"`) {
		t.Errorf("the timeline: %s", events.body)
	}
	w.play(t, []scenario{
		{name: "no user", key: w.key, method: "POST", path: path, body: `{}`, status: 422, want: map[string]any{"errors.0.pointer": "/external_user_id", "errors.0.code": "required"}},
		{name: "faults", key: w.key, method: "POST", path: path, body: `{"external_user_id":" ","app":"Slack","reason":"` + strings.Repeat("x", 201) + `"}`, status: 422,
			want: map[string]any{"errors.0.pointer": "/external_user_id", "errors.1.pointer": "/app", "errors.2.pointer": "/reason"}},
		{name: "unknown", key: w.key, method: "POST", path: path, body: `{"external_user_id":"u1","apps":"slack"}`, status: 422, want: map[string]any{"errors.0.suggestion": "app"}},
		{name: "no body", key: w.key, method: "POST", path: path, body: " ", status: http.StatusBadRequest},
		{name: "without the scope", key: w.readOnly, method: "POST", path: path, body: `{"external_user_id":"u1"}`, status: 403},
	})
}

package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/secret"
)

// scenario is one exchange: a request and its expected answer. {id}, {dlv}
// and {cursor} stand for values from earlier scenarios.
type scenario struct {
	name         string
	key          secret.Text
	method, path string
	body         string
	header       []string
	status       int
	want         map[string]any // by path into the answer
	save         map[string]string
	wantHeader   map[string]string
}

func (w *world) play(t *testing.T, scenarios []scenario) {
	t.Helper()
	saved := map[string]string{}
	for _, s := range scenarios {
		replace := make([]string, 0, 2*len(saved))
		for k, v := range saved {
			replace = append(replace, "{"+k+"}", v)
		}
		fill := strings.NewReplacer(replace...)
		r := w.call(t, s.key, s.method, fill.Replace(s.path), fill.Replace(s.body), s.header...)
		if r.status != s.status {
			t.Fatalf("%s: %d, want %d: %s", s.name, r.status, s.status, r.body)
		}
		for path, want := range s.want {
			got := r.at(t, path)
			if text, ok := want.(string); ok {
				want = fill.Replace(text)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %s = %v, want %v", s.name, path, got, want)
			}
		}
		for name, want := range s.wantHeader {
			if got := r.header.Get(name); got != fill.Replace(want) {
				t.Errorf("%s: header %s = %q, want %q", s.name, name, got, fill.Replace(want))
			}
		}
		for name, path := range s.save {
			saved[name] = fmt.Sprint(r.at(t, path))
		}
	}
}

func TestTheLifeOfAnInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.play(t, []scenario{
		{name: "create", key: w.key, method: "POST", path: "/v1/invites", body: byEmail, status: 201,
			want: map[string]any{"object": "invite", "status": "active", "delivery.status": "queued", "livemode": false, "recipient.email": "pat@customer.example",
				"app.slug": "slack", "version": 1, "connection": nil, "progress": "none"},
			save: map[string]string{"id": "id", "dlv": "delivery.id", "url": "connect_link_url", "page": "invite_link.url"}},
		{name: "read with links", key: w.key, method: "GET", path: "/v1/invites/{id}", status: 200,
			want: map[string]any{"connect_link_url": "{url}", "invite_link.url": "{page}", "deliveries": nil}},
		{name: "read without links:read", key: w.readOnly, method: "GET", path: "/v1/invites/{id}", status: 200,
			want: map[string]any{"connect_link_url": nil, "invite_link": nil, "recipient.email": "pat@customer.example"}},
		{name: "read with expansions", key: w.key, method: "GET", path: "/v1/invites/{id}?expand=deliveries,events", status: 200,
			want: map[string]any{"deliveries.0.id": "{dlv}", "events.0.type": "created"}},
		{name: "events", key: w.key, method: "GET", path: "/v1/invites/{id}/events", status: 200,
			want: map[string]any{"object": "list", "has_more": false, "next_cursor": nil, "data.0.type": "created", "data.0.actor.kind": "key", "data.0.version": 1}},
		{name: "deliveries", key: w.key, method: "GET", path: "/v1/invites/{id}/deliveries", status: 200,
			want: map[string]any{"data.0.id": "{dlv}", "data.0.number": 1, "data.0.kind": "first", "data.0.status": "queued"}},
		{name: "one delivery", key: w.key, method: "GET", path: "/v1/deliveries/{dlv}", status: 200,
			want: map[string]any{"id": "{dlv}", "invite_id": "{id}", "attempts": 0}},
		{name: "its content has not left", key: w.key, method: "GET", path: "/v1/deliveries/{dlv}/content", status: 404,
			want: map[string]any{"code": "message_not_found"}},
		{name: "resend too soon", key: w.key, method: "POST", path: "/v1/invites/{id}/resend", status: 429,
			want: map[string]any{"code": "resend_too_soon", "retryable": true}, wantHeader: map[string]string{"Retry-After": "5"}},
		{name: "resend to a corrected address", key: w.key, method: "POST", path: "/v1/invites/{id}/resend",
			body: `{"recipient":{"email":"pat.lee@customer.example"},"note":"Sorry, wrong address"}`, status: 200,
			want: map[string]any{"id": "{id}", "resend_count": 1, "recipient.email": "pat.lee@customer.example", "recipient.name": "Pat Lee"}},
		{name: "extend", key: w.key, method: "POST", path: "/v1/invites/{id}/extend", body: `{"valid_for":86400}`, header: []string{"Idempotency-Key: more-time"}, status: 200,
			want: map[string]any{"id": "{id}", "status": "active", "resend_count": 1, "delivery.status": "queued"}, save: map[string]string{"ends": "expires_at"}},
		{name: "extend again with the same key", key: w.key, method: "POST", path: "/v1/invites/{id}/extend", body: `{"valid_for": 86400}`, header: []string{"Idempotency-Key: more-time"},
			status: 200, want: map[string]any{"expires_at": "{ends}"}, wantHeader: map[string]string{"Idempotency-Replayed": "true"}},
		{name: "another time with that key", key: w.key, method: "POST", path: "/v1/invites/{id}/extend", body: `{"valid_for":864000}`, header: []string{"Idempotency-Key: more-time"},
			status: 422, want: map[string]any{"code": "idempotency_key_reused"}},
		{name: "an extension never shortens", key: w.key, method: "POST", path: "/v1/invites/{id}/extend", body: `{"valid_for":3600}`, status: 422,
			want: map[string]any{"code": "invalid_request", "errors.0.pointer": "/valid_for", "errors.0.code": "out_of_range"}},
		{name: "extend beyond the maximum", key: w.key, method: "POST", path: "/v1/invites/{id}/extend", body: `{"valid_for":2592001}`, status: 422,
			want: map[string]any{"errors.0.pointer": "/valid_for", "errors.0.code": "out_of_range", "errors.0.detail": "must be 60 to 2592000 seconds"}},
		{name: "extend without a time", key: w.key, method: "POST", path: "/v1/invites/{id}/extend", body: `{}`, status: 422,
			want: map[string]any{"errors.0.pointer": "/valid_for", "errors.0.code": "required"}},
		{name: "extend by words", key: w.key, method: "POST", path: "/v1/invites/{id}/extend", body: `{"valid_for":"a week"}`, status: 422,
			want: map[string]any{"errors.0.pointer": "/valid_for", "errors.0.code": "wrong_type"}},
		{name: "revoke", key: w.key, method: "POST", path: "/v1/invites/{id}/revoke", body: `{"reason":"left the company"}`, status: 200,
			want: map[string]any{"status": "revoked", "connect_link_url": nil}},
		{name: "revoke again", key: w.key, method: "POST", path: "/v1/invites/{id}/revoke", status: 200, want: map[string]any{"status": "revoked"}},
		{name: "no resend after that", key: w.key, method: "POST", path: "/v1/invites/{id}/resend", body: `{}`, status: 409,
			want: map[string]any{"code": "invite_not_resendable", "retryable": false}},
		{name: "no extension after that", key: w.key, method: "POST", path: "/v1/invites/{id}/extend", body: `{"valid_for":864000}`, status: 409,
			want: map[string]any{"code": "invite_not_extendable", "retryable": false}},
		{name: "the reason is in the timeline", key: w.key, method: "GET", path: "/v1/invites/{id}/events", status: 200},
	})
}

func TestCreateAnswersWithALocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.play(t, []scenario{
		{name: "201", key: w.key, method: "POST", path: "/v1/invites", body: byLink, status: 201, save: map[string]string{"id": "id"},
			want: map[string]any{"delivery": nil, "channel": "link"}},
	})
	r := w.call(t, w.key, "POST", "/v1/invites", byLink)
	if want := "/v1/invites/" + r.at(t, "id").(string); r.header.Get("Location") != want {
		t.Errorf("Location = %q, want %q", r.header.Get("Location"), want)
	}
	w.mintDown.Store(true)
	r = w.call(t, w.key, "POST", "/v1/invites", byLink)
	if r.status != http.StatusAccepted || r.at(t, "status") != "pending" || r.at(t, "connect_link_url") != nil || r.at(t, "invite_link.url") == nil {
		t.Errorf("while Pipedream is down: %d %s", r.status, r.body)
	}
	if want := "/v1/invites/" + r.at(t, "id").(string); r.header.Get("Location") != want {
		t.Errorf("Location of a 202 = %q, want %q", r.header.Get("Location"), want)
	}
}

func TestLinksAreNotEscaped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.call(t, w.key, "POST", "/v1/invites", byLink)
	if !strings.Contains(string(r.body), "&app=slack") {
		t.Errorf("the link's & is escaped: %s", r.body)
	}
}

// The first answer is made without reading the invite back; it must equal a
// later reading.
func TestTheAnswerOfACreateIsWhatAReadingSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, body := range []string{byEmail, byLink} {
		made := w.call(t, w.key, "POST", "/v1/invites", body)
		read := w.call(t, w.key, "GET", "/v1/invites/"+made.at(t, "id").(string), "")
		if diff := cmp.Diff(read.json(t), made.json(t)); diff != "" {
			t.Errorf("%s (-read +made):\n%s", body, diff)
		}
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const key = "Idempotency-Key: 6f1c0c1e-2f64-4f3e"
	first := w.call(t, w.key, "POST", "/v1/invites", byEmail, key)
	again := w.call(t, w.key, "POST", "/v1/invites", byEmail, key)
	if first.status != 201 || first.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("first: %d, replayed %q", first.status, first.header.Get("Idempotency-Replayed"))
	}
	if again.status != 201 || again.header.Get("Idempotency-Replayed") != "true" || string(again.body) != string(first.body) {
		t.Errorf("again: %d, replayed %q\n%s\n%s", again.status, again.header.Get("Idempotency-Replayed"), first.body, again.body)
	}
	if again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("Location = %q, was %q", again.header.Get("Location"), first.header.Get("Location"))
	}
	if r := w.call(t, w.key, "POST", "/v1/invites", byLink, key); r.status != 422 || r.at(t, "code") != "idempotency_key_reused" {
		t.Errorf("another body: %d %s", r.status, r.body)
	}
	// The key counts per path: the same one for two invites means two resends.
	a, b := w.create(t, w.key, byEmail), w.create(t, w.key, byEmail)
	for _, id := range []string{a, b} {
		body := `{"recipient":{"email":"new@customer.example"}}`
		if r := w.call(t, w.key, "POST", "/v1/invites/"+id+"/resend", body, key); r.status != 200 || r.at(t, "id") != id {
			t.Errorf("resend of %s: %d %s", id, r.status, r.body)
		}
		if r := w.call(t, w.key, "POST", "/v1/invites/"+id+"/resend", body, key); r.header.Get("Idempotency-Replayed") != "true" || r.at(t, "resend_count") != 1.0 {
			t.Errorf("resend of %s again: %d %s", id, r.status, r.body)
		}
	}
	for name, header := range map[string][]string{
		"a space":     {"Idempotency-Key: a b"},
		"too long":    {"Idempotency-Key: " + strings.Repeat("x", 256)},
		"not ASCII":   {"Idempotency-Key: schlüssel"},
		"given twice": {"Idempotency-Key: a", "Idempotency-Key: b"},
	} {
		if r := w.call(t, w.key, "POST", "/v1/invites", byLink, header...); r.status != 422 || r.at(t, "errors.0.pointer") != "/Idempotency-Key" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if r := w.call(t, w.key, "POST", "/v1/invites", byLink, "Idempotency-Key: "+strings.Repeat("~", 255)); r.status != 201 {
		t.Errorf("255 characters: %d %s", r.status, r.body)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byEmail)
	liveID := "" // nothing live exists; a test invite must be invisible to the live key all the same
	_ = liveID
	wrong := secret.New(w.key.Reveal()[:len(w.key.Reveal())-1] + "!")
	stale := secret.New(strings.Replace(w.key.Reveal(), "cl_test_", "cl_live_", 1))
	for _, s := range []scenario{
		{name: "no key", method: "GET", path: "/v1/invites", status: 401, want: map[string]any{"code": "authentication_required"},
			wantHeader: map[string]string{"Www-Authenticate": `Bearer realm="connectlink"`}},
		{name: "another scheme", method: "GET", path: "/v1/invites", header: []string{"Authorization: Basic abc"}, status: 401,
			want: map[string]any{"code": "authentication_required"}},
		{name: "two headers", key: w.key, method: "GET", path: "/v1/invites", header: []string{"Authorization: Bearer x"}, status: 401,
			want: map[string]any{"code": "authentication_required"}},
		{name: "a mistyped key", key: wrong, method: "GET", path: "/v1/invites", status: 401, want: map[string]any{"code": "invalid_api_key"},
			wantHeader: map[string]string{"Www-Authenticate": `Bearer realm="connectlink", error="invalid_token"`}},
		{name: "a key of the other mode", key: stale, method: "GET", path: "/v1/invites", status: 401, want: map[string]any{"code": "invalid_api_key"}},
		{name: "the key before the body", method: "POST", path: "/v1/invites", body: `{`, status: 401},
		{name: "reading with a key that writes", key: w.narrow, method: "GET", path: "/v1/invites", status: 403, want: map[string]any{"code": "insufficient_scope", "detail": "This needs a key with the scope invites:read. This key has only invites:write."}},
		{name: "writing with a key that reads", key: w.readOnly, method: "POST", path: "/v1/invites", body: byLink, status: 403, want: map[string]any{"code": "insufficient_scope"}},
		{name: "another project's invite", key: w.other, method: "GET", path: "/v1/invites/" + id, status: 404, want: map[string]any{"code": "invite_not_found"}},
		{name: "another project's events", key: w.other, method: "GET", path: "/v1/invites/" + id + "/events", status: 404},
		{name: "another project's deliveries", key: w.other, method: "GET", path: "/v1/invites/" + id + "/deliveries", status: 404},
		{name: "revoking another project's", key: w.other, method: "POST", path: "/v1/invites/" + id + "/revoke", body: `{}`, status: 404},
		{name: "extending another project's", key: w.other, method: "POST", path: "/v1/invites/" + id + "/extend", body: `{"valid_for":864000}`, status: 404, want: map[string]any{"code": "invite_not_found"}},
		{name: "extending a test invite with a live key", key: w.live, method: "POST", path: "/v1/invites/" + id + "/extend", body: `{"valid_for":864000}`, status: 404, want: map[string]any{"code": "invite_not_found"}},
		{name: "extending with a key that reads", key: w.readOnly, method: "POST", path: "/v1/invites/" + id + "/extend", body: `{"valid_for":864000}`, status: 403, want: map[string]any{"code": "insufficient_scope"}},
		{name: "resending another project's", key: w.other, method: "POST", path: "/v1/invites/" + id + "/resend", body: `{}`, status: 404},
		{name: "a test invite with a live key", key: w.live, method: "GET", path: "/v1/invites/" + id, status: 404, want: map[string]any{"code": "invite_not_found"}},
		{name: "what is no id", key: w.key, method: "GET", path: "/v1/invites/17", status: 404, want: map[string]any{"code": "invite_not_found"}},
		{name: "an id of another kind", key: w.key, method: "GET", path: "/v1/deliveries/" + id, status: 404, want: map[string]any{"code": "delivery_not_found"}},
		{name: "test helpers with a live key", key: w.live, method: "GET", path: "/v1/test_helpers/messages", status: 403, want: map[string]any{"code": "test_key_required"}},
		{name: "the inbox without links:read", key: w.readOnly, method: "GET", path: "/v1/test_helpers/messages", status: 403, want: map[string]any{"code": "insufficient_scope"}},
		{name: "advancing with a live key", key: w.live, method: "POST", path: "/v1/test_helpers/invites/" + id + "/advance", body: `{"to":"expired"}`, status: 403},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w.play(t, []scenario{s})
		})
	}
}

func TestWhatIsRefusedBeforeItIsUnderstood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, s := range []scenario{
		{name: "no JSON", body: `{"app":`, status: 400, want: map[string]any{"code": "malformed_body"}},
		{name: "NUL", body: `{"app":"\u0000"}`, status: 400, want: map[string]any{"code": "malformed_body"}},
		{name: "invalid UTF-8", body: "{\"app\":\"\xff\"}", status: 400, want: map[string]any{"code": "malformed_body", "detail": "The body is not valid UTF-8."}},
		{name: "trailing data", body: byLink + "{}", status: 400, want: map[string]any{"code": "malformed_body"}},
		{name: "deep nesting", body: strings.Repeat(`{"recipient":`, 1000), status: 400, want: map[string]any{"code": "malformed_body"}},
		{name: "no body", body: " ", status: 400, want: map[string]any{"code": "malformed_body"}},
		{name: "a form", body: "app=slack", header: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 415, want: map[string]any{"code": "unsupported_media_type"}},
		{name: "no type", body: byLink, header: []string{"Content-Type: "}, status: 415},
		{name: "another charset", body: byLink, header: []string{"Content-Type: application/json; charset=latin1"}, status: 415},
		{name: "a compressed body", body: byLink, header: []string{"Content-Encoding: gzip"}, status: 415},
		{name: "a body over the limit", body: `{"note":"` + strings.Repeat("x", 300<<10) + `"}`, status: 413, want: map[string]any{"code": "body_too_large"}},
		{name: "the type with its charset", body: byLink, header: []string{"Content-Type: application/json; charset=UTF-8"}, status: 201},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.key, s.method, s.path = w.key, "POST", "/v1/invites"
			w.play(t, []scenario{s})
		})
	}
}

func TestEveryFaultOfABodyIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.play(t, []scenario{
		{name: "form", key: w.key, method: "POST", path: "/v1/invites", status: 422,
			body: `{"externalUserId":"u1","app":"slack","app":"x","channel":"email","email":"a@b.example","expires_in":"60","metadata":{"k":1}}`,
			want: map[string]any{"code": "invalid_request",
				"errors.0.pointer": "/externalUserId", "errors.0.suggestion": "external_user_id", "errors.0.code": "unknown_field",
				"errors.1.pointer": "/app", "errors.1.code": "duplicate_field",
				"errors.2.pointer": "/email", "errors.2.suggestion": "recipient.email",
				"errors.3.pointer": "/expires_in", "errors.3.code": "wrong_type",
				"errors.4.pointer": "/metadata/k"}},
		{name: "meaning", key: w.key, method: "POST", path: "/v1/invites", status: 422,
			body: `{"external_user_id":"","app":"Slack!","channel":"fax","expires_in":0,"initiated_by":"me"}`,
			want: map[string]any{"code": "invalid_request", "errors.0.pointer": "/external_user_id", "errors.1.pointer": "/app"}},
		{name: "null is left out", key: w.key, method: "POST", path: "/v1/invites", status: 201,
			body: `{"external_user_id":"u1","app":"slack","channel":"link","recipient":null,"expires_in":null,"note":null,"metadata":null,"send_at":null,"fallback":null}`},
		{name: "nothing to send later", key: w.key, method: "POST", path: "/v1/invites", status: 422,
			body: `{"external_user_id":"u1","app":"slack","channel":"link","send_at":"2026-12-01T09:00:00Z"}`,
			want: map[string]any{"code": "invalid_request", "errors.0.pointer": "/send_at", "errors.0.code": "not_allowed"}},
		{name: "sent tomorrow", key: w.key, method: "POST", path: "/v1/invites", status: 201,
			body: `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"pat@customer.example"},"send_at":"` +
				time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339) + `"}`,
			want: map[string]any{"status": "scheduled", "connect_link_url": nil, "expires_at": nil, "invite_link": nil}},
		{name: "a fallback", key: w.key, method: "POST", path: "/v1/invites", status: 201,
			body: `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"pat@customer.example","phone":"+12025550123"},
				"fallback":{"channel":"sms","after":"not_visited","delay_s":60}}`,
			want: map[string]any{"fallback.channel": "sms", "fallback.after": "not_visited", "fallback.delay_s": 60.0, "send_at": nil}},
		{name: "a fallback to nowhere", key: w.key, method: "POST", path: "/v1/invites", status: 422,
			body: `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"pat@customer.example"},"fallback":{"channel":"sms","after":"failure"}}`,
			want: map[string]any{"code": "invalid_request", "errors.0.pointer": "/recipient/phone", "errors.0.code": "required"}},
		{name: "an app that does not exist", key: w.key, method: "POST", path: "/v1/invites", status: 422,
			body: `{"external_user_id":"u1","app":"no_such_app_0","channel":"link"}`, want: map[string]any{"code": "unknown_app"}},
	})
}

func TestPathsAndMethodsThatDoNotExist(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.call(t, w.key, "GET", "/v1/invoices", "")
	if r.status != 404 || r.at(t, "code") != "not_found" || r.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", r.status, r.body)
	}
	r = w.call(t, w.key, "PUT", "/v1/invites", "")
	if r.status != 405 || r.at(t, "code") != "method_not_allowed" || !strings.Contains(r.header.Get("Allow"), "POST") {
		t.Errorf("%d Allow %q %s", r.status, r.header.Get("Allow"), r.body)
	}
	if r = w.call(t, w.key, "HEAD", "/v1/invites", ""); r.status != 200 || len(r.body) != 0 {
		t.Errorf("HEAD: %d %q", r.status, r.body)
	}
}

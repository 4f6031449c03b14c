package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// TestF14TheSameValuesInAnotherFormReplay: a repeat is often encoded again, by
// another library or from an unordered map.
func TestF14TheSameValuesInAnotherFormReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const key = "Idempotency-Key: order-1"
	first := w.call(t, w.key, "POST", "/v1/invites", `{"external_user_id":"u1","app":"slack","channel":"link","metadata":{"a":"1","b":"2"},"expires_in":3600}`, key)
	if first.status != 201 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	for name, body := range map[string]string{
		"order":         `{"channel":"link","expires_in":3600,"metadata":{"b":"2","a":"1"},"app":"slack","external_user_id":"u1"}`,
		"spacing":       `{ "external_user_id": "u1", "app": "slack",` + "\n" + `"channel": "link", "metadata": {"a": "1", "b": "2"}, "expires_in": 3600 }`,
		"escapes":       `{"external_user_id":"u\u0031","app":"slac\u006b","channel":"link","metadata":{"a":"1","b":"2"},"expires_in":3600}`,
		"null is unset": `{"external_user_id":"u1","app":"slack","channel":"link","metadata":{"a":"1","b":"2"},"expires_in":3600,"note":null,"recipient":null}`,
		"number":        `{"external_user_id":"u1","app":"slack","channel":"link","metadata":{"a":"1","b":"2"},"expires_in":36e2}`,
	} {
		r := w.call(t, w.key, "POST", "/v1/invites", body, key)
		if r.status != 201 || r.header.Get("Idempotency-Replayed") != "true" || r.at(t, "id") != first.at(t, "id") {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	for name, body := range map[string]string{
		"another user":     `{"external_user_id":"u2","app":"slack","channel":"link","metadata":{"a":"1","b":"2"},"expires_in":3600}`,
		"another metadata": `{"external_user_id":"u1","app":"slack","channel":"link","metadata":{"a":"1","b":"3"},"expires_in":3600}`,
		"one member less":  `{"external_user_id":"u1","app":"slack","channel":"link","metadata":{"a":"1","b":"2"}}`,
		"another case":     `{"external_user_id":"U1","app":"slack","channel":"link","metadata":{"a":"1","b":"2"},"expires_in":3600}`,
	} {
		if r := w.call(t, w.key, "POST", "/v1/invites", body, key); r.status != 422 || r.at(t, "code") != "idempotency_key_reused" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
}

// TestF14RecordsOfTheVersionBeforeReplay: those hold a hash of the body's bytes,
// and a quoted key with its quotes.
func TestF14RecordsOfTheVersionBeforeReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.call(t, w.key, "POST", "/v1/invites", byLink, "Idempotency-Key: old")
	var keyID, route string
	if err := w.db.QueryRow(t.Context(), `SELECT key_id::text, route FROM idempotency`).Scan(&keyID, &route); err != nil {
		t.Fatal(err)
	}
	var principal string
	if err := w.db.QueryRow(t.Context(), `SELECT actor_id FROM events WHERE type = 'created'`).Scan(&principal); err != nil {
		t.Fatal(err)
	}
	principal = principal[strings.LastIndexByte(principal, ':')+1:]
	for _, sent := range []string{"old", `"old"`} {
		_, err := w.db.Exec(t.Context(), `UPDATE idempotency SET key_hash = $1, body_mac = $2`,
			secret.Digest(secret.New(sent)), w.box.Hash("idempotency.body", principal, route, byLink))
		if err != nil {
			t.Fatal(err)
		}
		r := w.call(t, w.key, "POST", "/v1/invites", byLink, "Idempotency-Key: "+sent)
		if r.status != 201 || r.header.Get("Idempotency-Replayed") != "true" || r.at(t, "id") != first.at(t, "id") {
			t.Errorf("%s: %d %s", sent, r.status, r.body)
		}
		if r := w.call(t, w.key, "POST", "/v1/invites", byEmail, "Idempotency-Key: "+sent); r.status != 422 || r.at(t, "code") != "idempotency_key_reused" {
			t.Errorf("%s with another body: %d %s", sent, r.status, r.body)
		}
	}
}

// TestF9AQuotedIdempotencyKeyIsTheKeyItself: the header's draft writes a quoted
// string, most clients the key alone.
func TestF9AQuotedIdempotencyKeyIsTheKeyItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.call(t, w.key, "POST", "/v1/invites", byLink, `Idempotency-Key: k-1`)
	r := w.call(t, w.key, "POST", "/v1/invites", byLink, `Idempotency-Key: "k-1"`)
	if r.status != 201 || r.header.Get("Idempotency-Replayed") != "true" || r.at(t, "id") != first.at(t, "id") {
		t.Errorf("%d %s", r.status, r.body)
	}
	w.call(t, w.key, "POST", "/v1/invites", byLink, `Idempotency-Key: "a\"b"`)
	if r := w.call(t, w.key, "POST", "/v1/invites", byLink, `Idempotency-Key: a"b`); r.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("an escaped quote: %d %s", r.status, r.body)
	}
	for name, header := range map[string]string{
		"empty in quotes": `""`, "blank in quotes": `"  "`, "no closing quote": `"k`, "text after the quote": `"k"x`, "a bad escape": `"\k"`,
	} {
		if r := w.call(t, w.key, "POST", "/v1/invites", byLink, "Idempotency-Key: "+header); r.status != 422 || r.at(t, "errors.0.pointer") != "/Idempotency-Key" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if r := w.raw(t, "POST /v1/invites HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+w.key.Reveal()+"\r\nContent-Type: application/json\r\nIdempotency-Key: \r\nContent-Length: "+
		fmt.Sprint(len(byLink))+"\r\n\r\n"+byLink); r.status != 422 || !strings.Contains(string(r.body), "is empty") {
		t.Errorf("empty: %d %s", r.status, r.body)
	}
}

// raw writes bytes to a connection of its own and reads one answer.
func (w *world) raw(t *testing.T, request string) reply {
	t.Helper()
	conn, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Close {
		resp.Header.Set("Connection", "close") // http.ReadResponse takes it out
	}
	return reply{resp.StatusCode, resp.Header, b}
}

// TestF22NulAndInvalidUTF8AreRefusedEverywhere, in each part of a request.
func TestF22NulAndInvalidUTF8AreRefusedEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	for _, bad := range []string{"%00", "%ff", "%ed%a0%80", "x%00y", "%c3", "%f0%9f%98"} {
		for _, path := range []string{
			"/v1/invites?external_user_id=" + bad, "/v1/invites?app=" + bad, "/v1/invites?recipient=" + bad, "/v1/invites?inviter=" + bad,
			"/v1/invites?" + bad + "=x", "/v1/invites/" + bad, "/v1/invites/" + id + "/events?x=" + bad,
			"/v1/deliveries/" + bad, "/v1/suppressions?recipient=" + bad, "/v1/test_helpers/messages?to=" + bad, "/v1/reasons?" + bad,
		} {
			for _, key := range []secret.Text{w.key, w.blocks} {
				if r := w.call(t, key, "GET", path, ""); r.status < 400 || r.status > 499 {
					t.Errorf("GET %s: %d %s", path, r.status, r.body)
				}
			}
		}
		for _, path := range []string{"/hooks/pipedream/" + bad, "/hooks/sendgrid/" + bad + "/live", "/hooks/twilio/status/default/live/" + bad + "/1", "/hooks/twilio/inbound/default/live?" + bad} {
			for _, body := range []string{"", "Body=" + bad, bad + "=1"} {
				r := w.call(t, secret.Text{}, "POST", path, body, "Content-Type: application/x-www-form-urlencoded")
				if r.status < 400 || r.status > 499 {
					t.Errorf("POST %s %q: %d %s", path, body, r.status, r.body)
				}
			}
		}
		for _, header := range []string{"User-Agent", "Accept-Language", "Prefer", "If-None-Match", "X-Forwarded-For", "Idempotency-Key"} {
			value, err := url.PathUnescape(strings.ReplaceAll(bad, "%00", "%ff"))
			if err != nil {
				t.Fatal(err)
			}
			if r := w.call(t, w.key, "GET", "/v1/invites", "", header+": "+value); r.status > 499 {
				t.Errorf("%s: %d %s", header, r.status, r.body)
			}
		}
	}
	for _, path := range []string{"/v1/invites?app=%00", "/v1/invites?external_user_id=%FF", "/v1/invites?app=%ED%A0%80", "/v1/invites/%00", "/v1/suppressions/%ff"} {
		if r := w.call(t, w.key, "GET", path, ""); r.status != 400 || r.at(t, "code") != "malformed_body" {
			t.Errorf("GET %s: %d %s", path, r.status, r.body)
		}
	}
	if r := w.call(t, w.key, "GET", "/v1/invites?app=%00&status=active&limit=%ff", ""); r.at(t, "errors.0.pointer") != "/app" || r.at(t, "errors.1.pointer") != "/limit" {
		t.Errorf("the parameters are not named: %s", r.body)
	}
	// Valid UTF-8 passes, escaped or not.
	for _, good := range []string{"%e2%82%ac", "€", "a%20b", "a+b", "100%25", "%F0%9F%98%80"} {
		if r := w.call(t, w.key, "GET", "/v1/invites?external_user_id="+good, ""); r.status != 200 {
			t.Errorf("%s: %d %s", good, r.status, r.body)
		}
	}
}

// TestSecurityF6AMalformedChunkedBodyIsTheCallersFault on each route that reads one.
func TestSecurityF6AMalformedChunkedBodyIsTheCallersFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	for _, path := range []string{
		"/v1/invites", "/v1/invites/preview", "/v1/invites/" + id + "/resend", "/v1/invites/" + id + "/revoke", "/v1/invites/" + id + "/extend", "/v1/invites/" + id + "/client_token",
		"/hooks/pipedream/x", "/hooks/sendgrid/default/test", "/hooks/twilio/status/default/test/" + id + "/1", "/hooks/twilio/inbound/default/test",
	} {
		for _, body := range []string{"zz\r\n", "5\r\n{\"a\":1}\r\n0\r\n\r\n", "-1\r\n\r\n"} {
			r := w.raw(t, "POST "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+w.key.Reveal()+
				"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
			if r.status != 400 {
				t.Errorf("%s %q: %d %s", path, body, r.status, r.body)
			}
		}
	}
}

// TestADeleteNeedsNoBody: many clients and proxies drop it. One that writes a body
// without announcing it does not lose its next request.
func TestADeleteNeedsNoBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	block := func(email string) string {
		r := w.call(t, w.blocks, "POST", "/v1/suppressions", `{"email":"`+email+`","reason":"they asked"}`)
		if r.status != 201 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		return r.at(t, "id").(string)
	}
	if r := w.call(t, w.blocks, "DELETE", "/v1/suppressions/"+block("a@customer.example"), ""); r.status != 200 || r.at(t, "lifted_at") == nil {
		t.Errorf("without a body: %d %s", r.status, r.body)
	}
	if r := w.call(t, w.blocks, "DELETE", "/v1/suppressions/"+block("b@customer.example"), `{"reason":"confirmed by phone"}`); r.status != 200 || r.at(t, "lifted_at") == nil {
		t.Errorf("with a body: %d %s", r.status, r.body)
	}
	note := func(text string) string {
		t.Helper()
		id := must(invite.Parse[invite.SuppressionID](text))
		var sealed []byte
		if err := w.db.QueryRow(t.Context(), `SELECT lift_note FROM suppressions WHERE id = $1`, id).Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		return string(must(w.box.Open(sealed, seal.AD{Column: "suppressions.lift_note", ID: id.UUID()})))
	}
	for name, c := range map[string]struct{ query, body, want string }{
		"nothing":  {"", "", "No reason given"},
		"an empty": {"", "{}", "No reason given"},
		"query":    {"?reason=ticket+4711", "", "ticket 4711"},
		"body":     {"", `{"reason":"ticket 4712"}`, "ticket 4712"},
	} {
		id := block(strings.ReplaceAll(name, " ", "-") + "@customer.example")
		if r := w.call(t, w.blocks, "DELETE", "/v1/suppressions/"+id+c.query, c.body); r.status != 200 || note(id) != c.want {
			t.Errorf("%s: %d, recorded %q", name, r.status, note(id))
		}
	}
	id := block("twice@customer.example")
	for name, c := range map[string]struct{ query, body, code string }{
		"given twice":           {"?reason=a", `{"reason":"a"}`, "duplicate_field"},
		"an empty parameter":    {"?reason=", "", "invalid"},
		"an empty member":       {"", `{"reason":" "}`, "required"},
		"an unknown parameter":  {"?why=a", "", "unknown_field"},
		"too long in the query": {"?reason=" + strings.Repeat("x", 2001), "", "too_long"},
	} {
		if r := w.call(t, w.blocks, "DELETE", "/v1/suppressions/"+id+c.query, c.body); r.status != 422 || r.at(t, "errors.0.code") != c.code {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	r := w.raw(t, "DELETE /v1/suppressions/"+block("c@customer.example")+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+w.blocks.Reveal()+
		"\r\nContent-Type: application/json\r\n\r\n{\"reason\":\"not announced\"}")
	if r.status != 200 || r.header.Get("Connection") != "close" {
		t.Errorf("a body that is not announced: %d, Connection %q: %s", r.status, r.header.Get("Connection"), r.body)
	}
}

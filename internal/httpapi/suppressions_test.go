package httpapi_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/suppress"
)

// textSenders are what every project's texts come from here.
func (w *world) textSenders(invite.Place) []string {
	return []string{w.sandbox.Credentials().TwilioMessagingServiceSID}
}

func (w *world) suppressions() *suppress.Service {
	mail := sendgrid.New(sendgrid.Params{BaseURL: w.vendors.URL + "/sendgrid", APIKey: w.sandbox.Credentials().SendGridAPIKey})
	return must(suppress.New(suppress.Params{
		SenderOf: func(string, invite.Place) string { return "" }, Scripted: func(string) bool { return false },
		DB: w.db, Box: w.box, Senders: w.textSenders,
		Unlister: func(invite.Place) (provider.Unlister, bool) { return mail, true },
	}))
}

// replyPost signs what a person texts to the sandbox's sender, as Twilio does.
func (w *world) replyPost(path string, form url.Values) (body string, header []string) {
	keys := make([]string, 0, len(form))
	for k := range form {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	mac := hmac.New(sha1.New, []byte(w.sandbox.Credentials().TwilioAuthToken.Reveal()))
	mac.Write([]byte(w.server.URL + path))
	for _, k := range keys {
		mac.Write([]byte(k + form.Get(k)))
	}
	return form.Encode(), []string{
		"Content-Type: application/x-www-form-urlencoded", "X-Twilio-Signature: " + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}
}

func TestSuppressions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/v1/suppressions"
	made := w.call(t, w.blocks, "POST", path, `{"email":"Pat@Customer.example","reason":"Asked\u202e by phone"}`)
	if made.status != 201 || made.at(t, "kind") != "by_hand" || made.at(t, "note") != "Asked by phone" || made.at(t, "liftable") != true {
		t.Fatalf("add: %d %s", made.status, made.body)
	}
	id := made.at(t, "id").(string)
	w.play(t, []scenario{
		{name: "again", key: w.blocks, method: "POST", path: path, body: `{"email":"pat@customer.example","reason":"Again"}`, status: 200, want: map[string]any{"id": id, "note": "Asked by phone"}},
		{name: "without a reason", key: w.blocks, method: "POST", path: path, body: `{"email":"jo@customer.example"}`, status: 422, want: map[string]any{"errors.0.pointer": "/reason"}},
		{name: "nobody", key: w.blocks, method: "POST", path: path, body: `{"reason":"x"}`, status: 422, want: map[string]any{"errors.0.pointer": "/email"}},
		{name: "no address", key: w.blocks, method: "POST", path: path, body: `{"email":"+12025550100","reason":"x"}`, status: 422, want: map[string]any{"errors.0.pointer": "/email"}},
		{name: "two addresses", key: w.blocks, method: "POST", path: path, body: `{"email":"a@b.example","phone":"+12025550100","reason":"x"}`, status: 422},
		{name: "unknown member", key: w.blocks, method: "POST", path: path, body: `{"mail":"a@b.example","reason":"x"}`, status: 422},
		{name: "found by its address", key: w.blocks, method: "GET", path: path + "?recipient=PAT@customer.example", status: 200, want: map[string]any{"data.0.id": id, "has_more": false}},
		{name: "not by another", key: w.blocks, method: "GET", path: path + "?recipient=jo@customer.example", status: 200, want: map[string]any{"data.0": nil}},
		{name: "not among others", key: w.blocks, method: "GET", path: path + "?kind=opt_out", status: 200, want: map[string]any{"data.0": nil}},
		{name: "a kind that is none", key: w.blocks, method: "GET", path: path + "?kind=whim", status: 422},
		{name: "an invite to it", key: w.key, method: "POST", path: "/v1/invites", body: byEmail, status: 422,
			want: map[string]any{"code": "recipient_suppressed", "errors.0.pointer": "/recipient/email"}},
		{name: "of another project", key: w.other, method: "POST", path: "/v1/invites", body: byEmail, status: 201},
		{name: "that sends nothing", key: w.key, method: "POST", path: "/v1/invites", body: byLink, status: 201},
		{name: "a key without the scope", key: w.key, method: "GET", path: path, status: 403},
		{name: "lift without a reason", key: w.blocks, method: "DELETE", path: path + "/" + id, body: `{"reason":" "}`, status: 422, want: map[string]any{"errors.0.pointer": "/reason"}},
		{name: "lift nothing", key: w.blocks, method: "DELETE", path: path + "/sup_0", body: `{"reason":"x"}`, status: 404, want: map[string]any{"code": "suppression_not_found"}},
		{name: "lift", key: w.blocks, method: "DELETE", path: path + "/" + id, body: `{"reason":"Was wrong"}`, status: 200, want: map[string]any{"id": id, "provider_keeps": nil}},
		{name: "lift again", key: w.blocks, method: "DELETE", path: path + "/" + id, body: `{"reason":"Was wrong"}`, status: 200},
		{name: "an invite to it afterwards", key: w.key, method: "POST", path: "/v1/invites", body: byEmail, status: 201},
		{name: "lifted ones are not listed", key: w.blocks, method: "GET", path: path, status: 200, want: map[string]any{"data.0": nil}},
	})
}

func TestAReplayIsAnsweredThoughTheAddressWasBlockedSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.call(t, w.key, "POST", "/v1/invites", byEmail, "Idempotency-Key: k1")
	w.call(t, w.blocks, "POST", "/v1/suppressions", `{"email":"pat@customer.example","reason":"x"}`)
	again := w.call(t, w.key, "POST", "/v1/invites", byEmail, "Idempotency-Key: k1")
	if again.status != 201 || again.at(t, "id") != first.at(t, "id") {
		t.Errorf("%d %s", again.status, again.body)
	}
	if r := w.call(t, w.key, "POST", "/v1/invites", byEmail, "Idempotency-Key: k2"); r.status != 422 {
		t.Errorf("another request: %d", r.status)
	}
	if r := w.call(t, w.key, "POST", "/v1/invites/"+first.at(t, "id").(string)+"/resend", `{"recipient":{"email":"pat@customer.example"}}`); r.status != 422 && r.status != 429 {
		t.Errorf("a resend: %d %s", r.status, r.body)
	}
}

func TestStopIsSaidToTheSenderAndUndoneByThePersonOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const hook = "/hooks/twilio/inbound/default/test"
	say := func(sid, body string) reply {
		t.Helper()
		raw, header := w.replyPost(hook, url.Values{
			"MessageSid": {"SM" + strings.Repeat(sid, 32)}, "From": {"+12025550123"}, "To": {"+15005550006"}, "Body": {body},
			"MessagingServiceSid": w.textSenders(invite.Place{}), "OptOutType": {""},
		})
		return w.call(t, secret.Text{}, "POST", hook, raw, header...)
	}
	toPhone := `{"external_user_id":"u1","app":"slack","channel":"sms","recipient":{"phone":"+12025550123"}}`
	for i, body := range []string{"hello", "where does it go?", "HELP"} {
		if r := say(string(rune('a'+i)), body); r.status != 200 || !strings.Contains(string(r.body), "<Response/>") || !strings.HasPrefix(r.header.Get("Content-Type"), "text/xml") {
			t.Errorf("%q: %d %s %s", body, r.status, r.header.Get("Content-Type"), r.body)
		}
	}
	if r := w.call(t, w.key, "POST", "/v1/invites", toPhone); r.status != 201 {
		t.Fatalf("before STOP: %d %s", r.status, r.body)
	}
	say("1", " Stop ")
	for name, key := range map[string]secret.Text{"the project": w.key, "another project of the same sender": w.other} {
		if r := w.call(t, key, "POST", "/v1/invites", toPhone); r.status != 422 || r.at(t, "code") != "recipient_opted_out" {
			t.Errorf("after STOP, %s: %d %s", name, r.status, r.body)
		}
	}
	listed := w.call(t, w.blocks, "GET", "/v1/suppressions?kind=opt_out", "")
	if listed.at(t, "data.0.recipient") != "+12025550123" || listed.at(t, "data.0.liftable") != false {
		t.Fatalf("list: %s", listed.body)
	}
	if r := w.call(t, w.blocks, "DELETE", "/v1/suppressions/"+listed.at(t, "data.0.id").(string), `{"reason":"x"}`); r.status != 422 || r.at(t, "code") != "recipient_opted_out" {
		t.Errorf("lifting an opt-out: %d %s", r.status, r.body)
	}
	say("2", "UNSTOP")
	say("1", "STOP") // a copy of the earlier one, late
	if r := w.call(t, w.key, "POST", "/v1/invites", toPhone); r.status != 201 {
		t.Errorf("after START: %d %s", r.status, r.body)
	}

	raw, header := w.replyPost(hook, url.Values{"MessageSid": {"SM" + strings.Repeat("3", 32)}, "From": {"+12025550123"}, "To": {"+15005550006"}, "Body": {"STOP"}})
	if r := w.call(t, secret.Text{}, "POST", hook, strings.Replace(raw, "550123", "550124", 1), header...); r.status != 403 {
		t.Errorf("forged: %d", r.status)
	}
	if r := w.call(t, secret.Text{}, "POST", strings.Replace(hook, "test", "prod", 1), raw, header...); r.status != 403 {
		t.Errorf("no mode: %d", r.status)
	}
	raw, header = w.replyPost(hook, url.Values{"Body": {"STOP"}})
	if r := w.call(t, secret.Text{}, "POST", hook, raw, header...); r.status != 400 {
		t.Errorf("from nobody: %d", r.status)
	}
}

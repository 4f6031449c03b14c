package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
)

// TestReconnectMakesALinkedInvite for the same account, user, app and recipient.
func TestReconnectMakesALinkedInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, account := w.connect(t, "u1")
	r := w.call(t, w.key, "POST", "/v1/invites/"+first+"/reconnect", `{"channel":"email","recipient":{"email":"pat@customer.example"},"note":"Once more"}`, "Idempotency-Key: again")
	if r.status != http.StatusCreated {
		t.Fatalf("reconnect: %d %s", r.status, r.body)
	}
	id := r.at(t, "id").(string)
	for path, want := range map[string]any{
		"kind": "reconnect", "account_id": account, "reconnect_of": first, "reconnected_by": nil, "external_user_id": "u1", "app.slug": "slack",
		"channel": "email", "recipient.email": "pat@customer.example", "note": "Once more", "status": "active", "connection": nil,
	} {
		if got := r.at(t, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	link := must(url.Parse(r.at(t, "connect_link_url").(string)))
	if got := link.Query().Get("accountId"); got != account || link.Query().Get("app") != "slack" {
		t.Errorf("the link reconnects %q", got)
	}
	for range 2 { // a repeat makes none
		again := w.call(t, w.key, "POST", "/v1/invites/"+first+"/reconnect", `{"note":"Once more","recipient":{"email":"pat@customer.example"},"channel":"email"}`, "Idempotency-Key: again")
		if again.at(t, "id") != id || again.header.Get("Idempotency-Replayed") != "true" || again.at(t, "account_id") != account {
			t.Errorf("repeat: %d %s", again.status, again.body)
		}
	}
	old := w.call(t, w.key, "GET", "/v1/invites/"+first+"?expand=events", "")
	if old.at(t, "reconnected_by") != id || old.at(t, "kind") != "invite" || old.at(t, "status") != "connected" {
		t.Errorf("the first invite: %s", old.body)
	}
	if !strings.Contains(string(old.body), "reconnect.invited") {
		t.Errorf("its timeline: %s", old.body)
	}

	if r := w.call(t, w.key, "POST", "/v1/invites/"+first+"/reconnect", `{"if_active":"return"}`); r.status != http.StatusOK || r.at(t, "id") != id {
		t.Errorf("if_active return: %d %s", r.status, r.body)
	}
	if r := w.call(t, w.key, "POST", "/v1/invites/"+first+"/reconnect", `{"if_active":"error"}`); r.status != http.StatusConflict || r.at(t, "code") != "active_invite_exists" {
		t.Errorf("if_active error: %d %s", r.status, r.body)
	}
	r = w.call(t, w.key, "POST", "/v1/invites/"+first+"/reconnect", `{"if_active":"replace"}`)
	if r.status != http.StatusCreated || w.call(t, w.key, "GET", "/v1/invites/"+id, "").at(t, "replaced_by") != r.at(t, "id") {
		t.Errorf("if_active replace: %d %s", r.status, r.body)
	}
}

// TestReconnectNeedsAConnectedInvite and says what to do else.
func TestReconnectNeedsAConnectedInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	open := w.create(t, w.key, byEmail)
	connected, account := w.connect(t, "u7")
	w.play(t, []scenario{
		{name: "never connected", key: w.key, method: "POST", path: "/v1/invites/" + open + "/reconnect", status: 409, want: map[string]any{"code": "invite_not_connected"}},
		{name: "another project's", key: w.other, method: "POST", path: "/v1/invites/" + connected + "/reconnect", status: 404},
		{name: "a bad member", key: w.key, method: "POST", path: "/v1/invites/" + connected + "/reconnect", body: `{"chanel":"sms"}`, status: 422},
		{name: "no address for the channel", key: w.key, method: "POST", path: "/v1/invites/" + connected + "/reconnect", body: `{"channel":"sms"}`, status: 422,
			want: map[string]any{"errors.0.pointer": "/recipient/phone"}},
		{name: "an account without the kind", key: w.key, method: "POST", path: "/v1/invites", status: 422,
			body: `{"external_user_id":"u7","app":"slack","channel":"link","account_id":"` + account + `"}`, want: map[string]any{"errors.0.pointer": "/account_id"}},
		{name: "an unknown kind", key: w.key, method: "POST", path: "/v1/invites", status: 422,
			body: `{"external_user_id":"u7","app":"slack","channel":"link","kind":"again"}`, want: map[string]any{"errors.0.pointer": "/kind"}},
		{name: "another user's account", key: w.key, method: "POST", path: "/v1/invites", status: 422,
			body: `{"external_user_id":"u8","app":"slack","channel":"link","kind":"reconnect","account_id":"` + account + `"}`, want: map[string]any{"errors.0.pointer": "/account_id"}},
		{name: "a user without accounts", key: w.key, method: "POST", path: "/v1/invites", status: 409,
			body: `{"external_user_id":"u8","app":"slack","channel":"link","kind":"reconnect"}`, want: map[string]any{"code": "invite_not_connected"}},
		{name: "a guard against connected users", key: w.key, method: "POST", path: "/v1/invites", status: 422,
			body: `{"external_user_id":"u7","app":"slack","channel":"link","kind":"reconnect","if_connected":"error"}`, want: map[string]any{"errors.0.pointer": "/if_connected"}},
		{name: "the user's newest", key: w.key, method: "POST", path: "/v1/invites", status: 201,
			body: `{"external_user_id":"u7","app":"slack","channel":"link","kind":"reconnect"}`, want: map[string]any{"account_id": account, "reconnect_of": connected}},
		{name: "named", key: w.key, method: "POST", path: "/v1/invites", status: 201,
			body: `{"external_user_id":"u7","app":"slack","channel":"link","kind":"reconnect","account_id":"` + account + `"}`, want: map[string]any{"reconnect_of": connected}},
		{name: "in a batch", key: w.key, method: "POST", path: "/v1/invites/batch", status: 200,
			body: `{"invites":[{"external_user_id":"u7","app":"slack","channel":"link","kind":"reconnect"},{"external_user_id":"u9","app":"slack","channel":"link","kind":"reconnect"}]}`,
			want: map[string]any{"results.0.status": 201.0, "results.0.invite.account_id": account, "results.1.status": 409.0}},
		{name: "previewed", key: w.key, method: "POST", path: "/v1/invites/preview", status: 200,
			body: `{"external_user_id":"u7","app":"slack","channel":"link","kind":"reconnect"}`, want: map[string]any{"previews.0.email.subject": "Reconnect your Slack account to Acme"}},
	})

	// Deleted at Pipedream: the person connects a new one, still linked to the first.
	if _, err := w.db.Exec(t.Context(), `DELETE FROM sandbox.accounts`); err != nil {
		t.Fatal(err)
	}
	r := w.call(t, w.key, "POST", "/v1/invites/"+connected+"/reconnect", "")
	if r.status != http.StatusCreated || r.at(t, "account_id") != nil || r.at(t, "reconnect_of") != connected || strings.Contains(r.at(t, "connect_link_url").(string), "accountId") {
		t.Errorf("a deleted account: %d %s", r.status, r.body)
	}
}

// TestAnInviteThatCannotBeReadIsNotReconnected: its recipient is not known.
func TestAnInviteThatCannotBeReadIsNotReconnected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.connect(t, "u1")
	junk, err := w.box.Seal([]byte("{}"), seal.AD{Column: "elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Exec(t.Context(), `UPDATE invites SET content = $2 WHERE id = $1`, must(invite.Parse[invite.ID](id)), junk); err != nil {
		t.Fatal(err)
	}
	if r := w.call(t, w.key, "POST", "/v1/invites/"+id+"/reconnect", ""); r.status != http.StatusConflict || r.at(t, "code") != "invite_not_connected" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

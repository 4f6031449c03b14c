package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
)

func TestAnInviteMayAskForACode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const email = `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"pat@customer.example"},"verify":`
	made := w.call(t, w.key, "POST", "/v1/invites", email+`"code"}`)
	if made.status != http.StatusCreated || made.at(t, "verify") != "code" || made.at(t, "connect_link_url") != nil || made.at(t, "invite_link.url") == nil {
		t.Fatalf("%d %s", made.status, made.body)
	}
	id := made.at(t, "id").(string)
	w.play(t, []scenario{
		{name: "none", key: w.key, method: "POST", path: "/v1/invites", body: email + `"none"}`, status: 201, want: map[string]any{"verify": "none"}},
		{name: "not said", key: w.key, method: "POST", path: "/v1/invites", body: byEmail, status: 201, want: map[string]any{"verify": "none"}},
		{name: "something else", key: w.key, method: "POST", path: "/v1/invites", body: email + `"sms"}`, status: 422, want: map[string]any{"errors.0.pointer": "/verify", "errors.0.code": "invalid"}},
		{name: "with nothing sent", key: w.key, method: "POST", path: "/v1/invites", body: strings.Replace(byLink, "}", `,"verify":"code"}`, 1), status: 422,
			want: map[string]any{"errors.0.pointer": "/verify", "errors.0.code": "not_allowed"}},
		{name: "with Pipedream's own link", key: w.key, method: "POST", path: "/v1/invites", body: email + `"code","link_type":"connect"}`, status: 422,
			want: map[string]any{"errors.0.pointer": "/verify", "errors.0.code": "not_allowed"}},
		{name: "read", key: w.key, method: "GET", path: "/v1/invites/" + id, status: 200, want: map[string]any{"verify": "code", "connect_link_url": nil}},
		{name: "resent as a link to show", key: w.key, method: "POST", path: "/v1/invites/" + id + "/resend", body: `{"channel":"link"}`, status: 422,
			want: map[string]any{"errors.0.pointer": "/channel"}},
		{name: "in an app", key: w.client(t, id), method: "POST", path: "/v1/client/invite/open", status: 409, want: map[string]any{"code": "verification_required"}},
	})
	if n := w.count(t, `SELECT count(*) FROM connect_links WHERE invite_id = $1 AND handed_out_at IS NOT NULL`, must(invite.Parse[invite.ID](id))); n != 0 {
		t.Error("a link was handed out")
	}
}

func TestAProjectMayAskForACodeByDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.project.DefaultVerify = "code"
	w.play(t, []scenario{
		{name: "by email", key: w.key, method: "POST", path: "/v1/invites", body: byEmail, status: 201, want: map[string]any{"verify": "code"}},
		{name: "unless it says otherwise", key: w.key, method: "POST", path: "/v1/invites", body: strings.Replace(byEmail, `"app"`, `"verify":"none","app"`, 1), status: 201,
			want: map[string]any{"verify": "none"}},
		{name: "a link that the product shows", key: w.key, method: "POST", path: "/v1/invites", body: byLink, status: 201, want: map[string]any{"verify": "none"}},
		{name: "Pipedream's own link, in silence", key: w.key, method: "POST", path: "/v1/invites", body: strings.Replace(byEmail, `"app"`, `"link_type":"connect","app"`, 1), status: 422,
			want: map[string]any{"errors.0.pointer": "/verify"}},
		{name: "Pipedream's own link, said aloud", key: w.key, method: "POST", path: "/v1/invites",
			body: strings.Replace(byEmail, `"app"`, `"link_type":"connect","verify":"none","app"`, 1), status: 201, want: map[string]any{"verify": "none"}},
	})
}

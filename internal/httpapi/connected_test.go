package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/sandbox"
)

// connect lets a user connect an account at Pipedream's stand-in, and marks the
// invite as the tracker does.
func (w *world) connect(t *testing.T, user string) (id, account string) {
	t.Helper()
	made := w.call(t, w.key, "POST", "/v1/invites", `{"external_user_id":"`+user+`","app":"slack","channel":"link"}`)
	link := must(url.Parse(made.at(t, "connect_link_url").(string)))
	form := url.Values{"do": {"connect"}, "token": {link.Query().Get("token")}, "app": {"slack"}}
	pressed := httptest.NewRequest(http.MethodPost, "/connect.html", strings.NewReader(form.Encode()))
	pressed.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w.sandbox.Pages().ServeHTTP(httptest.NewRecorder(), pressed)
	minter, _ := w.minters(invite.Place{}, "")
	accounts := must(minter.Connected(t.Context(), user, "slack", ""))
	if len(accounts) != 1 {
		t.Fatalf("%d accounts are connected", len(accounts))
	}
	id, account = made.at(t, "id").(string), accounts[0].ID
	_, err := w.db.Exec(t.Context(), `UPDATE invites SET status = 'connected', account_id = $2, connected_at = now() WHERE id = $1`, must(invite.Parse[invite.ID](id)), account)
	if err != nil {
		t.Fatal(err)
	}
	return id, account
}

// TestIfConnectedLooksAtPipedreamBeforeInviting and answers as the request says.
func TestIfConnectedLooksAtPipedreamBeforeInviting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	create := func(user, app, ifConnected string) reply {
		t.Helper()
		return w.call(t, w.key, "POST", "/v1/invites", fmt.Sprintf(`{"external_user_id":%q,"app":%q,"channel":"link","if_connected":%q}`, user, app, ifConnected))
	}
	if r := create("u1", "slack", "error"); r.status != 201 {
		t.Fatalf("nothing is connected: %d %s", r.status, r.body)
	}
	id, account := w.connect(t, "u1")
	r := create("u1", "slack", "return")
	if r.status != 200 || r.at(t, "id") != id || r.at(t, "connection.account_id") != account {
		t.Errorf("return: %d %s", r.status, r.body)
	}
	r = create("u1", "slack", "error")
	if r.status != 409 || r.at(t, "code") != "already_connected" || r.at(t, "invite_id") != id || !strings.Contains(string(r.body), account) {
		t.Errorf("error: %d %s", r.status, r.body)
	}
	for name, made := range map[string]reply{
		"new": create("u1", "slack", "new"), "another user": create("u2", "slack", "error"), "another app": create("u1", "notion", "return"),
	} {
		if made.status != 201 {
			t.Errorf("%s: %d %s", name, made.status, made.body)
		}
	}
	if r := create("u1", "slack", "maybe"); r.status != 422 || r.at(t, "errors.0.pointer") != "/if_connected" {
		t.Errorf("%d %s", r.status, r.body)
	}

	// An outage of the look-up refuses no invite.
	for name, fault := range map[string]sandbox.Fault{
		"an error": {Ops: []string{"accounts"}, Status: 503}, "a cut": {Ops: []string{"accounts"}, Cut: sandbox.CutBlackout},
	} {
		if err := w.sandbox.SetFaults(sandbox.Faults{Pipedream: []sandbox.Fault{fault}}); err != nil {
			t.Fatal(err)
		}
		if r := create("u1", "slack", "error"); r.status != 201 && r.status != 202 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if err := w.sandbox.SetFaults(sandbox.Faults{}); err != nil {
		t.Fatal(err)
	}

	// The account stays when its invite is gone.
	if _, err := w.db.Exec(t.Context(), `DELETE FROM invites WHERE id = $1`, must(invite.Parse[invite.ID](id))); err != nil {
		t.Fatal(err)
	}
	r = w.call(t, w.key, "POST", "/v1/invites/batch", `{"invites":[{"external_user_id":"u1","app":"slack","channel":"link","if_connected":"return"},
		{"external_user_id":"u3","app":"slack","channel":"link","if_connected":"return"}]}`)
	if r.at(t, "results.0.status") != 200.0 || r.at(t, "results.0.connected_account.connection.account_id") != account || r.at(t, "results.1.status") != 201.0 {
		t.Errorf("a batch: %s", r.body)
	}
	r = create("u1", "slack", "return")
	if r.status != 200 || r.at(t, "object") != "connected_account" || r.at(t, "connection.account_id") != account || r.at(t, "external_user_id") != "u1" {
		t.Errorf("without an invite: %d %s", r.status, r.body)
	}
}

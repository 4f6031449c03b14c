package app_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/waittest"
)

// TestTheLoopOfReconnecting in a whole process: an account stops working, the product is
// told, the person is written to and connects it again, and the product is told.
func TestTheLoopOfReconnecting(t *testing.T) {
	t.Parallel()
	p := start(t, boot{env: map[string]string{"CONNECTLINK_WATCH_CONNECTIONS": "daily", "CONNECTLINK_ON_UNHEALTHY": "invite"}})
	hooks := p.scoped(access.Webhooks)
	id := p.invite(http.StatusCreated, with(to("delivered+connect@connectlink.test"), "external_user_id", "u-loop")).text("id")
	connected := p.until(id, "connected", func(inv object) bool { return inv.text("status") == "connected" })
	if got := connected.text("connection.health.status"); got != "healthy" {
		t.Errorf("health after connecting: %q", got)
	}
	status, _, sick := p.call(http.MethodPost, "/v1/test_helpers/invites/"+id+"/advance", object{"to": "unhealthy"})
	if status != http.StatusOK || sick.text("connection.health.status") != "unhealthy" || sick.text("connection.health.reason") != "account_unhealthy" {
		t.Fatalf("advance: %d %v", status, sick)
	}
	old := p.until(id, "recovered", func(inv object) bool {
		return inv.text("connection.health.status") == "healthy" && inv.text("reconnected_by") != ""
	})
	again := p.until(old.text("reconnected_by"), "connected again", func(inv object) bool { return inv.text("status") == "connected" })
	if again.text("kind") != "reconnect" || again.text("connection.account_id") != connected.text("connection.account_id") || again.text("reconnect_of") != id {
		t.Errorf("the second invite: %v", again)
	}
	var types []string
	waittest.Until(t, "the events are stored", func() bool {
		types = nil
		_, _, list := hooks.call(http.MethodGet, "/v1/events?external_user_id=u-loop&types=connection.unhealthy,connection.recovered,invite.connected", nil)
		data, _ := list["data"].([]any)
		for _, e := range data {
			event := object(e.(map[string]any))
			types = append(types, event.text("type"))
			want := "healthy"
			if event.text("type") == "connection.unhealthy" {
				want = "unhealthy"
			}
			if got := event.text("data.invite.connection.health.status"); got != want {
				t.Errorf("%s says that the account is %s", event.text("type"), got)
			}
		}
		return len(types) >= 4
	})
	slices.Sort(types)
	if want := []string{"connection.recovered", "connection.unhealthy", "invite.connected", "invite.connected"}; !slices.Equal(types, want) {
		t.Errorf("events %v, want %v", types, want)
	}
	message := ""
	_, _, inbox := p.call(http.MethodGet, "/v1/test_helpers/messages", nil)
	messages, _ := inbox["data"].([]any)
	for _, m := range messages {
		if one := object(m.(map[string]any)); one.text("invite_id") == again.text("id") {
			message = one.text("subject")
		}
	}
	if message != "Reconnect your Slack account to Acme" {
		t.Errorf("the message is %q", message)
	}

	// Gone for good: a reconnect connects a new account.
	if status, _, gone := p.call(http.MethodPost, "/v1/test_helpers/invites/"+again.text("id")+"/advance", object{"to": "deleted"}); status != http.StatusOK || gone.text("connection.health.reason") != "account_deleted" {
		t.Errorf("deleted: %d %v", status, gone)
	}
	if status, _, lost := p.call(http.MethodPost, "/v1/test_helpers/invites/"+again.text("id")+"/advance", object{"to": "healthy"}); status != http.StatusConflict || lost.text("code") != "invite_not_connected" {
		t.Errorf("an account that is gone: %d %v", status, lost)
	}
	status, _, fresh := p.call(http.MethodPost, "/v1/invites/"+again.text("id")+"/reconnect", object{})
	if status != http.StatusCreated || fresh["account_id"] != nil {
		t.Fatalf("reconnect: %d %v", status, fresh)
	}
	replaced := p.until(fresh.text("id"), "connected anew", func(inv object) bool { return inv.text("status") == "connected" })
	if replaced.text("connection.account_id") == connected.text("connection.account_id") {
		t.Error("the deleted account is connected")
	}
}

// TestStaffCheckAnAccountAndReconnectIt on the invite's page, also where the project
// does not watch its connections.
func TestStaffCheckAnAccountAndReconnectIt(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	id := p.invite(http.StatusCreated, with(to("delivered+connect@connectlink.test"), "external_user_id", "u-staff")).text("id")
	p.until(id, "connected", func(inv object) bool { return inv.text("status") == "connected" })
	v := p.staff(access.RoleAgent)
	home := "/console/default/test/invites/" + id
	shows := func(method, address string, wants ...string) string {
		t.Helper()
		status, at, page := v.do(method, address, "")
		for _, want := range wants {
			if status != http.StatusOK || !strings.Contains(page, want) {
				t.Errorf("%s %s: %d at %s lacks %q", method, address, status, at, want)
			}
		}
		return at
	}
	shows(http.MethodGet, home, "Connected account", "Works", "Check now", "Send an invite to reconnect")
	if status, _, out := p.call(http.MethodPost, "/v1/test_helpers/invites/"+id+"/advance", object{"to": "dead"}); status != http.StatusOK {
		t.Fatalf("advance: %d %v", status, out)
	}
	shows(http.MethodPost, home+"/check", "Pipedream was asked", "Does not work", "does not expect it to recover", "The connected account no longer works")
	shows(http.MethodGet, "/console/default/test/people/"+id, "Does not work")
	at := shows(http.MethodPost, home+"/reconnect", "An invite to reconnect the account was created", "The invite that connected it before")
	again := at[strings.LastIndexByte(at, '/')+1:]
	if inv := p.until(again, "connected again", func(inv object) bool { return inv.text("status") == "connected" }); inv.text("kind") != "reconnect" {
		t.Errorf("the second invite: %v", inv)
	}
	shows(http.MethodGet, home, "The connected account works again", "The newest invite to reconnect it")
	open := p.invite(http.StatusCreated, with(to("delivered@connectlink.test"), "external_user_id", "u-open")).text("id")
	shows(http.MethodPost, "/console/default/test/invites/"+open+"/check", "This invite has no connected account")
	shows(http.MethodPost, "/console/default/test/invites/"+open+"/reconnect", "This invite has no connected account")
	if status, _, _ := p.staff(access.RoleViewer).do(http.MethodPost, home+"/check", ""); status != http.StatusForbidden {
		t.Errorf("a viewer checks an account: %d", status)
	}
}

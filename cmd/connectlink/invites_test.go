package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestInvites walks through every command, and what each ends with.
func TestInvites(t *testing.T) {
	t.Parallel()
	v := deployment(t, "").with(vars{"CONNECTLINK_PUBLIC_URL": "http://127.0.0.1:1"})
	s := startServe(t, v)
	api := vars{"CONNECTLINK_API_URL": s.url + "/", "CONNECTLINK_API_KEY": newKey(t, v).text("api_key")}
	do := func(args ...string) object {
		t.Helper()
		return parse(t, mustRun(t, api, append([]string{"invites"}, args...)...))
	}
	link := do("create", "--user=user-1", "--app=slack", "--idempotency-key=once")
	if link.text("channel") != "link" || link.text("connect_link_url") == "" {
		t.Errorf("channel link: %v", link)
	}
	if again := do("create", "--user=user-1", "--app=slack", "--idempotency-key=once"); again.text("id") != link.text("id") {
		t.Error("the idempotency key was not sent")
	}
	mail := do("create", "--user=user-2", "--app=slack", "--email=silent@connectlink.test", "--name=Pat", "--inviter=Sam", "--note=Hello", "--valid-for=86400")
	if got, _ := json.Marshal(mail); mail.text("channel") != "email" || !strings.Contains(string(got), "Sam") || !strings.Contains(string(got), "Hello") {
		t.Errorf("channel email: %s", got)
	}
	text := do("create", "--user=user-3", "--app=slack", "--phone=+12025550100")
	if text.text("channel") != "sms" {
		t.Errorf("channel sms: %v", text)
	}
	if got := do("get", mail.text("id")); got["events"] == nil || got["deliveries"] == nil {
		t.Error("get lacks events or deliveries")
	}
	if list, _ := do("list", "--limit=2")["data"].([]any); len(list) != 2 {
		t.Errorf("list --limit=2 has %d", len(list))
	}
	for _, filter := range []string{"--user=user-2", "--recipient=silent@connectlink.test", "--channel=sms", "--app=slack --channel=email"} {
		if list, _ := do(append([]string{"list"}, strings.Fields(filter)...)...)["data"].([]any); len(list) != 1 {
			t.Errorf("list %s has %d", filter, len(list))
		}
	}
	if same := do("create", "--user=user-2", "--app=slack", "--if-active=return"); same.text("id") != mail.text("id") {
		t.Error("--if-active was not sent")
	}
	if again := do("resend", mail.text("id"), "--email=delivered@connectlink.test", "--note=Sorry"); again["resend_count"] != 1.0 {
		t.Errorf("resend: %v", again["resend_count"])
	}
	runCommand(t, api, "invites", "reconnect", link.text("id")).want(t, 1, "invite_not_connected")
	runCommand(t, api, "invites", "check", link.text("id")).want(t, 1, "invite_not_connected")
	if ended := do("revoke", link.text("id"), "--reason=asked"); ended.text("status") != "revoked" {
		t.Errorf("revoke: %v", ended["status"])
	}

	readOnly := api.with(vars{"CONNECTLINK_API_KEY": newKey(t, v, "--scope=invites:read").text("api_key")})
	for name, c := range map[string]struct {
		env  vars
		args []string
		code int
		says []string
	}{
		"a resend too late":          {api, []string{"resend", link.text("id")}, 1, []string{"invite_not_resendable", "req_"}},
		"every fault of a request":   {api, []string{"create", "--user=u", "--app=slack", "--email=pat@gmial", "--return-url=ftp://x"}, 2, []string{"/recipient/email", "/return_url"}},
		"flags that exclude another": {api, []string{"create", "--user=u", "--app=slack", "--email=a@b.example", "--phone=+1"}, 2, []string{"--email", "--phone"}},
		"a flag that is needed":      {api, []string{"create", "--user=u"}, 2, []string{"--app"}},
		"no key":                     {vars{"CONNECTLINK_API_URL": s.url}, []string{"list"}, 3, []string{"CONNECTLINK_API_KEY"}},
		"a key that is none":         {api.with(vars{"CONNECTLINK_API_KEY": "cl_test_hidden-word"}), []string{"list"}, 3, []string{"invalid_api_key"}},
		"a key that may not":         {readOnly, []string{"revoke", mail.text("id")}, 3, []string{"insufficient_scope"}},
		"an invite that is none":     {api, []string{"get", "inv_00000000000000000000000000"}, 4, []string{"invite_not_found"}},
		"an id with a path in it":    {api, []string{"get", "../livez"}, 4, nil},
		"nobody there":               {api, []string{"list", "--url=http://127.0.0.1:1"}, 1, []string{"http://127.0.0.1:1 does not answer", "refused"}},
		"an address that is none":    {api, []string{"list", "--url=::"}, 2, []string{"not a URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runCommand(t, c.env, append([]string{"invites"}, c.args...)...)
			r.want(t, c.code, c.says...)
			r.hides(t, "hidden-word")
			if r.stdout != "" {
				t.Errorf("a failure prints a result: %s", r.stdout)
			}
		})
	}
	t.Run("something else answers", func(t *testing.T) {
		t.Parallel()
		mux := http.NewServeMux()
		mux.HandleFunc("/html/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
		mux.HandleFunc("/moved/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/html/", http.StatusFound) })
		mux.HandleFunc("/down/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		other := httptest.NewServer(mux)
		defer other.Close()
		for path, says := range map[string]string{"/html": "sent no JSON", "/moved": "answered 302", "/down": "answered 502"} {
			runCommand(t, api, "invites", "list", "--url="+other.URL+path).want(t, 1, "is not this service", says)
		}
	})
}

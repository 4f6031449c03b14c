package main_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWebhooksAndEvents(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/taken" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	t.Cleanup(receiver.Close)
	v := deployment(t, "").with(vars{"CONNECTLINK_PUBLIC_URL": "http://127.0.0.1:1", "CONNECTLINK_WEBHOOK_ALLOW_PRIVATE": "true"})
	s := startServe(t, v)
	api := vars{"CONNECTLINK_API_URL": s.url, "CONNECTLINK_API_KEY": newKey(t, v, "--scope=webhooks").text("api_key")}
	do := func(args ...string) object {
		t.Helper()
		return parse(t, mustRun(t, api, args...))
	}
	made := do("webhooks", "create", receiver.URL, "--types=invite.connected,invite.expired", "--description=Backend")
	id := made.text("id")
	if types, _ := made["types"].([]any); len(types) != 2 || made.text("secret") == "" {
		t.Errorf("create: %v", made)
	}
	if rotated := do("webhooks", "rotate", id, "--expire-old-in=1h"); rotated.text("secret") == made.text("secret") || rotated["old_secret_expires_at"] == nil {
		t.Errorf("rotate: %v", rotated)
	}
	if tried := do("webhooks", "test", id, "--type=invite.expired"); tried["http_status"] != 418.0 || tried["delivered"] != false {
		t.Errorf("test: %v", tried)
	}
	// The endpoint answers 418, the other one takes events of another type only.
	other := do("webhooks", "create", receiver.URL+"/taken", "--types=invite.revoked").text("id")
	triggered := runCommand(t, api, "trigger", "invite.expired", "--table")
	triggered.want(t, 1, id, "418", "1 of 1 endpoints did not take the event")
	triggered.hides(t, other)
	runCommand(t, api, "trigger", "invite.revoked").want(t, 0, other, `"http_status": 200`)
	runCommand(t, api, "trigger", "invite.revoked", "--endpoint", id).want(t, 1, id, `"http_status": 418`)
	runCommand(t, api, "trigger", "invite.lost").want(t, 4, "no enabled webhook endpoint")
	runCommand(t, api, "trigger", "invite.lost", "--endpoint", id).want(t, 2, "/type")
	if disabled := do("webhooks", "disable", id); disabled.text("status") != "disabled" {
		t.Errorf("disable: %v", disabled)
	}
	if enabled := do("webhooks", "enable", id); enabled.text("status") != "enabled" {
		t.Errorf("enable: %v", enabled)
	}
	if n := do("webhooks", "recover", id, "--since=2026-01-01T00:00:00Z")["queued"]; n != 0.0 {
		t.Errorf("recover: %v", n)
	}
	for _, args := range [][]string{{"webhooks", "list"}, {"webhooks", "attempts", id}, {"events", "list", "--types=invite.connected"}} {
		if list := do(args...); list.text("object") != "list" {
			t.Errorf("%v: %v", args, list)
		}
	}
	runCommand(t, api, "webhooks", "create", "http://a:b@127.0.0.1/").want(t, 2, "webhook_url_not_allowed", "/url")
	runCommand(t, api, "webhooks", "disable", "configuration").want(t, 1, "managed_by_configuration")
	runCommand(t, api, "events", "get", "evt_0").want(t, 4, "event_not_found")
	runCommand(t, api, "events", "redeliver", "evt_0").want(t, 4, "event_not_found")
	runCommand(t, api, "events", "list", "--types=invite.lost").want(t, 2, "/types")
}

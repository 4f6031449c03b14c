package app_test

import (
	"net/http"
	"testing"
)

// Test mode sends by the providers that the project names, and hears a STOP by
// whichever it went.
func TestTextsGoByVonageWhereTheProjectSaysSo(t *testing.T) {
	t.Parallel()
	p := start(t, boot{env: map[string]string{
		"CONNECTLINK_SMS_PROVIDERS": "vonage,twilio", "VONAGE_API_KEY": "a1b2c3d4", "VONAGE_API_SECRET": "secret", "VONAGE_FROM": "+12025550124",
	}})
	text := func(phone string) object {
		return object{"external_user_id": "user-" + phone, "app": "slack", "channel": "sms", "recipient": object{"phone": phone}}
	}
	made := p.invite(http.StatusCreated, text("+12025550100"))
	got := p.until(made.text("id"), "delivered", func(o object) bool { return o.text("delivery.status") == "delivered" })
	if by := got.text("delivery.provider"); by != "vonage" {
		t.Errorf("it went by %q", by)
	}
	stops := p.invite(http.StatusCreated, text("+12025550110"))
	p.until(stops.text("id"), "a reply", func(object) bool {
		status, _, out := p.call(http.MethodGet, "/v1/invites/"+stops.text("id")+"/events", nil)
		if status != http.StatusOK {
			return false
		}
		for _, e := range out["data"].([]any) {
			if object(e.(map[string]any)).text("type") == "reply.received" {
				return true
			}
		}
		return false
	})
}

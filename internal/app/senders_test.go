package app_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A project may text by two providers. What a person says on the page of a link is
// said to the sender of the text that carried it, and what they take back there is
// what they said to that one.
func TestAnOptOutOnThePageBelongsToTheSenderOfTheText(t *testing.T) {
	t.Parallel()
	const phone = "+12025551234" // no scripted recipient: those are never blocked
	p := start(t, boot{env: map[string]string{
		"CONNECTLINK_SMS_PROVIDERS": "twilio,vonage",
		"TWILIO_ACCOUNT_SID":        "AC00000000000000000000000000000001", "TWILIO_AUTH_TOKEN": "secret", "TWILIO_FROM": "+12025550124",
		"VONAGE_API_KEY": "a1b2c3d4", "VONAGE_API_SECRET": "secret", "VONAGE_FROM": "+12025550125", "VONAGE_TWO_WAY": "false",
	}})
	body := toPhone(phone)
	id := p.invite(http.StatusCreated, body).text("id")
	p.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	_, _, messages := p.call("GET", "/v1/test_helpers/messages?invite="+id, nil)
	data := messages["data"].([]any)
	if len(data) != 1 {
		t.Fatalf("messages: %v", messages)
	}
	link := object(data[0].(map[string]any))["links"].([]any)[0].(string)
	press := func(form string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.Replace(link, "/c/", "/s/", 1), strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)")
		resp, err := p.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		page, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("press: %d %v", resp.StatusCode, err)
		}
		return string(page)
	}
	// Test mode has senders of its own, one by each provider.
	standing := func() int {
		return p.count(`SELECT count(DISTINCT sender) FROM suppressions WHERE kind = 'opt_out' AND lifted_at IS NULL`)
	}

	if page := press("from=page"); standing() != 1 || strings.Contains(page, `name="resume"`) {
		t.Errorf("by the first provider, which can be replied to: opted out of %d senders, or the page takes it back", standing())
	}
	p.sql(`UPDATE deliveries SET provider = 'vonage'`) // as after a failover
	if page := press("from=page"); standing() != 2 || !strings.Contains(page, `name="resume"`) {
		t.Errorf("by the second provider, which cannot: opted out of %d senders, or the page does not take it back", standing())
	}
	press(url.Values{"resume": {"1"}}.Encode())
	if n := p.count(`SELECT count(*) FROM suppressions WHERE lifted_at IS NOT NULL AND sender = (SELECT sender FROM suppressions ORDER BY created_at DESC LIMIT 1)`); n != 1 || standing() != 1 {
		t.Errorf("taken back from the second sender: %d lifted, opted out of %d senders", n, standing())
	}
}

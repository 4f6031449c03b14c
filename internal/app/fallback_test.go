package app_test

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// both asks by email and may fall back to a text.
func both(email, phone string) object {
	body := to(email)
	body["recipient"].(object)["phone"] = phone
	body["fallback"] = object{"channel": "sms", "after": "failure"}
	return body
}

// TestABouncedMailIsFollowedByAText plays a fallback through the whole process,
// and one whose text fails too.
func TestABouncedMailIsFollowedByAText(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	for name, c := range map[string]struct {
		email, phone string
		status, sent string
	}{
		"the text arrives":         {"bounced@connectlink.test", "+12025550100", "active", "delivered"},
		"refused, the text too":    {"suppressed@connectlink.test", "+12025550105", "failed", "undelivered"},
		"the mail arrives at once": {"delivered@connectlink.test", "+12025550100", "active", "delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := p.in(t)
			made := p.invite(http.StatusCreated, both(c.email, c.phone))
			inv := p.until(made.text("id"), c.sent, func(inv object) bool { return inv.text("delivery.status") == c.sent })
			want := "sms"
			if c.email == "delivered@connectlink.test" {
				want = "email"
			}
			if inv.text("status") != c.status || inv.text("delivery.channel") != want {
				t.Errorf("%s by %s, want %s by %s", inv.text("status"), inv.text("delivery.channel"), c.status, want)
			}
			events := p.events(made.text("id"))
			if slices.Contains(events, "fallback") != (want == "sms") {
				t.Errorf("timeline %v", events)
			}
		})
	}
}

func TestSentAtTheTimePlanned(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	at := time.Now().Add(3 * time.Second).UTC()
	body := to("delivered@connectlink.test")
	body["send_at"] = at.Format(time.RFC3339Nano)
	made := p.invite(http.StatusCreated, body)
	if made.text("status") != "scheduled" || made.at("connect_link_url") != nil || made.at("invite_link") != nil || made.at("expires_at") != nil {
		t.Errorf("%s with a link, before its time", made.text("status"))
	}
	inv := p.until(made.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	if inv.text("status") != "active" || inv.text("invite_link.url") == "" || inv.text("connect_link_url") == "" {
		t.Errorf("%s after it was sent", inv.text("status"))
	}
	for _, e := range inv["events"].([]any) {
		e := object(e.(map[string]any))
		when, err := time.Parse(time.RFC3339Nano, e.text("created_at"))
		if err != nil {
			t.Fatal(err)
		}
		if e.text("type") != "created" && when.Before(at) {
			t.Errorf("%s came %s too early", e.text("type"), at.Sub(when))
		}
	}
}

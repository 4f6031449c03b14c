package app_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/waittest"
)

// sql runs SQL by which a test makes time pass.
func (p *product) sql(text string, args ...any) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.db)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(p.t.Context(), text, args...); err != nil {
		p.t.Fatal(err)
	}
}

// scoped is the same product with a key of other scopes.
func (p *product) scoped(scopes ...access.Scope) *product {
	p.t.Helper()
	key, _, err := p.app.Grants.Create(p.t.Context(), grant.NewKey{Place: invite.Place{Project: "default"}, Name: "other", Environment: "development", Scopes: scopes})
	if err != nil {
		p.t.Fatal(err)
	}
	q := *p
	q.key = key.Reveal()
	return &q
}

// count answers a question about the database with one number.
func (p *product) count(query string, args ...any) (n int) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.db)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(p.t.Context(), query, args...).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

func (p *product) eventually(what string, ok func() bool) {
	p.t.Helper()
	waittest.Until(p.t, what, ok)
}

// TestWhatIsErasedIsGoneEverywhere plays an erasure through the whole process:
// API, job, and the records at test mode's Twilio.
func TestWhatIsErasedIsGoneEverywhere(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	body := object{"external_user_id": "user-1", "app": "slack", "channel": "sms", "recipient": object{"phone": "+12025550100", "name": "Pat"}}
	id := p.invite(http.StatusCreated, body).text("id")
	p.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	if status, _, out := p.scoped(access.Admin).call("POST", "/v1/privacy/erase", object{"external_user_id": "user-1"}); status != http.StatusOK || out["invites"] != 1.0 {
		t.Fatalf("%d %v", status, out)
	}
	inv := p.until(id, "erased", func(inv object) bool { return inv.at("erased_at") != nil })
	if inv.text("status") != "revoked" || inv.at("recipient") != nil || !strings.HasPrefix(inv.text("external_user_id"), "erased:") {
		t.Errorf("%v", inv)
	}
	if n := p.count(`SELECT count(*) FROM sandbox.messages WHERE content IS NOT NULL`); n != 0 {
		t.Errorf("%d messages are still in test mode's inbox", n)
	}
	if n := p.count(`SELECT count(*) FROM river.river_job WHERE kind = 'erase_again' AND scheduled_at > now()`); n != 1 {
		t.Errorf("%d second sweeps are planned", n)
	}
	// Five minutes pass.
	p.sql(`UPDATE river.river_job SET scheduled_at = now(), state = 'available' WHERE kind = 'erase_again'`)
	p.eventually("swept again", func() bool {
		return p.count(`SELECT count(*) FROM river.river_job WHERE kind = 'erase_again' AND state = 'completed'`) == 1
	})
}

// TestOnePressEndsReminders plays a reminder through the whole process, and the
// press on the mail program's own button for unsubscribing.
func TestOnePressEndsReminders(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	body := to("pat@customer.example")
	body["reminders"] = object{"count": 3}
	id := p.invite(http.StatusCreated, body).text("id")
	p.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	p.sql(`UPDATE invites SET remind_at = now()`)
	inv := p.until(id, "reminded", func(inv object) bool {
		return inv.at("reminders.sent") == 1.0 && inv.text("delivery.status") == "delivered" && len(inv["deliveries"].([]any)) == 2
	})
	last := object(inv["deliveries"].([]any)[1].(map[string]any))
	if last.text("kind") != "reminder" || inv.text("status") != "active" || !slices.Contains(p.events(id), "reminded") {
		t.Errorf("%s, %s", last.text("kind"), inv.text("status"))
	}
	_, _, messages := p.call("GET", "/v1/test_helpers/messages?invite="+id, nil)
	if len(messages["data"].([]any)) != 2 {
		t.Fatalf("messages: %v", messages)
	}
	newest := object(messages["data"].([]any)[0].(map[string]any))
	link := newest["links"].([]any)[0].(string)
	req, err := http.NewRequestWithContext(t.Context(), "POST", strings.Replace(link, "/c/", "/s/", 1), strings.NewReader("List-Unsubscribe=One-Click"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("one press: %d", resp.StatusCode)
	}
	p.sql(`UPDATE invites SET remind_at = now()`)
	p.eventually("skipped", func() bool { return slices.Contains(p.events(id), "reminder.skipped") })
	if status, _, out := p.call("POST", "/v1/invites", to("pat@customer.example")); status != http.StatusUnprocessableEntity || out.text("code") != "recipient_suppressed" {
		t.Errorf("a further invite: %d %v", status, out)
	}
}

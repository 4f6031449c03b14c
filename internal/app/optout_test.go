package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
)

// TestTheProductIsToldOfOptOutsOnThePage: by the button of a mail program and by the
// page of a text, with the way back; pressing twice tells once. The invite goes on.
func TestTheProductIsToldOfOptOutsOnThePage(t *testing.T) {
	t.Parallel()
	w := newTold(t, 0)
	env := w.env()
	env["CONNECTLINK_WEBHOOK_EVENTS"] = "recipient.opted_out,recipient.opted_in"
	env["TWILIO_TWO_WAY"] = "false"
	p := start(t, boot{env: env}).scoped(append(access.DefaultScopes(), access.LinksRead)...)
	press := func(page, form string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, page, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("User-Agent", personsBrowser)
		resp, err := p.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", form, resp.StatusCode)
		}
	}
	for i, c := range []struct {
		body          object
		again, resume bool
	}{
		{to("delivered@connectlink.test"), false, false}, // scripted: nothing is blocked, and the product is told
		{to("pat@customer.example"), true, false},
		{toPhone("+14155552671"), true, true},
	} {
		c.body["external_user_id"] = fmt.Sprintf("user of opt-outs %d", i)
		made := p.invite(http.StatusCreated, c.body)
		id := made.text("id")
		p.until(id, "sent", func(inv object) bool { return inv.text("delivery.status") != "queued" })
		page := strings.Replace(made.text("invite_link.url"), "/c/", "/s/", 1)
		press(page, url.Values{"List-Unsubscribe": {"One-Click"}}.Encode())
		if e := w.about(id, "recipient.opted_out"); e.text("data.invite.status") != "active" {
			t.Errorf("told of %v", e)
		}
		if c.again {
			press(page, url.Values{"List-Unsubscribe": {"One-Click"}}.Encode())
		}
		if n := strings.Count(strings.Join(p.events(id), " "), "recipient.opted_out"); n != 1 {
			t.Errorf("the timeline has %v", p.events(id))
		}
		if c.resume {
			press(page, "resume=1")
			w.about(id, "recipient.opted_in")
		}
	}
}

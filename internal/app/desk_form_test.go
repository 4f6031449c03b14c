package app_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
)

// A form that was shown before an event has no effect, shows the event, and asks
// again; a resend too soon shows when it is allowed. Without scripts.
func TestAStaleFormAsksAgain(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	token, err := p.app.Staff.Link(t.Context(), access.Principal{Kind: access.KindSystem}, "Robin", map[string]access.Role{"default": access.RoleAgent}, patience)
	if err != nil {
		t.Fatal(err)
	}
	v := p.visitor(t)
	v.do("POST", "/console/sign-in/link/"+token.Reveal(), "")
	made := p.invite(201, to("bounced@connectlink.test"))
	id := made.text("id")
	p.until(id, "bounced", func(inv object) bool { return inv.text("delivery.status") == "bounced" })
	form := "/console/default/test/invites/" + id + "/resend"
	version := regexp.MustCompile(`name="version" value="(\d+)"`)
	shown := func(body string) string {
		t.Helper()
		m := version.FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("the form has no version: %s", body)
		}
		return m[1]
	}
	_, _, page := v.do("GET", form, "")
	old := shown(page)
	// A colleague, or the product, was faster.
	if status, _, out := p.call("POST", "/v1/invites/"+id+"/resend", object{"recipient": object{"email": "delivered@connectlink.test"}}); status != 200 {
		t.Fatalf("resend: %d %v", status, out)
	}
	p.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	fields := url.Values{"version": {old}, "channel": {"email"}, "email": {"pat@customer.example"}, "sure": {"pat@customer.example"}, "do": {"send"}}
	status, _, again := v.do("POST", form, fields.Encode())
	if status != 422 || !strings.Contains(again, "The invite changed in the meantime") || !strings.Contains(again, "The address was corrected") ||
		!strings.Contains(again, `value="pat@customer.example"`) || shown(again) == old {
		t.Fatalf("a stale form: %d %s", status, again)
	}
	if inv := p.until(id, "read", func(object) bool { return true }); inv.text("recipient.email") != "delivered@connectlink.test" {
		t.Error("the stale form did its work all the same")
	}
	// The same person by the same way, a moment after the last message.
	fields.Set("version", shown(again))
	fields.Del("email")
	if status, _, soon := v.do("POST", form, fields.Encode()); status != 422 || !strings.Contains(soon, "You can send again in") {
		t.Errorf("a resend too soon: %d %s", status, soon)
	}
	// The form as it stands now does it.
	fields.Set("email", "pat@customer.example")
	if status, at, done := v.do("POST", form, fields.Encode()); status != 200 || !strings.HasSuffix(at, id) || !strings.Contains(done, "On its way to") {
		t.Errorf("looked at again and sent: %d at %s", status, at)
	}
	// A domain that looks like a slip is asked about once.
	fields.Set("email", "pat@gmial.com")
	fields.Del("version")
	status, _, hint := v.do("POST", form, fields.Encode())
	if status != 422 || !strings.Contains(hint, "pat@gmail.com") || !strings.Contains(hint, `name="sure" value="pat@gmial.com"`) {
		t.Errorf("a slip in the domain: %d %s", status, hint)
	}
}

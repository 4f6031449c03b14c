package app_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
)

var primary = regexp.MustCompile(`<a class="button primary" href="([^"]+)"[^>]*>([^<]+)</a>`)

// What failed because its address is blocked leads to that block, and from there
// to the form for sending again.
func TestLiftingABlockGoesOnToSendingAgain(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	v := p.staff(access.RoleLead)
	id := p.invite(201, to("suppressed@connectlink.test")).text("id")
	p.until(id, "suppressed", func(inv object) bool { return inv.text("delivery.status") == "suppressed" })
	at := "/console/default/test/invites/" + id
	step := func() (address, text string) {
		t.Helper()
		m := primary.FindStringSubmatch(v.get(at))
		if m == nil {
			t.Fatal("there is no next step")
		}
		return strings.ReplaceAll(m[1], "&amp;", "&"), m[2]
	}
	// No block of ours stands: lifting one would lead nowhere.
	if address, text := step(); address != at+"/resend" || text != "Resend…" {
		t.Errorf("without a block: %q to %s", text, address)
	}
	blocked := "/console/default/test/blocks"
	block := func(address string) {
		t.Helper()
		if _, _, page := v.do("POST", blocked, url.Values{"address": {address}, "reason": {"asked on the phone"}}.Encode()); !strings.Contains(page, "Blocked. Nothing is sent") {
			t.Fatalf("not blocked: %s", page)
		}
	}
	block("suppressed@connectlink.test")
	block("other@connectlink.test")
	address, text := step()
	if text != "Unblock and resend" || !strings.HasPrefix(address, blocked+"/sup_") || !strings.HasSuffix(address, "?then="+id) {
		t.Fatalf("with a block: %q to %s", text, address)
	}
	page := v.get(address)
	if !strings.Contains(page, "su••••@connectlink.test") || !strings.Contains(page, `name="then" value="`+id+`"`) || !strings.Contains(page, `class="back" href="`+at+`"`) {
		t.Error("the block's page does not know what it was come for")
	}
	path, _, _ := strings.Cut(address, "?")
	// Without a reason nothing is lifted, and what it is for is not forgotten.
	status, _, again := v.do("POST", path+"/lift", url.Values{"then": {id}}.Encode())
	if status != http.StatusUnprocessableEntity || !strings.Contains(again, `name="then" value="`+id+`"`) {
		t.Errorf("without a reason: %d", status)
	}
	_, landed, form := v.do("POST", path+"/lift", url.Values{"then": {id}, "reason": {"spoke to the person"}}.Encode())
	if landed != at+"/resend" || !strings.Contains(form, "Messages can be sent to this address again") || !strings.Contains(form, "Send now") {
		t.Errorf("after lifting: %s", landed)
	}
	if address, _ := step(); address != at+"/resend" {
		t.Errorf("nothing blocks it any more: %s", address)
	}
	// An agent may not lift, and is not led there.
	block("suppressed@connectlink.test")
	if m := primary.FindStringSubmatch(p.staff(access.RoleAgent).get(at)); m != nil && strings.Contains(m[1], "/blocks/") {
		t.Errorf("an agent is led to %s", m[1])
	}
}

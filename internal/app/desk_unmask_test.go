package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
)

// Unmasking leads to a page that can be reloaded for a minute by the person
// who unmasked; its address shows no other person anything.
func TestAnUnmaskedPageCanBeReloaded(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	v, colleague := p.staff(access.RoleAgent), p.staff(access.RoleLead)
	id := p.invite(201, to("delivered@connectlink.test")).text("id")
	at := "/console/default/test/invites/" + id
	const email = "delivered@connectlink.test"
	if page := v.get(at + "?shown=1"); strings.Contains(page, email) {
		t.Fatal("shown unasked")
	}
	status, landed, page := v.do("POST", at+"/unmask", "")
	if status != http.StatusOK || landed != at || !strings.Contains(page, email) || !strings.Contains(page, `data-masked="de••••@connectlink.test"`) {
		t.Fatalf("unmasked: %d at %s", status, landed)
	}
	if !strings.Contains(v.get(at+"?shown=1"), email) {
		t.Error("a reload masks it")
	}
	for name, page := range map[string]string{"the page itself": v.get(at), "a colleague": colleague.get(at + "?shown=1")} {
		if strings.Contains(page, email) {
			t.Errorf("%s shows the address", name)
		}
	}
	if n := strings.Count(colleague.get(at), "unmasked the address"); n != 1 {
		t.Errorf("%d entries of what staff did", n)
	}
	// Blocks alike.
	_, _, page = v.do("POST", "/console/default/test/blocks", url.Values{"address": {"other@connectlink.test"}, "reason": {"asked"}}.Encode())
	from := strings.Index(page, "/console/default/test/blocks/sup_")
	block := page[from : from+strings.IndexByte(page[from:], '"')]
	if _, landed, page := v.do("POST", block+"/unmask", ""); landed != block || !strings.Contains(page, "other@connectlink.test") || !strings.Contains(v.get(block+"?shown=1"), "other@connectlink.test") {
		t.Errorf("a block: at %s", landed)
	}
	if strings.Contains(colleague.get(block+"?shown=1"), "other@connectlink.test") || strings.Contains(v.get(block), "other@connectlink.test") {
		t.Error("a block is shown to a colleague, or for good")
	}
}

// In a browser it is masked again after a minute, on the page that is open.
func TestBrowserAnUnmaskedPageMasksItself(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAgent)
	id := d.invite(201, to("delivered@connectlink.test")).text("id")
	d.open("/invites/" + id)
	d.click(`form[action$="/unmask"] button`, `[data-masked]`)
	d.says("delivered@connectlink.test")
	d.sql(`ALTER TABLE audit DISABLE TRIGGER USER`)
	d.sql(`UPDATE audit SET at = at - interval '58 seconds' WHERE act = 'unmask'`)
	d.open("/invites/" + id + "?shown=1")
	d.says("delivered@connectlink.test")
	d.says("Masked again.")
	if text := d.text(); strings.Contains(text, "delivered@connectlink.test") || !strings.Contains(text, "de••••@connectlink.test") {
		t.Errorf("after a minute: %s", text)
	}
}

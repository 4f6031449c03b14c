package app_test

import (
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
)

// TestAProjectsOwnTextsAreWhatItsRecipientsRead: one file of its own, in the
// mail that arrives and on the page that opens; everything else as built in.
func TestAProjectsOwnTextsAreWhatItsRecipientsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"en/email/first.subject.txt": "Please connect {{.App}} for {{.Brand}}, as agreed\n",
		"en/pages/revoked.html":      `{{define "title"}}Gone{{end}}{{define "main"}}<h1>Our own words for gone</h1>{{end}}`,
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, boot{env: map[string]string{"CONNECTLINK_TEMPLATES_DIR": dir}})
	made := p.invite(201, to("delivered@connectlink.test"))
	id := made.text("id")
	p.until(id, "delivered", func(o object) bool { return o.text("delivery.status") == "delivered" })
	_, _, inbox := p.call("GET", "/v1/test_helpers/messages?invite="+id, nil)
	list, _ := inbox.at("data").([]any)
	if len(list) != 1 || !strings.Contains(object(list[0].(map[string]any)).text("subject"), ", as agreed") {
		t.Errorf("the inbox holds %v", list)
	}
	_, _, seen := p.call("POST", "/v1/invites/preview", to("delivered@connectlink.test"))
	previews, _ := seen.at("previews").([]any)
	if one := object(previews[0].(map[string]any)); !strings.Contains(one.text("email.subject"), ", as agreed") {
		t.Error("the preview shows other words than the mail")
	}
	p.sendsWhatStaffWrote(id)
	if status, _, _ := p.call("POST", "/v1/invites/"+id+"/revoke", object{}); status != 200 {
		t.Fatalf("revoke: %d", status)
	}
	_, path, _ := strings.Cut(made.text("invite_link.url"), "/c/")
	resp, err := p.http.Get(p.base + "/c/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body := string(raw); !strings.Contains(body, "Our own words for gone") || !strings.Contains(body, `class="languages"`) {
		t.Errorf("the page is not the project's own: %s", body)
	}
}

// sendsWhatStaffWrote: a text that an administrator saves in the console stands in the
// next message, over the texts of the project's folder; the console says of the earlier
// message that its wording has changed.
func (p *product) sendsWhatStaffWrote(earlier string) {
	p.t.Helper()
	admin := p.staff(access.RoleAdmin)
	form := url.Values{"do": {"save"}, "base": {"0"}, "subject": {"From the console: {App} for {Brand}"}, "button": {"Go on to {AppShort}"}}
	if status, _, body := admin.do("POST", "/console/default/test/messages/en/first", form.Encode()); status != 200 || !strings.Contains(body, "Messages use this text from now on") {
		p.t.Fatalf("saving a message: %d", status)
	}
	if seen := admin.get("/console/default/test/invites/" + earlier + "/saw"); !strings.Contains(seen, "the wording or layout has changed since") {
		p.t.Error("the preview of the earlier message passes for what was sent")
	}
	id := p.invite(201, to("delivered@connectlink.test")).text("id")
	p.until(id, "delivered", func(o object) bool { return o.text("delivery.status") == "delivered" })
	_, _, inbox := p.call("GET", "/v1/test_helpers/messages?invite="+id, nil)
	list, _ := inbox.at("data").([]any)
	if len(list) != 1 || !strings.HasPrefix(object(list[0].(map[string]any)).text("subject"), "From the console: ") {
		p.t.Errorf("the inbox holds %v", list)
	}
	if seen := admin.get("/console/default/test/invites/" + id + "/saw"); !strings.Contains(seen, "with the wording and layout that was sent") {
		p.t.Error("the preview of the new message does not pass for what was sent")
	}
}

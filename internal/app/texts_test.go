package app_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

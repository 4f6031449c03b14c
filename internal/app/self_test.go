package app_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/waittest"
)

// TestStaffReadTheirMessageInTheSandbox: an agent of a whole process sends themselves the
// message of a new invite. It arrives by SendGrid's stand-in, its link opens the page of
// samples, what the stand-in reports on it is dropped, and no log names the address.
func TestStaffReadTheirMessageInTheSandbox(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	const own = "robin.unmistakable@acme.example"
	token, err := p.app.Staff.SignInWithOIDC(t.Context(), grant.Identity{
		Issuer: "https://id.example", Subject: "1", Person: grant.Person{Name: "Robin Unmistakable", Email: own, EmailVerified: true},
		Roles: map[string]access.Role{"default": access.RoleAgent},
	}, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	v := p.visitor(t)
	base, err := url.Parse(p.base)
	if err != nil {
		t.Fatal(err)
	}
	v.http.Jar.SetCookies(base, []*http.Cookie{{Name: "connectlink_staff", Value: token.Reveal(), Path: "/"}})
	const at = "/console/default/test/new"
	key := regexp.MustCompile(`name="self" value="([^"]+)"`).FindStringSubmatch(v.get(at))
	if key == nil {
		t.Fatal("the form has no button")
	}
	form := url.Values{
		"do": {"test"}, "self": {key[1]}, "channel": {"email"}, "email": {"delivered@connectlink.test"}, "app": {"slack"}, "external_user_id": {"user-1"}, "to": {"victim@elsewhere.example"},
	}
	if status, _, body := v.do("POST", at, form.Encode()); status != http.StatusOK || !strings.Contains(body, "The sandbox took the message in place of") {
		t.Fatalf("sending: %d", status)
	}
	inbox := func() []sandbox.Message {
		list, err := p.app.Sandbox().Messages(t.Context(), sandbox.MessageFilter{})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	list := inbox()
	if len(list) != 1 || list[0].To != own || !strings.HasPrefix(list[0].Subject, "[Test] ") || !strings.HasPrefix(list[0].AttemptID, "tst_") {
		t.Fatalf("the inbox: %+v", list)
	}
	for _, link := range list[0].Links {
		resp, err := p.http.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("a link of it: %d", resp.StatusCode)
		}
	}
	if !strings.Contains(v.get("/c/"+compose.SampleCode), "This is a sample of a message") {
		t.Error("its link opens another page")
	}
	waittest.Until(t, "the stand-in delivered it", func() bool { return inbox()[0].Status == "delivered" })

	// Its reports came before those of an invite that is sent now.
	id := p.invite(201, to("delivered@connectlink.test")).text("id")
	p.until(id, "delivered", func(o object) bool { return o.text("delivery.status") == "delivered" })
	for what, sql := range map[string]string{
		"reports that match nothing": `SELECT count(*) FROM callbacks WHERE invite_id IS NULL`, "reports that wait": `SELECT count(*) FROM unmatched`, "suppressions": `SELECT count(*) FROM suppressions`,
	} {
		if n := p.count(sql); n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
	if n := p.count(`SELECT count(*) FROM invites`); n != 1 {
		t.Errorf("%d invites", n)
	}
	for _, word := range []string{"unmistakable", "Unmistakable", "victim"} {
		if strings.Contains(p.logs.String(), word) {
			t.Errorf("the log holds %q", word)
		}
	}
}

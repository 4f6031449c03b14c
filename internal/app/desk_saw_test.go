package app_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
)

// staff is a person with a role, at a browser without scripts.
func (p *product) staff(role access.Role) *visitor {
	p.t.Helper()
	token, err := p.app.Staff.Link(p.t.Context(), access.Principal{Kind: access.KindSystem}, "Robin "+string(role), map[string]access.Role{"default": role}, patience)
	if err != nil {
		p.t.Fatal(err)
	}
	v := p.visitor(p.t)
	if status, at, _ := v.do("POST", "/console/sign-in/link/"+token.Reveal(), ""); status != 200 || at != "/console/default/test/home" {
		p.t.Fatalf("signing in: %d at %s", status, at)
	}
	return v
}

// get is a page that must be there.
func (v *visitor) get(address string) string {
	v.t.Helper()
	status, _, body := v.do("GET", address, "")
	if status != http.StatusOK {
		v.t.Fatalf("%s: %d", address, status)
	}
	return body
}

// What support is shown of the page is the page that the recipient gets, but for
// whom it is for and where it leads: nothing of it works.
func TestSupportSeesThePageThatTheLinkLeadsTo(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	v := p.staff(access.RoleViewer)
	body := to("delivered@connectlink.test")
	body["inviter"] = object{"name": "Sam Rivera"}
	made := p.invite(201, body)
	id, reference, link := made.text("id"), made.text("reference"), made.text("invite_link.url")
	p.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	at := "/console/default/test/invites/" + id

	outside := v.get(at + "/saw?as=page&width=phone&dark=1")
	for _, want := range []string{`sandbox=""`, `src="` + at + `/page"`, `class="mail phone dark"`, "This preview is rendered from the recorded data"} {
		if !strings.Contains(outside, want) {
			t.Errorf("the page around lacks %s", want)
		}
	}
	if strings.Contains(outside, "While the link was valid") {
		t.Error("offers the page of then while it is still the page of now")
	}
	resp, err := v.http.Get(v.base + at + "/page") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	csp := resp.Header.Get("Content-Security-Policy")
	for _, want := range []string{"sandbox;", "default-src 'none'", "form-action 'none'", "frame-ancestors 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the frame's policy lacks %s: %s", want, csp)
		}
	}
	page := v.get(at + "/page")
	for _, want := range []string{"Sam Rivera", "Slack", "Acme", "d••@c•••.test", "/c/****", reference, "Continue to"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{code(link), "delivered@connectlink.test", "href=", "action=", "<script", "http-equiv=\"refresh", "ctok_", "<img"} {
		if strings.Contains(page, never) {
			t.Errorf("the page holds %q", never)
		}
	}
	// A page that is over, now and then.
	if status, _, out := p.call("POST", "/v1/test_helpers/invites/"+id+"/advance", object{"to": "expired"}); status != 200 {
		t.Fatalf("advance: %d %v", status, out)
	}
	if now := v.get(at + "/page"); !strings.Contains(now, "This link has expired") {
		t.Error("an expired link's page is not what its recipient gets")
	}
	if then := v.get(at + "/page?then=1"); !strings.Contains(then, "Continue to") || !strings.Contains(then, "This link works until") {
		t.Error("the page as it was is not there")
	}
	if outside := v.get(at + "/saw?as=page&then=1"); !strings.Contains(outside, `src="`+at+`/page?then=1"`) {
		t.Error("the frame shows the page of now")
	}
}

// Messages are not kept. Support is told so, and whether the preview has the
// wording of the sent message.
func TestSupportIsToldHowNearTheShownMessageIsToTheSentOne(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	v := p.staff(access.RoleViewer)
	id := p.invite(201, to("delivered@connectlink.test")).text("id")
	p.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	at := "/console/default/test/invites/" + id + "/saw"
	if page := v.get(at); !strings.Contains(page, "with the wording and layout that was sent") {
		t.Error("today's wording is not said to be that of then")
	}
	p.sql(`UPDATE attempts SET template_version = 'of last year'`)
	if page := v.get(at); !strings.Contains(page, "the wording or layout has changed since") {
		t.Error("a changed wording is not said to be one")
	}
	if page := v.get("/console/default/test/invites/" + id + "/mail"); strings.Contains(page, "href=") {
		t.Error("links in the shown message lead somewhere")
	}
	linkOnly := p.invite(201, object{"external_user_id": "user_1", "app": "slack", "channel": "link"}).text("id")
	if page := v.get("/console/default/test/invites/" + linkOnly + "/saw"); !strings.Contains(page, "No message is sent for this invite") {
		t.Error("an invite without a message is said to have one")
	}
}

// Where messages carry Pipedream's own link there is no page of ours, and that
// link is not shown either.
func TestSupportNeverSeesAConnectLink(t *testing.T) {
	t.Parallel()
	p := start(t, boot{noPublic: true})
	v := p.staff(access.RoleAdmin)
	id := p.invite(201, to("delivered@connectlink.test")).text("id")
	at := "/console/default/test/invites/" + id
	if page := v.get(at + "/saw?as=page"); !strings.Contains(page, "No page to show") {
		t.Error("a page is shown that there is not")
	}
	if status, _, _ := v.do("GET", at+"/page", ""); status != http.StatusNotFound {
		t.Errorf("the page is answered %d", status)
	}
	text := v.get(at + "/saw?as=text")
	if !strings.Contains(text, "token=****") || strings.Contains(text, "ctok_") {
		t.Error("the message is not the one with Pipedream's link, or shows it")
	}
}

// From what one person received, support finds all who received the same texts.
func TestSupportListsTheInvitesSentWithTheSameTexts(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	v := p.staff(access.RoleViewer)
	var ids []string
	for range 2 {
		made := p.invite(201, to("delivered@connectlink.test"))
		p.until(made.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
		ids = append(ids, made.text("id"))
	}
	handed := p.invite(201, with(to("delivered@connectlink.test"), "channel", "link")).text("id")
	found := regexp.MustCompile(`href="(/console/default/test/invites\?template=[0-9a-f]+)">Invites sent with it</a>`).FindStringSubmatch(v.get("/console/default/test/invites/" + ids[0] + "/saw"))
	if found == nil {
		t.Fatal("the preview does not lead to the invites with the same texts")
	}
	list := v.get(found[1])
	for _, id := range ids {
		if !strings.Contains(list, "/invites/"+id+`"`) {
			t.Errorf("the list lacks %s", id)
		}
	}
	if strings.Contains(list, "/invites/"+handed+`"`) {
		t.Error("the list has an invite without a message")
	}
	if strings.Contains(v.get("/console/default/test/invites/"+handed+"/saw"), "Invites sent with it") {
		t.Error("an invite without a message has a version of texts")
	}
	if none := v.get("/console/default/test/invites?template=" + strings.Repeat("0", 12)); strings.Contains(none, "/invites/"+ids[0]+`"`) {
		t.Error("another version lists the same invites")
	}
}

package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

// TestF09LookingUpByAddressSendsPostgresNone: look-ups by address or number
// through the API and the console send Postgres neither.
func TestF09LookingUpByAddressSendsPostgresNone(t *testing.T) {
	t.Parallel()
	db, sent := postgrestest.Record(t, postgrestest.New(t))
	p := start(t, boot{db: db}).scoped(access.DefaultScopes()...)
	privacy := p.scoped("admin", "suppressions")
	canaries := map[string]string{"canary.person@victim.example": "canary.person", "+1 415 555 0188": "415 555", "+14155550188": "4155550188"}
	var ids []string
	for user := range canaries {
		for _, app := range []string{"slack", "notion"} {
			body := with(to("delivered@connectlink.test"), "external_user_id", user)
			ids = append(ids, p.invite(http.StatusCreated, with(body, "app", app)).text("id"))
		}
	}
	for _, id := range ids {
		p.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	}
	link, err := p.app.ConsoleLink(t.Context(), p.base, "Developer")
	if err != nil {
		t.Fatal(err)
	}
	staff := p.visitor(t)
	if status, _, _ := staff.do("POST", link, ""); status != http.StatusOK {
		t.Fatalf("sign in: %d", status)
	}
	const root = "/console/default/test"
	if !strings.Contains(sent.Take(), "canary.person") {
		t.Fatal("the recording misses the insert of an invite") // of the record itself
	}
	for user, canary := range canaries {
		q := url.QueryEscape(user)
		count := func(p *product, want int, method, path string, body ...any) {
			t.Helper()
			status, _, out := p.call(method, path, append(body, nil)[0])
			if list, _ := out.at("data").([]any); status != http.StatusOK || len(list) != want {
				t.Errorf("%s %s: %d %v, want %d", method, path, status, out, want)
			}
		}
		count(p, 2, http.MethodGet, "/v1/invites?external_user_id="+q)
		count(p, 1, http.MethodGet, "/v1/invites?app=slack&limit=1&external_user_id="+q)
		count(p, 2, http.MethodPost, "/v1/invites/search", object{"external_user_id": user})
		count(p, 0, http.MethodPost, "/v1/invites/search", object{"recipient": strings.ReplaceAll(user, " ", "")})
		count(privacy, 0, http.MethodPost, "/v1/suppressions/search", object{"recipient": strings.ReplaceAll(user, " ", "")})
		if status, _, out := p.call(http.MethodPost, "/v1/invites", with(with(to("delivered@connectlink.test"), "external_user_id", user), "if_active", "error")); status != http.StatusConflict {
			t.Errorf("create beside an open invite: %d %v", status, out)
		}
		if status, _, out := p.call(http.MethodPost, "/v1/invites", with(with(to("delivered@connectlink.test"), "external_user_id", user), "if_active", "return")); status != http.StatusOK {
			t.Errorf("create returning the open invite: %d %v", status, out)
		}
		count(privacy, 0, http.MethodGet, "/v1/suppressions?recipient="+url.QueryEscape(strings.ReplaceAll(user, " ", "")))
		count(p, 0, http.MethodGet, "/v1/invites?recipient="+url.QueryEscape(strings.ReplaceAll(user, " ", "")))
		if status, _, out := privacy.call(http.MethodPost, "/v1/privacy/export", object{"external_user_id": user}); status != http.StatusOK {
			t.Errorf("export: %d %v", status, out)
		}
		status, at, page := staff.do("POST", root+"/search", "q="+q)
		if status != http.StatusOK || !strings.Contains(page, ids[0]) && !strings.Contains(page, "inv_") {
			t.Errorf("the console's search for %q: %d at %s", user, status, at)
		}
		for _, id := range ids {
			for _, path := range []string{"/invites/", "/people/"} {
				if status, _, _ := staff.do("GET", root+path+id, ""); status != http.StatusOK {
					t.Errorf("%s%s: %d", path, id, status)
				}
			}
		}
		if status, _, out := privacy.call(http.MethodPost, "/v1/privacy/erase", object{"external_user_id": user}); status != http.StatusOK || out.at("invites") != 2.0 {
			t.Errorf("erase: %d %v", status, out)
		}
		text := sent.Take()
		if text == "" {
			t.Fatal("nothing was recorded")
		}
		for _, form := range []string{canary, user, url.QueryEscape(user)} {
			if at := strings.Index(text, form); at >= 0 {
				t.Errorf("looking up %q sends Postgres %q: …%q…", user, form, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
}

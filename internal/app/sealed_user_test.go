package app_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

// TestF09ASealedExternalUserIDStandsNowhereInTheDatabase: with the setting on, a
// whole run from the first create to the erasure. The product sees its id
// everywhere, Pipedream's stand-in gets it with every mint, and Postgres never:
// neither in a row of any table nor in a statement. The stand-in's own tables
// (sandbox.*) are looked through too; like Pipedream it knows the id, and seals it.
func TestF09ASealedExternalUserIDStandsNowhereInTheDatabase(t *testing.T) {
	t.Parallel()
	const user, other = "canary.person@victim.example", "+1 415 555 0188"
	w := newTold(t, 0)
	env := w.env()
	env["CONNECTLINK_SEAL_EXTERNAL_USER_ID"] = "true"
	db, sent := postgrestest.Record(t, postgrestest.New(t))
	p := start(t, boot{db: db, env: env})
	create := func(user, app, email string) object {
		return with(with(to(email), "external_user_id", user), "app", app)
	}
	shows := func(what string, inv object, user string) {
		t.Helper()
		if inv.text("external_user_id") != user || inv.at("unreadable") != nil {
			t.Errorf("%s: external_user_id %v, unreadable %v; want %q", what, inv.at("external_user_id"), inv.at("unreadable"), user)
		}
	}
	// The page behind a connect link shows for whom Pipedream's stand-in made it.
	mintedFor := func(what string, inv object, user string) {
		t.Helper()
		resp, err := p.http.Get(inv.text("connect_link_url"))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer func() { _ = resp.Body.Close() }()
		page, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(html.UnescapeString(string(page)), "<code>"+user+"</code>") {
			t.Errorf("%s: the link was not minted for %q: %s", what, user, page)
		}
	}

	// Minted by the create, delivered, opened, connected and told.
	connected := p.invite(http.StatusCreated, create(user, "slack", "delivered+connect@connectlink.test"))
	shows("create", connected, user)
	mintedFor("create", connected, user)
	first := connected.text("id")
	p.until(first, "connected", func(inv object) bool { return inv.text("status") == "connected" })
	shows("event", w.about(first, "invite.connected").at("data.invite").(map[string]any), user)

	// Minted by dispatch.
	scheduled := p.invite(http.StatusCreated, with(create(user, "notion", "delivered@connectlink.test"), "send_at", time.Now().Add(time.Second)))
	second := scheduled.text("id")
	shows("scheduled create", scheduled, user)
	inv := p.until(second, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	shows("read", inv, user)
	mintedFor("dispatch", inv, user)

	// Failed, and sent again.
	bounced := p.invite(http.StatusCreated, create(other, "slack", "bounced@connectlink.test")).text("id")
	shows("event", w.about(bounced, "invite.delivery_failed").at("data.invite").(map[string]any), other)
	status, _, resent := p.call(http.MethodPost, "/v1/invites/"+bounced+"/resend", object{"recipient": object{"email": "delivered@connectlink.test"}})
	if status != http.StatusOK {
		t.Fatalf("resend: %d %v", status, resent)
	}
	shows("resend", resent, other)
	mintedFor("resend", resent, other)
	p.until(bounced, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })

	// Looked up.
	for _, body := range []object{{"external_user_id": user}, {"external_user_id": user, "app": "slack"}} {
		status, _, list := p.call(http.MethodPost, "/v1/invites/search", body)
		data, _ := list["data"].([]any)
		if status != http.StatusOK || len(data) != 3-len(body) {
			t.Errorf("list by %v: %d %v", body, status, list)
		}
		for _, inv := range data {
			shows("list", inv.(map[string]any), user)
		}
	}
	open := create(user, "notion", "delivered@connectlink.test")
	if status, _, inv := p.call(http.MethodPost, "/v1/invites", with(maps.Clone(open), "if_active", "return")); status != http.StatusOK || inv.text("id") != second {
		t.Errorf("if_active return: %d %v", status, inv)
	}
	if status, _, problem := p.call(http.MethodPost, "/v1/invites", with(maps.Clone(open), "if_active", "error")); status != http.StatusConflict {
		t.Errorf("if_active error: %d %v", status, problem)
	}
	replacing := p.invite(http.StatusCreated, with(maps.Clone(open), "if_active", "replace")).text("id")
	p.until(second, "replaced", func(inv object) bool { return inv.text("replaced_by") == replacing })
	p.until(replacing, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	link, err := p.app.ConsoleLink(t.Context(), p.base, "Developer")
	if err != nil {
		t.Fatal(err)
	}
	staff := p.visitor(t)
	if status, _, _ := staff.do("POST", link, ""); status != http.StatusOK {
		t.Fatalf("sign in: %d", status)
	}
	const root = "/console/default/test"
	if status, at, page := staff.do("POST", root+"/search", "q="+url.QueryEscape(user)); status != http.StatusOK || !strings.Contains(page, first) || !strings.Contains(page, replacing) {
		t.Errorf("the console's search: %d at %s", status, at)
	}
	if status, _, page := staff.do("GET", root+"/people/"+first, ""); status != http.StatusOK || !strings.Contains(page, second) || strings.Contains(page, bounced) {
		t.Errorf("the person's page: %d", status)
	}
	if status, _, page := staff.do("GET", root+"/invites/"+second, ""); status != http.StatusOK || !strings.Contains(page, first) {
		t.Errorf("the invite's page lacks the person's other invites: %d", status)
	}

	// Exported.
	privacy := p.scoped(access.Admin)
	status, _, export := privacy.call(http.MethodPost, "/v1/privacy/export", object{"external_user_id": user})
	data, _ := export["invites"].([]any)
	if status != http.StatusOK || len(data) != 3 || export.text("external_user_id") != user {
		t.Errorf("export: %d %v", status, export)
	}
	for _, inv := range data {
		shows("export", inv.(map[string]any), user)
	}

	nowhere := func(when, sure string) {
		t.Helper()
		rows, statements := dump(t, p.db), sent.Take()
		if !strings.Contains(statements, sure) {
			t.Fatal("the recording misses the statements")
		}
		for place, text := range map[string]string{"database": rows, "statements": statements, "log": p.logs.String()} {
			text = strings.ToLower(text)
			for _, canary := range []string{user, other, "canary.person", url.QueryEscape(user), "415 555"} {
				quoted, _ := json.Marshal(canary)
				for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), strings.Trim(string(quoted), `"`), base64.StdEncoding.EncodeToString([]byte(canary))[:len(canary)]} {
					if at := strings.Index(text, strings.ToLower(form)); at >= 0 {
						t.Errorf("%s %q stands in the %s: …%q…", when, form, place, text[max(0, at-200):min(len(text), at+100)])
					}
				}
			}
		}
	}
	nowhere("before the erasure", "slack")
	if n := p.count(`SELECT count(*) FROM invites WHERE sealed_user_id IS NOT NULL AND external_user_id LIKE 'sealed:%'`); n != 4 {
		t.Errorf("%d invites are sealed, want 4", n)
	}
	if n := p.count(`SELECT count(DISTINCT external_user_id) FROM invites`); n != 2 {
		t.Errorf("the invites of 2 people have %d placeholders", n)
	}

	// Erased.
	if status, _, out := privacy.call(http.MethodPost, "/v1/privacy/erase", object{"external_user_id": user}); status != http.StatusOK || out.at("invites") != 3.0 {
		t.Errorf("erase: %d %v", status, out)
	}
	_, _, gone := p.call(http.MethodGet, "/v1/invites/"+first, nil)
	if !strings.HasPrefix(gone.text("external_user_id"), "erased:") || gone.at("recipient") != nil || gone.at("unreadable") != nil {
		t.Errorf("erased: %v", gone)
	}
	if n := p.count(`SELECT count(*) FROM invites WHERE sealed_user_id IS NOT NULL`); n != 1 {
		t.Errorf("%d invites are sealed after the erasure, want the other person's", n)
	}
	if _, _, list := p.call(http.MethodPost, "/v1/invites/search", object{"external_user_id": user}); len(list["data"].([]any)) != 0 {
		t.Errorf("after the erasure: %v", list)
	}
	nowhere("after the erasure", "erased:")
}

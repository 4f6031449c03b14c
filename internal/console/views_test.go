package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
)

const viewsPath = "/console/default/test/views"

// chips are the tabs above the list, as "text address"; the current one begins with "*".
func chips(a answer) (out []string) {
	for _, m := range regexp.MustCompile(`<a class="chip" href="([^"]*)"( aria-current="true")?>([^<]*)</a>`).FindAllStringSubmatch(a.body, -1) {
		text := html.UnescapeString(m[3] + " " + m[1])
		if m[2] != "" {
			text = "*" + text
		}
		out = append(out, text)
	}
	return out
}

func hasChip(a answer, chip string) bool {
	for _, c := range chips(a) {
		if c == chip {
			return true
		}
	}
	return false
}

func TestFiltersAreSavedAsViewsForOneselfAndForTheTeam(t *testing.T) {
	t.Parallel()
	s := newStock(t)
	robin, kim := s.as("robin", access.RoleAgent), s.as("kim", access.RoleAgent)
	lead := s.as("lead", access.RoleLead)
	const query = "?domain=bigco.example&status=failed"
	if page := robin.get(invitesPath); strings.Contains(page.body, "Save this view") {
		t.Error("a list without filters can be saved")
	}
	page := robin.get(invitesPath + query)
	if !strings.Contains(page.text(), "Save this view") || strings.Contains(page.text(), "For the team") {
		t.Errorf("an agent is offered: %s", page.text())
	}
	// What the list does not understand is not saved.
	hostile := `<b>"BigCo"</b> & ` + "\u202e" + `bounces`
	said := robin.follow(robin.post(viewsPath+query+"&progress=nonsense&after=inv_1", url.Values{"name": {"  " + hostile + " "}, "team": {""}}))
	name := strings.ReplaceAll(hostile, "\u202e", "")
	if !strings.Contains(said.text(), "Saved.") || !hasChip(said, "*"+name+" "+invitesPath+query) || strings.Contains(said.body, "<b>") {
		t.Errorf("%q in %q", said.text(), chips(said))
	}
	if strings.Contains(said.body, "Save this view") {
		t.Error("a saved view can be saved again")
	}
	if got := robin.get(invitesPath); !hasChip(got, name+" "+invitesPath+query) {
		t.Errorf("on the list: %q", chips(got))
	}
	for who, b := range map[string]*browser{"a colleague": kim, "a lead": lead} {
		if strings.Contains(b.get(invitesPath).body, "bigco") {
			t.Errorf("%s sees another person's view", who)
		}
	}
	if strings.Contains(robin.get("/console/default/live/invites").body, "bigco") {
		t.Error("the view is in the other mode")
	}
	// The database has neither name nor filter in clear.
	if n := s.count(`SELECT count(*) FROM saved_views WHERE position('bigco'::bytea IN content) > 0 OR position('BigCo'::bytea IN content) > 0`); n != 0 {
		t.Errorf("%d views are readable", n)
	}
	for form, want := range map[*url.Values]string{
		{"name": {" "}}: "A name has 1 to 40 characters.", {"name": {strings.Repeat("x", 41)}}: "A name has 1 to 40 characters.",
		{"name": {"for all"}, "team": {"1"}}: "Views of the team are changed by leads.",
	} {
		if a := robin.follow(robin.post(viewsPath+query, *form)); !strings.Contains(a.text(), want) {
			t.Errorf("%v lacks %q", form, want)
		}
	}
	if a := lead.follow(lead.post(viewsPath+"?status=expired", url.Values{"name": {"Ended"}, "team": {"1"}})); !strings.Contains(a.text(), "Saved.") {
		t.Errorf("a lead: %s", a.text())
	}
	for who, b := range map[string]*browser{"an agent": robin, "a colleague": kim, "a lead": lead} {
		if !hasChip(b.get(invitesPath), "Ended "+invitesPath+"?status=expired") {
			t.Errorf("%s lacks the view of the team", who)
		}
	}
	ids := map[string]string{}
	for _, m := range regexp.MustCompile(`<bdi>([^<]*)</bdi></a>[^/]*(?:</span>)?</div>\s*<form class="row" method="post" action="([^"]*)"`).FindAllStringSubmatch(lead.get(viewsPath).body+robin.get(viewsPath).body, -1) {
		ids[html.UnescapeString(m[1])] = m[2]
	}
	own, team := ids[name], ids["Ended"]
	if own == "" || team == "" {
		t.Fatalf("the pages of views have %v", ids)
	}
	if strings.Contains(robin.get(viewsPath).body, team) {
		t.Error("an agent is offered to change the view of the team")
	}
	if a := robin.follow(robin.post(team, url.Values{"do": {"delete"}})); !strings.Contains(a.text(), "Views of the team are changed by leads.") {
		t.Error("an agent deletes the view of the team")
	}
	for who, a := range map[string]answer{"a colleague": kim.post(own, url.Values{"name": {"mine"}}), "a lead": lead.post(own, url.Values{"do": {"delete"}}),
		"another mode": robin.post(strings.Replace(own, "/test/", "/live/", 1), url.Values{"do": {"delete"}})} {
		if a.StatusCode != http.StatusNotFound {
			t.Errorf("%s changes another person's view: %d", who, a.StatusCode)
		}
	}
	if a := robin.follow(robin.post(own, url.Values{"name": {"Bounces"}})); !strings.Contains(a.text(), "The view was renamed.") || !hasChip(robin.get(invitesPath), "Bounces "+invitesPath+query) {
		t.Error("not renamed")
	}
	if a := robin.follow(robin.post(own, url.Values{"do": {"delete"}})); !strings.Contains(a.text(), "The view was deleted.") || strings.Contains(robin.get(invitesPath).body, "Bounces") {
		t.Error("not deleted")
	}
	lead.post(team, url.Values{"name": {"Over"}})
	if n := s.count(`SELECT count(*) FROM audit WHERE act = 'team_view' AND target = $1 AND data->>'view' IN ('saved', 'renamed')`, team[strings.LastIndexByte(team, '/')+1:]); n != 2 {
		t.Errorf("%d entries in the audit log", n)
	}
	for i := range grant.MaxViews {
		kim.post(viewsPath+query, url.Values{"name": {fmt.Sprint("view ", i)}})
	}
	if a := kim.follow(kim.post(viewsPath+query, url.Values{"name": {"one more"}})); !strings.Contains(a.text(), "There are 20 views already") {
		t.Error("there is no end to views")
	}
	if a := robin.follow(robin.post(viewsPath+query, url.Values{"name": {"first"}})); !strings.Contains(a.text(), "Saved.") {
		t.Error("the views of one person leave no room for another's")
	}
}

func (s *stock) as(name string, role access.Role) *browser {
	s.t.Helper()
	return s.signedIn(name, map[string]access.Role{"default": role})
}

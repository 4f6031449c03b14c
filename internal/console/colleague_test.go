package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/secret"
)

const teamPath = "/console/default/test/team"

// passwordLink finds a colleague's link on the page that shows it once.
func passwordLink(body string) string {
	return regexp.MustCompile(`/console/sign-in/password/[A-Za-z0-9_-]+`).FindString(body)
}

// idOf finds the account with this name.
func (s *site) idOf(name string) string {
	s.t.Helper()
	for _, k := range must[[]grant.Known](s.t)(s.staff.List(s.t.Context())) {
		if k.Person.Name == name {
			return k.ID.String()
		}
	}
	s.t.Fatalf("no account %q", name)
	return ""
}

func TestAnAdministratorGivesAColleagueAccessFromTheConsole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	form := url.Values{"name": {"Kim Berg"}, "email": {"Kim@Northwind.example"}, "role": {"agent"}}
	made := admin.post(teamPath, form)
	link := passwordLink(made.body)
	if made.StatusCode != http.StatusCreated || link == "" || !strings.Contains(made.body, "Access for Kim Berg") || made.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", made.StatusCode, mainOf(made.body))
	}
	if list := admin.get(teamPath); passwordLink(list.body) != "" || !strings.Contains(list.body, "Invited") {
		t.Error("the list shows the link again, or not that the colleague was invited")
	}
	kim := s.browser()
	if a := kim.post("/console/sign-in", credentials("kim@northwind.example", "")); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a sign-in without a password: %d", a.StatusCode)
	}
	for range 2 { // scanners open links; that uses nothing up
		if a := kim.get(link); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Northwind") || !strings.Contains(a.body, "Agent") || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("the link: %d", a.StatusCode)
		}
	}
	for password, says := range map[string]string{"short": "at least 15 characters", "passwordpassword": "easy to guess", "kimberg northwind": "easy to guess"} {
		if a := kim.post(link, url.Values{"password": {password}}); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, says) {
			t.Errorf("%s: %d", password, a.StatusCode)
		}
	}
	a := kim.post(link, url.Values{"password": {"seven violet otters knit"}})
	if a.StatusCode != http.StatusSeeOther || a.location() != "/console/sign-in/code" {
		t.Fatalf("setting the password: %d to %q", a.StatusCode, a.location())
	}
	if a := kim.get("/console/default/test/home"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("with the password alone: %d", a.StatusCode)
	}
	kim.setUp(a.location())
	if a := kim.get("/console/default/test/home"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Kim Berg") {
		t.Errorf("inside: %d", a.StatusCode)
	}
	if a := kim.get(teamPath); a.StatusCode != http.StatusForbidden {
		t.Errorf("an agent sees the team: %d", a.StatusCode)
	}
	if a := s.browser().get("/console/default/live/home"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("a stranger: %d", a.StatusCode)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if a := s.browser().do(method, link, url.Values{"password": {"seven violet otters knit"}}); a.StatusCode != http.StatusGone || !strings.Contains(a.body, "Ask an administrator") {
			t.Errorf("%s of the used link: %d", method, a.StatusCode)
		}
	}
	for _, canary := range []string{"northwind.example", "otters", strings.TrimPrefix(link, "/console/sign-in/password/")} {
		if strings.Contains(s.log.String(), canary) {
			t.Errorf("the log holds %s", canary)
		}
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act = 'password_link_created' AND target = $1`, s.idOf("Kim Berg")); n != 1 {
		t.Errorf("%d entries of the link in the audit log", n)
	}
}

func TestTheFormForAColleagueNamesAllFaultsAndKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	a := admin.post(teamPath, url.Values{"name": {" "}, "email": {"kim at northwind"}, "role": {"owner"}})
	for _, says := range []string{"Enter a name.", "Enter the colleague&#39;s email address", "Choose a role.", `value="kim at northwind"`} {
		if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, says) {
			t.Errorf("%d without %q", a.StatusCode, says)
		}
	}
	if n := s.count(`SELECT count(*) FROM staff`); n != 1 {
		t.Errorf("%d accounts", n)
	}
}

// TestALinkIsWorthNothingAfter: what ends a link by which a password is set.
func TestALinkIsWorthNothingAfter(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*site, *browser, string){
		"another link": func(s *site, admin *browser, id string) { admin.post(teamPath+"/"+id+"/link", nil) },
		"disabling and after": func(s *site, admin *browser, id string) {
			admin.post(teamPath+"/"+id+"/disable", nil)
			admin.post(teamPath+"/"+id+"/enable", nil)
		},
		"three days": func(s *site, _ *browser, _ string) { s.exec(`UPDATE staff_links SET expires_at = now()`) },
		"a password by the command line": func(s *site, _ *browser, _ string) {
			if _, err := s.staff.SetPassword(s.t.Context(), access.Principal{Kind: access.KindSystem}, secret.New("kim@northwind.example"), secret.New("correct horse battery")); err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
			link := passwordLink(admin.post(teamPath, url.Values{"name": {"Kim"}, "email": {"kim@northwind.example"}, "role": {"viewer"}}).body)
			end(s, admin, s.idOf("Kim"))
			if a := s.browser().post(link, url.Values{"password": {"seven violet otters knit"}}); a.StatusCode != http.StatusGone {
				t.Errorf("%d", a.StatusCode)
			}
		})
	}
}

// TestALinkForAPasswordDoesNotSignIn: nor does a link that signs in set a password.
func TestALinkForAPasswordDoesNotSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	link := passwordLink(admin.post(teamPath, url.Values{"name": {"Kim"}, "email": {"kim@northwind.example"}, "role": {"viewer"}}).body)
	token := strings.TrimPrefix(link, "/console/sign-in/password/")
	if a := s.browser().post("/console/sign-in/link/"+token, nil); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("signing in by it: %d", a.StatusCode)
	}
	other := must[secret.Text](t)(s.staff.Link(t.Context(), access.Principal{Kind: access.KindSystem}, "printed", map[string]access.Role{"*": access.RoleAdmin}, grant.PasswordLinkLasts))
	if a := s.browser().post("/console/sign-in/password/"+other.Reveal(), url.Values{"password": {"seven violet otters knit"}}); a.StatusCode != http.StatusGone {
		t.Errorf("a password by a printed link: %d", a.StatusCode)
	}
}

func TestAnInvitedColleagueWhoHasAnAccountKeepsTheirPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	emergency(t, s, map[string]access.Role{"other": access.RoleAdmin}) // Sam
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	a := admin.post(teamPath, url.Values{"name": {"Sam"}, "email": {"sam@northwind.example"}, "role": {"lead"}})
	if page := admin.follow(a); passwordLink(a.body) != "" || !strings.Contains(page.body, "had an account") {
		t.Errorf("%d", a.StatusCode)
	}
	sam := s.idOf("Sam")
	// Sam is administrator elsewhere, so this administrator cannot take the account over.
	for _, act := range []string{"/link", "/factor", "/disable", "/role"} {
		if a := admin.post(teamPath+"/"+sam+act, url.Values{"role": {"viewer"}}); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", act, a.StatusCode)
		}
	}
	b := s.browser()
	b.setUp(b.post("/console/sign-in", credentials("sam@northwind.example", "correct horse battery")).location())
	for path, want := range map[string]int{"/console/default/test/audit": http.StatusOK, teamPath: http.StatusForbidden, "/console/other/test/team": http.StatusOK} {
		if a := b.get(path); a.StatusCode != want {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
}

func TestAnAdministratorChangesRolesAndResetsSecondFactors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	emergency(t, s, map[string]access.Role{"default": access.RoleAgent}) // Sam
	sam, id := s.browser(), s.idOf("Sam")
	sam.setUp(sam.post("/console/sign-in", credentials("sam@northwind.example", "correct horse battery")).location())
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	for _, c := range []struct {
		role string
		want int // of the audit log, for leads
	}{{"lead", http.StatusOK}, {"viewer", http.StatusForbidden}, {"none", http.StatusNotFound}} {
		if a := admin.post(teamPath+"/"+id+"/role", url.Values{"role": {c.role}}); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %d", c.role, a.StatusCode)
		}
		if a := sam.get("/console/default/test/audit"); a.StatusCode != c.want {
			t.Errorf("as %s: %d, want %d", c.role, a.StatusCode, c.want)
		}
	}
	if a := admin.post(teamPath+"/"+id+"/role", url.Values{"role": {"agent"}}); a.StatusCode != http.StatusNotFound {
		t.Errorf("an account without a role here: %d", a.StatusCode)
	}
	admin.post(teamPath, url.Values{"name": {"Sam"}, "email": {"sam@northwind.example"}, "role": {"agent"}})
	if a := admin.follow(admin.post(teamPath+"/"+id+"/factor", nil)); !strings.Contains(a.body, "second factor is removed") {
		t.Errorf("%s", mainOf(a.body))
	}
	if a := sam.get("/console/default/test/home"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("the session after the reset: %d", a.StatusCode)
	}
	again := sam.post("/console/sign-in", credentials("sam@northwind.example", "correct horse battery"))
	if key := appKey(sam.get(again.location()).body); key == "" || key == sam.key {
		t.Error("the next sign-in sets no other second factor up")
	}
}

func TestTheTeamNamesTheGroupsOfSingleSignOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *console.Params) {
		p.Passwords = false
		p.Groups = []console.GroupRole{{Group: "support", Role: access.RoleAgent}, {Group: "acme-leads", Project: "other", Role: access.RoleLead}}
	})
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	a := admin.get(teamPath)
	if !strings.Contains(a.body, "<code>support</code>") || strings.Contains(a.body, "acme-leads") || strings.Contains(a.body, "Invite a colleague") {
		t.Error(mainOf(a.body))
	}
	if a := admin.post(teamPath, url.Values{"name": {"Kim"}, "email": {"kim@northwind.example"}, "role": {"viewer"}}); a.StatusCode != http.StatusNotFound {
		t.Errorf("where passwords are not taken: %d", a.StatusCode)
	}
}

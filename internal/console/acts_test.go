package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

func TestAKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	const keys = "/console/default/live/keys"
	bad := admin.post(keys, url.Values{"name": {" "}, "days": {"soon"}})
	if bad.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("nothing filled in: %d", bad.StatusCode)
	}
	for _, field := range []string{`href="#name"`, `href="#scope"`, `href="#days"`} {
		if !strings.Contains(bad.body, field) {
			t.Errorf("the faults lack %s", field)
		}
	}
	hostile := `<b onclick="x()">"'&`
	made := admin.post(keys, url.Values{"name": {hostile}, "scope": {"invites:read", "links:read"}, "days": {"30"}})
	key := regexp.MustCompile(`cl_live_[0-9A-Za-z]{43}`).FindString(made.body)
	if made.StatusCode != http.StatusCreated || key == "" {
		t.Fatalf("%d", made.StatusCode)
	}
	if p, err := s.keys.Authenticate(t.Context(), secret.New(key), netip.Addr{}); err != nil || !p.Live || p.Environment != "production" ||
		access.JoinScopes(p.Scopes) != "invites:read links:read" {
		t.Errorf("the key is %+v, %v", p, err)
	}
	again := admin.get(keys)
	if strings.Contains(again.body, key) || strings.Contains(again.body, hostile) || !strings.Contains(again.body, "&lt;b onclick=") {
		t.Error("the list holds the key, or a name as markup")
	}
	if strings.Contains(admin.get("/console/default/test/keys").body, "onclick") {
		t.Error("test mode lists a live key")
	}
	id := regexp.MustCompile(`keys/(key_[0-9a-v]+)/revoke`).FindStringSubmatch(again.body)[1]
	if a := admin.follow(admin.post(keys+"/"+id+"/revoke", nil)); !strings.Contains(a.body, "The key is revoked") {
		t.Errorf("revoked: %d", a.StatusCode)
	}
	if a := admin.get(keys); strings.Contains(a.body, "The key is revoked") || !strings.Contains(a.body, "Revoked") {
		t.Error("the message stays, or the list does not know")
	}
	if _, err := s.keys.Authenticate(t.Context(), secret.New(key), netip.Addr{}); err == nil {
		t.Error("the key still works")
	}
	log := admin.get("/console/default/live/audit")
	for _, want := range []string{"Created an API key", "Revoked an API key", "Permissions: invites:read, links:read", id} {
		if !strings.Contains(log.body, want) {
			t.Errorf("the audit log lacks %q", want)
		}
	}
	if strings.Contains(s.log.String(), key) {
		t.Error("the log holds the key")
	}
}

func TestSendingIsStoppedAndResumedByHand(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	viewer := s.signedIn("viewer", map[string]access.Role{"default": access.RoleViewer})
	const system = "/console/default/live/system"
	if a := admin.follow(admin.post(system+"/email/stop", url.Values{"why": {"because"}})); !strings.Contains(a.body, "Nothing was paused.") {
		t.Error("a reason that is none is taken")
	}
	if a := admin.follow(admin.post(system+"/email/stop", url.Values{"why": {"wrong_content"}})); !strings.Contains(a.body, "Paused") {
		t.Errorf("stopped: %d", a.StatusCode)
	}
	banner := viewer.get("/console/default/live/home").body
	if !strings.Contains(banner, "Sending email is paused") || !strings.Contains(banner, "Messages contain a mistake") {
		t.Error("others see no banner")
	}
	if strings.Contains(viewer.get("/console/default/test/home").body, "Sending email is paused") {
		t.Error("the other mode is said to be stopped")
	}
	if a := admin.follow(admin.post(system+"/email/stop", url.Values{"why": {"maintenance"}})); !strings.Contains(a.body, "Sending was already paused.") {
		t.Error("stopped twice")
	}
	if a := admin.follow(admin.post(system+"/email/resume", nil)); !strings.Contains(a.body, "Sending resumed") {
		t.Error("not resumed")
	}
	if lane := <-s.woken; lane.String() != "default/email/live" {
		t.Errorf("woke %s", lane)
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act IN ('sending_stopped', 'sending_resumed') AND livemode AND target = 'default/email/live'`); n != 2 {
		t.Errorf("%d entries in the audit log", n)
	}
}

func TestCountryIsPausedAndResumedByALead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lead := s.signedIn("lead", map[string]access.Role{"default": access.RoleLead})
	viewer := s.signedIn("viewer", map[string]access.Role{"default": access.RoleViewer})
	const pauses = "/console/default/live/pauses"
	for _, bad := range []url.Values{
		{"country": {""}, "why": {"pumping"}}, {"country": {"XX"}, "why": {"pumping"}}, {"prefix": {"447"}, "why": {"pumping"}},
		{"country": {"GB"}, "prefix": {"+447"}, "why": {"pumping"}}, {"country": {"GB"}, "why": {"whim"}},
	} {
		if a := lead.post(pauses, bad); a.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", bad, a.StatusCode)
		}
	}
	if a := lead.follow(lead.post(pauses, url.Values{"country": {"gb"}, "why": {"pumping"}})); !strings.Contains(a.body, "Text messages to GB") || !strings.Contains(a.body, "Paused.") {
		t.Errorf("paused: %d", a.StatusCode)
	}
	if banner := viewer.get("/console/default/live/home").body; !strings.Contains(banner, "Paused: Text messages to GB.") || !strings.Contains(banner, "Messages seem to be sent to earn money") {
		t.Error("others see no banner")
	}
	if strings.Contains(viewer.get("/console/default/test/home").body, "Text messages to GB") {
		t.Error("the other mode is said to be paused")
	}
	if a := lead.get("/console/default/live/home"); !strings.Contains(a.body, "New invites are refused; accepted messages wait until they are resumed.") || strings.Contains(a.body, "nothing is lost") {
		t.Error("the banner does not say that invites are refused")
	}
	if a := viewer.post(pauses+"/resume", url.Values{"scope": {"sms_country"}, "name": {"GB"}}); a.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer resumes: %d", a.StatusCode)
	}
	if a := lead.follow(lead.post(pauses+"/resume", url.Values{"scope": {"sms_country"}, "name": {"GB"}})); !strings.Contains(a.body, "Resumed.") || !strings.Contains(a.body, "Resumed lately") {
		t.Error("not resumed")
	}
	if lane := <-s.woken; lane.String() != "default/sms/live" {
		t.Errorf("woke %s", lane)
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act IN ('country_paused', 'country_resumed') AND livemode AND target = 'sms_country:GB'`); n != 2 {
		t.Errorf("%d entries in the audit log", n)
	}
}

func TestSettingsAreTheBrowsersOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn("pat", map[string]access.Role{"default": access.RoleViewer})
	a := b.post("/console/settings", url.Values{"theme": {"dark"}, "density": {"compact"}, "lang": {"ar"}, "back": {"/console/default/test/home"}})
	if a.location() != "/console/default/test/home" {
		t.Fatalf("sent to %q", a.location())
	}
	page := b.follow(a).body
	if !strings.Contains(page, `<html lang="ar" dir="rtl" data-theme="dark" data-density="compact" data-keys="off">`) || strings.Contains(page, "Saved for") {
		t.Errorf("the page: %.200s", page)
	}
	b.post("/console/settings", url.Values{"theme": {`"><script>`}, "density": {"x"}, "lang": {"xx"}, "keys": {"on"}})
	if page := b.get("/console/default/test/home").body; !strings.Contains(page, `<html lang="en" dir="ltr" data-theme="auto" data-density="comfortable" data-keys="on">`) {
		t.Errorf("after nonsense: %.200s", page)
	}
}

// Every filter in the query is answered, including unknown values.
func TestAnyFilterIsAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn("lead", map[string]access.Role{"default": access.RoleLead})
	for _, q := range []string{"?act=x&who=y", "?before=nonsense", "?since=2026-13-40&until=%00", "?target=%27%3B--", "?target=" + strings.Repeat("x", 4000),
		"?target=%F0%28%8C%28", "?target=%00&who=%00&act=%FF", "?since=2026-01-01&until=2026-12-31", "?target=" + invite.New[invite.ID]().String()} {
		if a := b.get("/console/default/test/audit" + q); a.StatusCode != http.StatusOK {
			t.Errorf("%.40s: %d", q, a.StatusCode)
		}
	}
}

// "Newer" once led to the newest page, wherever one stood.
func TestBugNewerInTheAuditLogIsTheNextNewerPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn("lead", map[string]access.Role{"default": access.RoleLead})
	by := access.Staff(invite.New[invite.StaffID]().String(), access.RoleAgent, invite.Place{Project: "default"})
	for i := range 220 {
		if err := postgres.InTx(t.Context(), s.db, func(tx pgx.Tx) error {
			return account.InsertAudit(t.Context(), tx, account.Entry{By: by, Act: access.ActUnmask, Target: fmt.Sprintf("nr-%d.", i)})
		}); err != nil {
			t.Fatal(err)
		}
	}
	number := regexp.MustCompile(`nr-(\d+)\.`)
	link := func(body, rel string) string {
		t.Helper()
		m := regexp.MustCompile(`href="([^"]+)" rel="` + rel + `"`).FindStringSubmatch(body)
		if m == nil {
			return ""
		}
		return html.UnescapeString(m[1])
	}
	step := func(body, rel string, newest int) string {
		t.Helper()
		to := link(body, rel)
		a := b.get(to)
		if m := number.FindStringSubmatch(a.body); m == nil || m[1] != strconv.Itoa(newest) {
			t.Fatalf("%s led by %q to a page that begins with %q, want %d", rel, to, m, newest)
		}
		if got := len(number.FindAllString(a.body, -1)); newest >= 50 && got != 50 {
			t.Errorf("a page of %d", got)
		}
		return a.body
	}
	page := b.get("/console/default/test/audit?act=unmask").body
	if link(page, "prev") != "" {
		t.Error("something is newer than the newest page")
	}
	for _, newest := range []int{169, 119, 69, 19} {
		page = step(page, "next", newest)
	}
	if link(page, "next") != "" {
		t.Error("something is older than the oldest page")
	}
	for _, newest := range []int{69, 119, 169, 219} {
		page = step(page, "prev", newest)
	}
	if to := link(page, "prev"); to != "" {
		t.Errorf("something is newer than the newest page: %s", to)
	}
	if to := link(page, "next"); !strings.Contains(to, "act=unmask") {
		t.Errorf("the filter is lost on the way: %s", to)
	}
}

// TestAFormWithAVersionThatCannotBeIsNoFailureOfOurs: a version past the
// database's integers, below one or no number counts as the oldest.
func TestAFormWithAVersionThatCannotBeIsNoFailureOfOurs(t *testing.T) {
	t.Parallel()
	s := newStock(t)
	s.bounced("user-101", "pat@customer.example", "Pat")
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent})
	home := "/console/default/test/invites/" + s.ids["user-101"].String()
	for _, version := range []string{"+999999999999999999999", "4294967296", "-1", "1e3", "x"} {
		for _, act := range []string{"/resend", "/revoke"} {
			a := robin.post(home+act, url.Values{"do": {"preview"}, "channel": {"email"}, "reason": {""}, "version": {version}})
			if a.StatusCode >= http.StatusInternalServerError {
				t.Errorf("%s with version %s: %d", act, version, a.StatusCode)
			}
		}
	}
}

// Codes of the log are told in words where the console has any.
func TestAuditEntriesNameRolesInWords(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	admin := w.signedIn("admin", map[string]access.Role{"*": access.RoleAdmin})
	log := admin.get("/console/default/test/audit").body
	if !strings.Contains(log, "Role in all projects: Admin") || strings.Contains(log, "role:*") {
		t.Error("the role is told as a code")
	}
}

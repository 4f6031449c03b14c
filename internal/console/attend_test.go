package console_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/attend"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// newAttended is a site with one invite, and its page's address.
func newAttended(t *testing.T) (s *stock, home string) {
	t.Helper()
	box := must[*seal.Box](t)(seal.NewBox(must[*seal.Keyset](t)(seal.NewKeyset())))
	s = &stock{newSiteOn(t, postgrestest.Pool(t), box, func(*console.Params) {}), box, map[string]invite.ID{}}
	s.add("plain", invite.Content{Recipient: invite.Recipient{Email: "pat@customer.example", Name: "Pat"}}, func(*ledger.New) {})
	return s, "/console/default/test/invites/" + s.ids["plain"].String()
}

func as(role access.Role) map[string]access.Role { return map[string]access.Role{"default": role} }

// isOn is what pages say of an owner.
func isOn(name string) string { return "Assigned to \u2068" + name + "\u2069" }

// staffID is the id of a person by their name.
func (s *site) staffID(name string) invite.StaffID {
	s.t.Helper()
	for _, k := range must[[]grant.Known](s.t)(s.staff.List(s.t.Context())) {
		if k.Person.Name == name {
			return k.ID
		}
	}
	s.t.Fatalf("there is no %s", name)
	return invite.StaffID{}
}

func TestOfTwoPeopleWhoTakeAnInviteOneIsTold(t *testing.T) {
	t.Parallel()
	s, home := newAttended(t)
	said := make(chan string, 2)
	for _, name := range []string{"robin", "sam"} {
		b := s.signedIn(name, as(access.RoleAgent))
		go func() { said <- name + ": " + b.follow(b.post(home+"/take", url.Values{"seen": {""}})).body }()
	}
	first, second := <-said, <-said
	if strings.Contains(second, "The invite is assigned to you.") {
		first, second = second, first
	}
	winner, _, _ := strings.Cut(first, ":")
	if !strings.Contains(first, "The invite is assigned to you.") || !strings.Contains(second, "Nothing was changed: the invite is already assigned to \u2068"+winner+"\u2069.") || strings.Contains(second, "The invite is assigned to you.") {
		t.Errorf("one is told %q, the other %q", first, second)
	}
	if n := s.count(`SELECT count(*) FROM invite_owners`); n != 1 {
		t.Errorf("%d owners", n)
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act = 'take' AND actor = $1`, "staff:"+s.staffID(winner).String()); n != 1 || s.count(`SELECT count(*) FROM audit WHERE act LIKE 'take%'`) != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
}

func TestAnInviteHasAnOwnerUntilTheyLetItGoOrTheirAccessEnds(t *testing.T) {
	t.Parallel()
	s, home := newAttended(t)
	s.add("other", invite.Content{}, func(*ledger.New) {})
	const list = "/console/default/test/invites"
	robin, sam := s.signedIn("robin", as(access.RoleAgent)), s.signedIn("sam", as(access.RoleAgent))
	lead, viewer := s.signedIn("lead", as(access.RoleLead)), s.signedIn("viewer", as(access.RoleViewer))
	seen := func(name string) url.Values { return url.Values{"seen": {s.staffID(name).String()}} }
	robin.post(home+"/take", nil)
	for path, want := range map[string]string{home: isOn("robin"), list: isOn("robin"), list + "?owner=me": "No matching invites"} {
		if a := viewer.get(path); !strings.Contains(a.body, want) || strings.Contains(a.body, "/take") {
			t.Errorf("a viewer at %s: no %q, or a form", path, want)
		}
	}
	mine := robin.get(list + "?owner=me").body
	if !strings.Contains(mine, "Assigned to you") || !strings.Contains(mine, s.ids["plain"].String()) || strings.Contains(mine, s.ids["other"].String()) || !strings.Contains(mine, `owner=me" aria-current="true">Mine`) {
		t.Error("the list of one's own is wrong")
	}
	if a := robin.get(list + "?owner=me&app=notion"); !strings.Contains(a.body, "No matching invites") {
		t.Error("a second filter does not narrow")
	}
	if a := robin.get(list + "?owner=" + s.staffID("sam").String()); strings.Contains(a.body, "No matching invites") {
		t.Error("a word that is none filters")
	}
	// Other agents may not take it over, even if their form names the owner; leads may, if their page showed that owner.
	for name, a := range map[string]answer{
		"an agent takes":           sam.follow(sam.post(home+"/take", seen("robin"))),
		"an agent lets go":         sam.follow(sam.post(home+"/let-go", seen("robin"))),
		"a lead, from an old page": lead.follow(lead.post(home+"/take", seen("sam"))),
		"a lead who saw no owner":  lead.follow(lead.post(home+"/take", nil)),
	} {
		if !strings.Contains(a.body, "Nothing was changed: the invite is already assigned to \u2068robin\u2069.") {
			t.Errorf("%s: it was done", name)
		}
	}
	if strings.Contains(sam.get(home).body, "/take") || !strings.Contains(lead.get(home).body, "Take over") {
		t.Error("the buttons are not the roles'")
	}
	if a := lead.follow(lead.post(home+"/take", seen("robin"))); !strings.Contains(a.body, "The invite is assigned to you.") {
		t.Error("a lead cannot take over")
	}
	if a := robin.get(home); !strings.Contains(a.body, isOn("lead")) {
		t.Error("the former owner sees another one")
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act = 'take_over' AND data->>'from' = $1`, s.staffID("robin").String()); n != 1 {
		t.Errorf("%d entries of taking over", n)
	}
	lead.post(home+"/let-go", nil)
	if a := sam.follow(sam.post(home+"/take", seen("lead"))); !strings.Contains(a.body, "The invite is assigned to you.") {
		t.Error("an invite without an owner cannot be taken from an old page")
	}
	// Who lost the role, or the account, is on nothing.
	s.exec(`UPDATE staff_roles SET role = 'viewer' WHERE staff_id = $1`, s.staffID("sam"))
	if a := robin.get(home); strings.Contains(a.body, "Assigned to") || !strings.Contains(a.body, "Assign to me") {
		t.Error("a viewer is on it")
	}
	s.exec(`UPDATE staff_roles SET role = 'agent' WHERE staff_id = $1`, s.staffID("sam"))
	must[bool](t)(s.staff.SetDisabled(t.Context(), access.Principal{Kind: access.KindSystem}, s.staffID("sam"), true))
	must[bool](t)(s.staff.SetDisabled(t.Context(), access.Principal{Kind: access.KindSystem}, s.staffID("sam"), false))
	if a := robin.get(home); strings.Contains(a.body, "Assigned to") {
		t.Error("an account that had ended is on it")
	}
}

func TestNotesAreForColleaguesOnly(t *testing.T) {
	t.Parallel()
	s, home := newAttended(t)
	robin, sam, lead := s.signedIn("robin", as(access.RoleAgent)), s.signedIn("sam", as(access.RoleAgent)), s.signedIn("lead", as(access.RoleLead))
	viewer := s.signedIn("viewer", as(access.RoleViewer))
	const hostile = "zebra <script>alert(1)</script>\r\n\u202emoc.live {{.Home}} pat@customer.example"
	for name, text := range map[string]string{"empty": " \r\n\u200b ", "long": strings.Repeat("é", attend.MaxNote+1)} {
		a := robin.post(home+"/notes", url.Values{"text": {text}})
		if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, `href="#text"`) || !strings.Contains(a.body, `aria-invalid="true"`) {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
		if name == "long" && !strings.Contains(a.body, text) {
			t.Error("what was typed is gone")
		}
	}
	for _, text := range []string{strings.Repeat("é", attend.MaxNote), hostile} {
		if a := robin.follow(robin.post(home+"/notes", url.Values{"text": {text}})); !strings.Contains(a.body, "The note is saved.") {
			t.Errorf("%d characters are refused", len([]rune(text)))
		}
	}
	page := viewer.get(home).body
	if strings.Contains(page, "<script>alert") || !strings.Contains(page, "zebra &lt;script&gt;") || strings.Contains(page, "\u202e") || strings.Contains(page, "pat@customer.example") ||
		strings.Index(page, "zebra") > strings.Index(page, "ééé") || strings.Contains(page, `name="text"`) {
		t.Error("a viewer's page has the note as markup, unmasked, in the wrong order, or a form")
	}
	if a := sam.follow(sam.post(home+"/unmask", nil)); !strings.Contains(a.body, "moc.live {{.Home}} pat@customer.example") {
		t.Error("who unmasked the recipient reads masked notes")
	}
	// Stored sealed, and nowhere else.
	for _, sql := range []string{
		`SELECT count(*) FROM invite_notes WHERE position('zebra'::bytea IN text) > 0`,
		`SELECT count(*) FROM events e WHERE e::text LIKE '%zebra%' OR type LIKE '%note%'`, `SELECT count(*) FROM audit a WHERE a::text LIKE '%zebra%'`,
		`SELECT count(*) FROM staff_sessions x WHERE x::text LIKE '%zebra%'`,
	} {
		if s.count(sql) != 0 {
			t.Errorf("a note is where it should not be: %s", sql)
		}
	}
	if strings.Contains(s.log.String(), "zebra") {
		t.Error("the log has a note")
	}
	if a := sam.follow(sam.post("/console/default/test/search", url.Values{"q": {"zebra"}})); strings.Contains(a.body, s.ids["plain"].String()) {
		t.Error("a search looks into notes")
	}
	remove := regexp.MustCompile(`/notes/nte_[0-9a-v]{26}/delete`)
	at := strings.TrimSuffix(home, "/") + remove.FindString(robin.get(home).body)
	if strings.Contains(sam.get(home).body, "/delete") {
		t.Error("an agent is offered to delete a colleague's note")
	}
	if a := sam.follow(sam.post(at, nil)); !strings.Contains(a.body, "a lead can delete") {
		t.Error("an agent deleted a colleague's note")
	}
	if a := lead.follow(lead.post(at, nil)); !strings.Contains(a.body, "The note is deleted.") || strings.Contains(a.body, "zebra") {
		t.Error("a lead cannot delete it")
	}
	if a := robin.follow(robin.post(at, nil)); !strings.Contains(a.body, "deleted already") {
		t.Error("it is deleted twice")
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act IN ('note', 'delete_note') AND invite_id = $1`, s.ids["plain"]); n != 3 {
		t.Errorf("%d entries in the audit log", n)
	}
}

func TestNotesAreExportedAndErased(t *testing.T) {
	t.Parallel()
	s, home := newAttended(t)
	robin := s.signedIn("robin", as(access.RoleAgent))
	write := func() answer { return robin.follow(robin.post(home+"/notes", url.Values{"text": {"call Pat"}})) }
	write()
	by := access.System(invite.Place{Project: "default"})
	service := must[*erase.Service](t)(erase.New(erasing(s.db, s.box)))
	var out strings.Builder
	export := must[erase.Export](t)(service.Export(t.Context(), by, "plain"))
	if err := export.Write(t.Context(), &out); err != nil || !strings.Contains(out.String(), `"text":"call Pat"`) {
		t.Errorf("the export: %v %s", err, out.String())
	}
	must[erase.Erased](t)(service.Erase(t.Context(), by, "plain", "asked"))
	if a := write(); s.count(`SELECT count(*) FROM invite_notes`) != 0 || !strings.Contains(html.UnescapeString(a.body), "personal data of this invite was erased") {
		t.Error("a note is left, or was written after the erasure")
	}
	// What ends an invite ends its notes and its owner.
	s.add("second", invite.Content{}, func(*ledger.New) {})
	home = "/console/default/test/invites/" + s.ids["second"].String()
	write()
	robin.post(home+"/take", nil)
	s.exec(`DELETE FROM invites`)
	if n := s.count(`SELECT (SELECT count(*) FROM invite_notes) + (SELECT count(*) FROM invite_owners)`); n != 0 {
		t.Errorf("%d rows outlive their invite", n)
	}
}

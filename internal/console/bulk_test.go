package console_test

import (
	"bytes"
	"fmt"
	"html"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
)

// office is a stock with the background work of bulk actions.
type office struct {
	*stock
	work *issue.Service
}

const (
	invitesPath = "/console/default/test/invites"
	bulkPath    = "/console/default/test/bulk"
)

// newOffice has n invites to one customer whose mail came back, of user-0 and so on.
func newOffice(t *testing.T, n int) *office {
	t.Helper()
	box := must[*seal.Box](t)(seal.NewBox(must[*seal.Keyset](t)(seal.NewKeyset())))
	o := &office{}
	o.stock = &stock{newSiteOn(t, postgrestest.Pool(t), box, func(p *console.Params) { o.work = p.Invites }), box, map[string]invite.ID{}}
	for i := range n {
		o.bounced(fmt.Sprintf("user-%d", i), fmt.Sprintf("bounced+%d@customer.test", i), "Pat")
	}
	return o
}

func (o *office) as(role access.Role) *browser { return o.stock.as(string(role), role) }

// run does the background work that is due.
func (o *office) run() int {
	o.t.Helper()
	n, err := o.work.RunBulk(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	return n
}

// text is a page without markup.
func (a answer) text() string {
	_, main, _ := strings.Cut(a.body, `<main`)
	main, _, _ = strings.Cut(main, "</main>")
	return strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(main, " "))), " ")
}

func (o *office) shows(a answer, want ...string) {
	o.t.Helper()
	for _, w := range want {
		if !strings.Contains(a.text(), w) {
			o.t.Errorf("%s (%d) lacks %q:\n%s", a.Request.URL.Path, a.StatusCode, w, a.text())
		}
	}
}

// The ticket "all of one customer's invites bounced", from the search on: the confirmation changes
// the invites of the dry run, and the report has the result of each.
func TestManyInvitesOfOneCustomerAreChangedAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t, 50)
	robin := o.as(access.RoleAgent)
	list := robin.find("customer.test") // 1: type, 2: search
	o.shows(list, "1–25 of 50", "All 50 that match", "This page (25)", "Revoke…", "Correct by CSV…")
	if n := strings.Count(list.body, `form="bulk"`); n != 25 {
		t.Errorf("%d rows can be ticked", n)
	}
	form := regexp.MustCompile(`id="bulk" method="post" action="([^"]+)"`).FindStringSubmatch(list.body)
	plan := robin.post(html.UnescapeString(form[1]), url.Values{"scope": {"all"}, "act": {"revoke"}}) // 3: all, 4: the action
	home, of, _ := strings.Cut(plan.location(), "?")
	dry := robin.follow(plan)
	o.shows(dry, "Dry run: nothing was sent or changed yet", "50 invites will be changed", "All matches of a search", "This cannot be undone.", "Revoke 50 invites")
	if n := o.count(`SELECT count(*) FROM invites WHERE status = 'revoked'`); n != 0 {
		t.Fatalf("the dry run revoked %d invites", n)
	}
	// One more bounces, and one is revoked by a colleague, before the confirmation.
	o.bounced("late", "bounced+late@customer.test", "Pat")
	colleague := o.as(access.RoleLead)
	colleague.post(invitesPath+"/"+o.ids["user-7"].String()+"/revoke", url.Values{"version": {"1"}})
	// The way back leads to the search, from every page of the act.
	back := `<a class="back" href="/console/default/test/search?` + of + `">`
	if !strings.HasPrefix(of, "of=") || !strings.Contains(dry.body, back) || !strings.Contains(dry.body, `action="`+home+`/confirm?`+of+`"`) {
		t.Errorf("the dry run does not lead back to the search: %s", of)
	}
	done := robin.follow(robin.post(home+"/confirm?"+of, nil)) // 5: confirm
	if !strings.Contains(done.body, back) || !strings.Contains(done.body, home+"?"+of+"&amp;state=") {
		t.Error("the running act does not lead back to the search")
	}
	o.shows(done, "Started.", "In progress", "0 of 50", "Stop")
	if !strings.Contains(done.body, `data-poll="3"`) {
		t.Error("the page of running work does not follow it")
	}
	if n := o.run(); n != 50 {
		t.Errorf("%d of 50 items are over", n)
	}
	report := robin.get(home)
	o.shows(report, "Finished", "50 of 50", "Done 49", "Left out 1", "1 · Already revoked", "All matches of a search · agent")
	if strings.Contains(report.body, "data-poll") || !strings.Contains(report.body, invitesPath+"/"+o.ids["user-49"].String()) {
		t.Error("the report goes on, or leads to no invite")
	}
	o.shows(robin.get(home+"?state=left_out"), "user-7", "Already revoked")
	if strings.Contains(robin.get(home+"?state=left_out").body, o.ids["user-8"].String()) {
		t.Error("the report of those left out shows others")
	}
	o.shows(robin.get(invitesPath+"/"+o.ids["user-3"].String()), "part of a bulk action")
	if n := o.count(`SELECT count(*) FROM invites WHERE status = 'revoked'`); n != 50 || o.count(`SELECT count(*) FROM invites WHERE id = $1 AND status = 'revoked'`, o.ids["late"]) != 0 {
		t.Errorf("%d invites are revoked", n)
	}
	// Leads read who did it, and take the report along.
	o.shows(colleague.get("/console/default/test/audit?act=bulk"), "agent Changed many invites", "act revoke, invites 50, left_out 0, selection search")
	o.shows(colleague.get(invitesPath+"/"+o.ids["user-3"].String()), "A colleague revoked it")
	if n := o.count(`SELECT count(*) FROM audit WHERE act = 'revoke'`); n != 1 {
		t.Errorf("%d single acts are in the audit log, want the colleague's", n)
	}
	rows := exported(t, colleague.get(home+"/export?format=csv"))
	if got := column(rows, "result"); len(rows) != 50 || len(slices.DeleteFunc(got, func(r string) bool { return r == "done" })) != 1 {
		t.Errorf("the report has %d rows, and %v", len(rows), got)
	}
	if rows[0]["line"] != "1" || rows[0]["recipient"] != "bo••••@customer.test" || !slices.Contains(column(rows, "result_reason"), "revoked") {
		t.Errorf("the first row is %v", rows[0])
	}
	if a := robin.get(home + "/export?format=csv"); a.StatusCode != http.StatusForbidden {
		t.Errorf("an agent exports: %d", a.StatusCode)
	}
	o.shows(robin.get(bulkPath), "Revoke invites", "50", "Finished")
}

// The filter of the list narrows what "all" means, and the audit log has its values only
// where they belong to no person.
func TestBulkActionIsAboutTheInvitesThatWereSelected(t *testing.T) {
	t.Parallel()
	o := newOffice(t, 30)
	o.bounced("elsewhere", "bounced@other.test", "Kim")
	o.exec(`UPDATE invites SET status = 'connected' WHERE id = $1`, o.ids["user-1"])
	o.exec(`UPDATE invites SET status = 'scheduled' WHERE id = $1`, o.ids["user-2"])
	o.exec(`UPDATE deliveries SET status = 'delivered' WHERE invite_id = $1`, o.ids["user-3"])
	robin := o.as(access.RoleAgent)
	for name, c := range map[string]struct {
		query string
		form  url.Values
		shows []string
	}{
		"all of a filter": {"?domain=customer.test", url.Values{"scope": {"all"}, "act": {"resend"}}, []string{
			"27 invites will be changed", "3 left out", "1 · Already connected", "1 · Scheduled, not sent yet", "1 · A message was sent a moment ago",
			"27 addresses did not take the last message", "27 emails", "All matches of the filter: domain", "Resend 27 invites",
		}},
		"a page":           {"", url.Values{"scope": {"page"}, "page": {o.ids["user-4"].String() + " " + o.ids["elsewhere"].String() + " inv_x"}, "act": {"revoke"}}, []string{"2 invites will be changed", "A page of the list"}},
		"ticked ones":      {"", url.Values{"id": {o.ids["user-4"].String()}, "act": {"to_sms"}}, []string{"0 invites will be changed", "1 · No address for this channel"}},
		"to their channel": {"", url.Values{"id": {o.ids["user-4"].String()}, "act": {"to_email"}}, []string{"1 · The last message used this channel"}},
		"another status":   {"?status=connected", url.Values{"scope": {"all"}, "act": {"revoke"}}, []string{"0 invites will be changed", "1 · Already connected", "status=connected"}},
		"none":             {"?status=connected", url.Values{"act": {"revoke"}}, []string{"Nothing was done. Select at least one invite.", "1–1 of 1"}},
		"no action":        {"", url.Values{"scope": {"all"}, "act": {"erase"}}, []string{"Nothing was done. Choose an action."}},
	} {
		a := robin.follow(robin.post(bulkPath+c.query, c.form))
		if back := `href="` + invitesPath + c.query + `"`; strings.Contains(a.body, "Dry run") && !strings.Contains(a.body, back) {
			t.Errorf("%s: no way back by %s", name, back)
		}
		for _, w := range c.shows {
			if !strings.Contains(a.text(), w) {
				t.Errorf("%s lacks %q:\n%s", name, w, a.text())
			}
		}
	}
	// What can change nothing cannot be confirmed.
	empty := robin.post(bulkPath, url.Values{"id": {o.ids["user-1"].String()}, "act": {"revoke"}}).location()
	if strings.Contains(robin.get(empty).body, "/confirm") {
		t.Error("an action without an invite to change can be confirmed")
	}
	o.shows(robin.follow(robin.post(empty+"/confirm", nil)), "Nothing was done.")
}

func TestBulkActionsAreBoundedByRoleAndPlace(t *testing.T) {
	t.Parallel()
	o := newOffice(t, issue.MaxBulkAgent+1)
	agent, lead, viewer := o.as(access.RoleAgent), o.as(access.RoleLead), o.as(access.RoleViewer)
	stranger := o.signedIn("stranger", map[string]access.Role{"other": access.RoleAdmin})
	all := url.Values{"scope": {"all"}, "act": {"revoke"}}
	o.shows(agent.follow(agent.post(bulkPath+"?status=failed", all)), "You can change at most 100 invites at once", "1–25 of 101")
	if page := viewer.get(invitesPath).body; strings.Contains(page, `id="bulk"`) || strings.Contains(page, `form="bulk"`) {
		t.Error("a viewer is offered what the role may not do")
	}
	if a := viewer.post(bulkPath, all); a.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer: %d", a.StatusCode)
	}
	home := lead.post(bulkPath, all).location()
	o.shows(lead.get(home), "101 invites will be changed")
	// Only its planner confirms an action, and agents confirm none beyond their maximum.
	o.shows(agent.get(home), "Only the person who made this dry run can confirm it.")
	o.shows(agent.follow(agent.post(home+"/confirm", nil)), "Your role does not allow this.")
	id := home[strings.LastIndexByte(home, '/'):]
	for _, place := range []string{"/console/other/test/bulk", "/console/other/live/bulk"} {
		for _, a := range []answer{stranger.get(place + id), stranger.post(place+id+"/confirm", nil), stranger.post(place+id+"/stop", nil), stranger.get(place + id + "/export?format=csv")} {
			if a.StatusCode != http.StatusNotFound {
				t.Errorf("%s in another place: %d", a.Request.URL.Path, a.StatusCode)
			}
		}
		if strings.Contains(stranger.get(place).body, id) {
			t.Error("the list shows an action of another project")
		}
	}
	if a := lead.get("/console/default/live/bulk" + id); a.StatusCode != http.StatusNotFound {
		t.Errorf("in the other mode: %d", a.StatusCode)
	}
	// Ids of another place select nothing.
	o.exec(`UPDATE invites SET project_id = 'other' WHERE id = $1`, o.ids["user-0"])
	o.shows(lead.follow(lead.post(bulkPath, url.Values{"id": {o.ids["user-0"].String()}, "act": {"revoke"}})), "Select at least one invite.")
	if n := o.count(`SELECT count(*) FROM invites WHERE status = 'revoked'`); n != 0 {
		t.Errorf("%d invites are revoked", n)
	}
	// Stopped before it begins, it changes nothing; once it is over it cannot be stopped.
	o.shows(lead.follow(lead.post(home+"/confirm", nil)), "In progress")
	o.shows(agent.follow(agent.post(home+"/stop", nil)), "Stopped. Invites that were not begun stay as they are.", "Not begun 101")
	o.shows(agent.follow(agent.post(home+"/stop", nil)), "The action is over")
	if n := o.run(); n != 0 || o.count(`SELECT count(*) FROM invites WHERE status = 'revoked'`) != 0 {
		t.Errorf("after the stop %d items were done", n)
	}
	o.shows(lead.get("/console/default/test/audit"), "agent Stopped a change of many invites")
}

// upload sends a file as a browser does.
func (b *browser) upload(address, file string) answer {
	b.s.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part := must[interface{ Write([]byte) (int, error) }](b.s.t)(w.CreateFormFile("file", "corrections.csv"))
	must[int](b.s.t)(part.Write([]byte(file)))
	if err := w.WriteField("text", ""); err != nil {
		b.s.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.s.t.Fatal(err)
	}
	return b.send(http.MethodPost, address, w.FormDataContentType(), &body)
}

func TestFileOfCorrectionsShowsAllItsFaultsAndLosesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t, 3)
	robin := o.as(access.RoleAgent)
	file := "user id,address\nuser-0,bounced+00@connectlink.test\nuser-1,<b>x</b>\n=cmd|'/c calc'!A0,bounced@connectlink.test\nuser-9,bounced@connectlink.test\nuser-0,bounced+1@connectlink.test\n"
	a := robin.upload(bulkPath+"/correct", file)
	o.shows(a, "Line 3: the second value is neither", "Line 4: no invite here", "Line 5: no invite here", "Line 6: line 2 corrects the same invite.")
	if a.StatusCode != http.StatusUnprocessableEntity || strings.Contains(a.body, "<b>x</b>") {
		t.Errorf("%d, or the file is markup", a.StatusCode)
	}
	_, kept, _ := strings.Cut(a.body, "<textarea")
	if kept = html.UnescapeString(kept[strings.IndexByte(kept, '>')+1 : strings.Index(kept, "</textarea>")]); kept != file {
		t.Errorf("the form keeps %q", kept)
	}
	if n := o.count(`SELECT count(*) FROM bulk_acts`); n != 0 {
		t.Errorf("a file with faults made %d dry runs", n)
	}
	for text, want := range map[string]string{
		"": "Choose a file, or paste its lines.",
		strings.Repeat("user-0,bounced@connectlink.test\n", issue.MaxBulkAgent+1): "The file has more than 100 lines.",
		strings.Repeat("x", issue.MaxCorrections+1):                               "The file is too large.",
		"user-0,\xff": "The file is not UTF-8 text.",
	} {
		if a := robin.upload(bulkPath+"/correct", text); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.text(), want) {
			t.Errorf("%.40q: %d lacks %q", text, a.StatusCode, want)
		}
	}
	// The old address, a user's id and an invite's id.
	home := robin.post(bulkPath+"/correct", url.Values{"text": {"bounced+0@customer.test; bounced+01@customer.test\r\nuser-1; someone.else@gmial.com\r\n" + o.ids["user-2"].String() + "; bounced+2@customer.test"}})
	o.shows(robin.follow(home), "2 invites will be changed", "1 · The address is the same as before", "1 new address has a domain that looks mistyped.", "Lines: 2")
	home = robin.post(bulkPath+"/correct", url.Values{"text": {"bounced+0@customer.test; bounced+01@connectlink.test\r\nuser-1; delivered+else@connectlink.test\r\n" + o.ids["user-2"].String() + "; bounced+2@connectlink.test"}})
	dry := robin.follow(home)
	o.shows(dry, "3 invites will be changed", "A file of corrections", "3 emails", "The old links stop working.", "Correct 3 invites and resend", "3 new addresses are different mailboxes", "Lines: 1, 2, 3")
	if strings.Contains(dry.body, "delivered+else") {
		t.Error("the dry run shows an address in clear")
	}
	if n := o.count(`SELECT count(*) FROM bulk_items WHERE address IS NOT NULL AND position('connectlink'::bytea IN address) = 0`); n != 5 {
		t.Errorf("%d addresses are sealed", n)
	}
}

// A search lists its newest matches only: so does the choice of all of them, and says so.
func TestASearchSaysHowManyOfItsMatchesAreSelected(t *testing.T) {
	t.Parallel()
	o := newOffice(t, find.MaxHits+1)
	o.shows(o.as(access.RoleLead).find("customer.test"), "The newest 1,000 matches")
}

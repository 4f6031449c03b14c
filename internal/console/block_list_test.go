package console_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/erase"
)

const blocksPath = "/console/default/test/blocks"

func TestASuppressionIsFoundByItsAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	viewer, agent := s.signedIn("viewer", map[string]access.Role{"default": access.RoleViewer}), s.signedIn("agent", map[string]access.Role{"default": access.RoleAgent})
	for _, address := range []string{"pat@customer.example", "+12025550100"} {
		if a := agent.post(blocksPath, url.Values{"address": {address}, "reason": {"asked on the phone"}}); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %d", address, a.StatusCode)
		}
	}
	for text, says := range map[string]string{
		" Pat@customer.example ": "Blocked manually", "+1 (202) 555-0100": "Blocked manually",
		"kim@customer.example": "Messages can be sent to this address.", "pat": "not a valid email address",
	} {
		a := viewer.post(blocksPath+"/find", url.Values{"find": {text}})
		if !strings.Contains(a.body, says) {
			t.Errorf("%q: %d without %q", text, a.StatusCode, says)
		}
		if n := strings.Count(a.body, "asked on the phone"); says == "Blocked manually" && n != 1 || strings.HasPrefix(says, "Messages") && n != 0 {
			t.Errorf("%q: %d rows", text, n)
		}
	}
	// The search of all pages knows of an address without any invite too.
	if a := viewer.follow(viewer.post("/console/default/test/search", url.Values{"q": {"pat@customer.example"}})); !strings.Contains(a.body, "This address is suppressed") {
		t.Error("the search does not name the suppression")
	}
	if a := s.signedIn("else", map[string]access.Role{"other": access.RoleLead}).post("/console/other/test/blocks/find", url.Values{"find": {"pat@customer.example"}}); !strings.Contains(a.body, "Not suppressed") {
		t.Error("another project sees it")
	}
	if strings.Contains(s.log.String(), "customer.example") {
		t.Error("the log holds the address")
	}
}

func TestAListOfAddressesIsBlockedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lead := s.signedIn("lead", map[string]access.Role{"default": access.RoleLead})
	reason := "from our earlier provider"
	list := "\ufeffemail,created,reason\npat@customer.example,1700000000,\"550 no such user, sorry\"\n\n+1 (202) 555-0100\nPAT@customer.example\r\nkim@customer.example\n"
	wrong := list + "not an address\n=HYPERLINK(1)\n"
	a := lead.post(blocksPath+"/import", url.Values{"list": {wrong}, "import_reason": {""}})
	body := html.UnescapeString(a.body)
	if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "Enter a reason") || !strings.Contains(body, "not an address\n=HYPERLINK(1)") {
		t.Errorf("without a reason: %d", a.StatusCode)
	}
	a = lead.post(blocksPath+"/import", url.Values{"list": {wrong}, "import_reason": {reason}})
	body = html.UnescapeString(a.body)
	if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "Line 7: “not an address”") || !strings.Contains(body, "Line 8: “=HYPERLINK(1)”") {
		t.Errorf("%d\n%s", a.StatusCode, mainOf(a.body))
	}
	if n := s.count(`SELECT count(*) FROM suppressions`); n != 0 {
		t.Fatalf("%d were blocked nevertheless", n)
	}
	lead.post(blocksPath, url.Values{"address": {"kim@customer.example"}, "reason": {"earlier"}})
	if a := lead.follow(lead.post(blocksPath+"/import", url.Values{"list": {list}, "import_reason": {reason}})); !strings.Contains(a.body, "2 addresses are suppressed. 1 was suppressed before.") {
		t.Errorf("%s", mainOf(a.body))
	}
	if n := s.count(`SELECT count(*) FROM suppressions WHERE project_id = 'default' AND NOT livemode AND kind = 'by_hand'`); n != 3 {
		t.Errorf("%d suppressions", n)
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act = 'block_many' AND data->>'added' = '2'`); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	long := strings.Repeat("pat@customer.example\n", 1001)
	if a := lead.post(blocksPath+"/import", url.Values{"list": {long}, "import_reason": {reason}}); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, "at most 1,000") {
		t.Errorf("1001 lines: %d", a.StatusCode)
	}
	if a := lead.post(blocksPath+"/import", url.Values{"list": {strings.Repeat("x\n", 50)}, "import_reason": {reason}}); !strings.Contains(a.body, "30 more lines are not addresses.") {
		t.Errorf("50 faults: %d", a.StatusCode)
	}
}

func TestThePersonPageCountsBeforeErasingAndIsAReceiptAfter(t *testing.T) {
	t.Parallel()
	w := newWard(t, func(p *console.Params) {
		p.Erasing = must[*erase.Service](t)(erase.New(erasing(p.DB.(*pgxpool.Pool), p.Box)))
	})
	lead, agent := w.signedIn("lead", map[string]access.Role{"default": access.RoleLead}), w.signedIn("agent", map[string]access.Role{"default": access.RoleAgent})
	id, _ := w.invited("pat@customer.example")
	user := "user-" + id.String()
	page := "/console/default/test/people/" + id.String()
	before := lead.get(page).body
	for _, says := range []string{"Open invites that end</dt><dd>1<", "Connected accounts, which stay at Pipedream</dt><dd>0<", "Invites</dt><dd>1<"} {
		if !strings.Contains(before, says) {
			t.Errorf("before: without %q", says)
		}
	}
	if strings.Contains(before, "Receipt") || strings.Contains(agent.get(page).body, "Open invites that end") {
		t.Error("a receipt before the erasure, or the form for an agent")
	}
	after := lead.follow(lead.post(page+"/erase", url.Values{"reason": {"asked for"}}))
	for _, says := range []string{"Erased from 1 invite.", "Receipt of the erasure", "Invites</dt><dd>1<", "Erasures in the audit log"} {
		if !strings.Contains(after.body, says) {
			t.Errorf("after: %d without %q", after.StatusCode, says)
		}
	}
	for _, gone := range []string{"customer.example", user, "Erase for good"} {
		if strings.Contains(after.body, gone) {
			t.Errorf("after: with %q", gone)
		}
	}
	var mark string
	if err := w.db.QueryRow(t.Context(), `SELECT external_user_id FROM invites WHERE id = $1`, id).Scan(&mark); err != nil || !strings.Contains(after.body, erase.Reference(mark)) {
		t.Errorf("the reference of %q is missing: %v", mark, err)
	}
	if a := agent.get(page); !strings.Contains(a.body, "Receipt of the erasure") || strings.Contains(a.body, "Erasures in the audit log") {
		t.Error("an agent sees no receipt, or a link that is not for them")
	}
}

// A recipient saw the name of another company: their link is of another project or mode than the one the
// colleague looks at.
func TestALinkOfAnotherProjectLeadsThosePeopleThereWhoHaveARole(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	id, _ := w.invited("pat@customer.example")
	const ofOther = "/console/other/live/search"
	both := w.signedIn("both", map[string]access.Role{"default": access.RoleViewer, "other": access.RoleViewer})
	a := both.follow(both.post(ofOther, url.Values{"q": {id.String()}}))
	if !strings.Contains(a.body, "In another project or mode") || !strings.Contains(a.body, `href="/console/default/test/invites/`+id.String()+`"`) || !strings.Contains(a.body, "Northwind") {
		t.Errorf("with a role in both: %s", mainOf(a.body))
	}
	if a := both.follow(both.post(ofOther, url.Values{"q": {"pat@customer.example"}})); strings.Contains(a.body, "In another project") {
		t.Error("an address is looked for elsewhere")
	}
	one := w.signedIn("one", map[string]access.Role{"other": access.RoleAdmin})
	if a := one.follow(one.post(ofOther, url.Values{"q": {id.String()}})); strings.Contains(a.body, "In another project") || strings.Contains(a.body, "Northwind") {
		t.Error("a person without a role there is told of the project")
	}
}

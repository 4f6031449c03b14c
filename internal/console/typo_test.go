package console_test

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// newStock is a site without an invite yet.
func newStock(t *testing.T) *stock {
	t.Helper()
	box := must[*seal.Box](t)(seal.NewBox(must[*seal.Keyset](t)(seal.NewKeyset())))
	return &stock{newSiteOn(t, postgrestest.Pool(t), box, func(*console.Params) {}), box, map[string]invite.ID{}}
}

// bounced adds an invite whose mail came back; it goes by the user's id.
func (s *stock) bounced(user, email, name string) {
	s.t.Helper()
	s.add(user, invite.Content{Recipient: invite.Recipient{Email: email, Name: name}, Inviter: "Sam Rivera"}, func(r *ledger.New) {
		r.Delivery = &ledger.Delivery{ID: invite.New[invite.DeliveryID](), Number: 1, Channel: invite.Email, Kind: "first", Lane: invite.Place{Project: "default"}.Lane(invite.Email)}
	})
	s.exec(`UPDATE deliveries SET status = 'bounced', reason = 'address_not_found' WHERE invite_id = $1`, s.ids[user])
	s.exec(`UPDATE invites SET status = 'failed' WHERE id = $1`, s.ids[user])
}

// find searches as the form in the head of the page does.
func (b *browser) find(text string) answer {
	b.s.t.Helper()
	return b.follow(b.post("/console/default/test/search", url.Values{"q": {text}}))
}

// patAmongOthers is finding A: a slip before the @, and fifty others who bounced
// at the same domain later.
func patAmongOthers(t *testing.T) *stock {
	t.Helper()
	s := newStock(t)
	s.bounced("user-101", "bounced+patmiler@connectlink.test", "Pat Miller")
	for i := range 50 {
		s.bounced(fmt.Sprintf("user-%d", 150+i), fmt.Sprintf("bounced+bulk%d@connectlink.test", i), fmt.Sprintf("Bulk User%d", i))
	}
	return s
}

const rightAddress = "bounced+patmiller@connectlink.test"

func TestConsoleAAMisspeltAddressFindsTheRightInviteFirst(t *testing.T) {
	t.Parallel()
	s := patAmongOthers(t)
	page := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent}).find(rightAddress).body
	first := strings.Index(page, "<tr data-row>")
	folded := strings.Index(page, "Others at the same domain")
	if first < 0 || folded < first {
		t.Fatalf("no row, or those of the same domain stand before it:\n%s", page)
	}
	row := html.UnescapeString(page[first : first+strings.Index(page[first:], "</tr>")])
	for _, want := range []string{"user-101", s.ids["user-101"].String(), "One letter differs:", "bounced+patmi<mark>l</mark>ler@connectlink.test"} {
		if !strings.Contains(row, want) {
			t.Errorf("the first row lacks %q:\n%s", want, row)
		}
	}
	if n := strings.Count(page[first:folded], "<tr data-row>"); n != 1 {
		t.Errorf("%d rows stand before those of the same domain, want the one", n)
	}
	if !strings.Contains(page, "43 more at this domain") {
		t.Error("nothing says how many others are at this domain")
	}
}

// A viewer may not see addresses, and guesses must not tell them either.
func TestConsoleAAViewerIsNotToldHowNearAnAddressIs(t *testing.T) {
	t.Parallel()
	s := patAmongOthers(t)
	page := s.signedIn("Vic", map[string]access.Role{"default": access.RoleViewer}).find(rightAddress).body
	if !strings.Contains(page, s.ids["user-101"].String()) || strings.Contains(page, "differs") || strings.Contains(page, "<mark>") || strings.Contains(page, "patmiler") {
		t.Errorf("a viewer's page:\n%s", page)
	}
}

// The form names the person and fills in the address that was searched
// for.
func TestConsoleATheCorrectionNamesThePersonAndProposesWhatWasSearched(t *testing.T) {
	t.Parallel()
	s := patAmongOthers(t)
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent})
	home := "/console/default/test/invites/" + s.ids["user-101"].String()
	form := func() string { return html.UnescapeString(robin.get(home + "/resend?correct=1").body) }
	if page := form(); strings.Contains(page, "patmiller") {
		t.Error("something is proposed before anything was searched for")
	}
	robin.find(rightAddress)
	page := form()
	for _, want := range []string{"user-101", "P•• M••", "Slack", "Sam Rivera", `value="` + rightAddress + `"`, "The address you searched for is filled in."} {
		if !strings.Contains(page, want) {
			t.Errorf("the form lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "patmiler@") {
		t.Error("the form shows the old address without being asked")
	}
	stranger := html.UnescapeString(robin.get("/console/default/test/invites/" + s.ids["user-150"].String() + "/resend?correct=1").body)
	if strings.Contains(stranger, `value="`+rightAddress+`"`) || !strings.Contains(stranger, "user-150") {
		t.Errorf("the form of somebody else:\n%s", stranger)
	}
}

// Finding A, its end: a correction connected a stranger, and nothing asked.
func TestConsoleAAnotherMailboxIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	s := patAmongOthers(t)
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent})
	send := func(user, email, sure string) answer {
		return robin.post("/console/default/test/invites/"+s.ids[user].String()+"/resend", url.Values{
			"do": {"preview"}, "correct": {"1"}, "channel": {"email"}, "email": {email}, "sure": {sure}, "version": {"1"},
		})
	}
	const other = "pat.miller@customer.example"
	a := send("user-190", other, "")
	page := html.UnescapeString(a.body)
	for _, want := range []string{"This is a different mailbox.", "user-190", "Sam Rivera", `name="sure" value="` + other + `"`} {
		if a.StatusCode != 422 || !strings.Contains(page, want) {
			t.Errorf("%d lacks %q:\n%s", a.StatusCode, want, page)
		}
	}
	for name, a := range map[string]answer{
		"asked before":             send("user-190", other, other),
		"a letter":                 send("user-101", rightAddress, ""),
		"the same domain":          send("user-101", "somebody.else@connectlink.test", ""),
		"two letters, of a domain": send("user-101", "bounced+patmiler@conectlnk.test", ""),
	} {
		if strings.Contains(a.body, "This is a different mailbox.") || a.StatusCode != 200 {
			t.Errorf("%s: %d and asked about:\n%s", name, a.StatusCode, a.body)
		}
	}
	if a := send("user-190", "pat.miller@elsewhere.example", other); !strings.Contains(a.body, "This is a different mailbox.") {
		t.Error("another address than the one that was asked about is not asked about")
	}
}

// Finding N: an empty field on an address that bounced sent to it once more.
func TestConsoleNAnEmptyFieldIsRefusedWhereTheAddressBounced(t *testing.T) {
	t.Parallel()
	s := patAmongOthers(t)
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent})
	for _, correct := range []string{"", "1"} {
		a := robin.post("/console/default/test/invites/"+s.ids["user-101"].String()+"/resend", url.Values{
			"do": {"send"}, "correct": {correct}, "channel": {"email"}, "email": {""}, "phone": {"+12025550147"}, "version": {"1"},
		})
		if a.StatusCode != 422 || !strings.Contains(a.body, `id="email-wrong"`) {
			t.Errorf("correct=%q: %d:\n%s", correct, a.StatusCode, a.body)
		}
	}
	if n := s.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1`, s.ids["user-101"]); n != 1 {
		t.Errorf("%d messages, want the one that bounced", n)
	}
}

// Finding N: the slip can be seen in the form itself, on record.
func TestConsoleNTheOldAddressIsPutIntoTheFormOnDemandAndOnRecord(t *testing.T) {
	t.Parallel()
	s := patAmongOthers(t)
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent})
	a := robin.post("/console/default/test/invites/"+s.ids["user-101"].String()+"/resend", url.Values{"do": {"show"}, "channel": {"email"}, "version": {"1"}})
	if a.StatusCode != 200 || !strings.Contains(html.UnescapeString(a.body), `value="bounced+patmiler@connectlink.test"`) {
		t.Errorf("%d:\n%s", a.StatusCode, a.body)
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act = 'unmask' AND invite_id = $1`, s.ids["user-101"]); n != 1 {
		t.Errorf("%d entries of the audit log, want one", n)
	}
}

// Finding N: what a correction changes is marked, be it a letter or the domain.
func TestRCNTheCorrectionMarksWhereTheNewAddressDiffers(t *testing.T) {
	t.Parallel()
	s := patAmongOthers(t)
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent})
	home := "/console/default/test/invites/" + s.ids["user-101"].String() + "/resend"
	change := func(page string) string {
		_, got, _ := strings.Cut(html.UnescapeString(page), `What changes: <bdi class="typed" dir="ltr">`)
		got, _, _ = strings.Cut(got, "</bdi>")
		return got
	}
	if got := change(robin.get(home + "?correct=1").body); got != "" {
		t.Errorf("marked before anything was typed: %q", got)
	}
	for email, want := range map[string]string{
		rightAddress:                        "bounced+patmi<mark>l</mark>ler@connectlink.test",
		"Bounced+PatMiler@connectlnk.test":  "bounced+patmiler@connectl<mark>·</mark>nk.test",
		"bounced+patmiler@customer.example": "bounced+patmiler@<mark>customer.example</mark>",
		"sam.rivera@connectlink.test":       "<mark>sam.rivera</mark>@connectlink.test",
		"<i>@connectlink.test":              "<mark><i></mark>@connectlink.test",
		"bounced+patmiler@connectlink.test": "",
		"":                                  "",
	} {
		page := robin.post(home, url.Values{"do": {"preview"}, "correct": {"1"}, "channel": {"email"}, "email": {email}, "version": {"1"}}).body
		if got := change(page); got != want {
			t.Errorf("%s: %q, want %q", email, got, want)
		}
		if strings.Contains(page, "<i>") {
			t.Error("what was typed is not escaped")
		}
	}
	robin.find(rightAddress)
	if got, want := change(robin.get(home+"?correct=1").body), "bounced+patmi<mark>l</mark>ler@connectlink.test"; got != want {
		t.Errorf("of the proposal: %q, want %q", got, want)
	}
}

// Finding F9: an address in a URL stands in histories and in the logs of proxies.
func TestConsoleF9ASearchLeavesNoAddressInTheURL(t *testing.T) {
	t.Parallel()
	s := patAmongOthers(t)
	robin, other := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent}), s.signedIn("Kim", map[string]access.Role{"default": access.RoleAgent})
	const root = "/console/default/test/search"
	for _, text := range []string{rightAddress, "+1 202 555 0147", "user-101"} {
		to := robin.post(root, url.Values{"q": {text}})
		handle, ok := strings.CutPrefix(to.location(), root+"?of=")
		if to.StatusCode != 303 || !ok || strings.Contains(handle, url.QueryEscape(text)) {
			t.Fatalf("a search for %q leads to %q", text, to.location())
		}
		// Reloaded, or come back to, the page answers the same.
		for range 2 {
			if page := robin.follow(robin.get(to.location())); !strings.Contains(page.body, "user-101") && text != "+1 202 555 0147" {
				t.Errorf("the page of %q does not answer it:\n%s", text, page.body)
			}
		}
		if page := other.get(to.location()).body; strings.Contains(page, "user-101") || strings.Contains(page, html.EscapeString(text)) || !strings.Contains(page, "This search has expired") {
			t.Errorf("somebody else's handle shows %s", page)
		}
	}
	if to := robin.get(root + "?q=" + url.QueryEscape(rightAddress)).location(); !strings.HasPrefix(to, root+"?of=") || strings.Contains(to, "patmiller") {
		t.Errorf("a text in the address leads to %q", to)
	}
	if n := s.count(`SELECT count(*) FROM staff_searches WHERE position('patmiller'::bytea IN text) > 0`); n > 0 {
		t.Error("a search is kept in clear")
	}
	if strings.Contains(s.log.String(), "patmiller") {
		t.Error("the address stands in the log")
	}
	s.exec(`UPDATE staff_searches SET created_at = created_at - interval '31 minutes'`)
	if n := s.count(`SELECT count(*) FROM staff_searches`); n == 0 {
		t.Fatal("nothing was kept")
	}
	robin.find("user-101")
	if n := s.count(`SELECT count(*) FROM staff_searches`); n != 1 {
		t.Errorf("%d searches are kept, want the latest", n)
	}
}

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
		r.Delivery = &ledger.Delivery{ID: invite.New[invite.DeliveryID](), Number: 1, Channel: invite.Email, Kind: "first", Lane: "default/email/test"}
	})
	s.exec(`UPDATE deliveries SET status = 'bounced', reason = 'address_not_found' WHERE invite_id = $1`, s.ids[user])
	s.exec(`UPDATE invites SET status = 'failed' WHERE id = $1`, s.ids[user])
}

// find searches as the form in the head of the page does.
func (b *browser) find(text string) answer {
	b.s.t.Helper()
	return b.follow(b.get("/console/default/test/search?q=" + url.QueryEscape(text)))
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

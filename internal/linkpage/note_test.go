package linkpage_test

import (
	"html"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// The note stood in the mail, but not on the page on which the person chooses
// the workspace that it speaks of.
func TestRCTheNoteOfTheMessageIsOnThePageCleanedAndEscaped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := s.Invite(tracktest.Options{Content: &invite.Content{
		Recipient: invite.Recipient{Email: "pat@customer.example"}, Inviter: "Sam",
		Note: "Use the <b>finance</b>\n workspace please, see https://evil.example/x or call +1 888 555 0100\u202e",
	}})
	page := s.do("GET", "/c/"+m.Code.Reveal()).body
	if !strings.Contains(page, "A note from <bdi>Northwind</bdi>: “<bdi>Use the &lt;b&gt;finance&lt;/b&gt; workspace please") {
		t.Errorf("the page lacks the note:\n%s", page)
	}
	for _, never := range []string{"<b>finance", "evil.example", "888", "\u202e"} {
		if strings.Contains(html.UnescapeString(page), never) && never != "<b>finance" || strings.Contains(page, never) {
			t.Errorf("the page has %q of the note:\n%s", never, page)
		}
	}
	s.Append(m.ID, invite.Event{Type: invite.EventConnectFailed})
	if page := s.do("GET", "/c/"+m.Code.Reveal()).body; !strings.Contains(page, "did not connect") || !strings.Contains(page, "workspace please") {
		t.Errorf("the page after a failure lacks the note:\n%s", page)
	}
	without := s.Invite(tracktest.Options{User: "user-2"})
	if page := s.do("GET", "/c/"+without.Code.Reveal()).body; strings.Contains(page, "A note from") {
		t.Error("a page without a note has a sentence of one")
	}
}

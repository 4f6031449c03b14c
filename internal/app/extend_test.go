package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/sandbox"
)

// TestALinkWorksTheDayAfterTheInviteWasExtended: an invite without valid_for ends after four hours.
// Once it is extended the link in the message that the person has works the next day, the page and
// later messages have the new end, and nothing was sent for it.
func TestALinkWorksTheDayAfterTheInviteWasExtended(t *testing.T) {
	t.Parallel()
	p := start(t, boot{}).scoped(append(access.DefaultScopes(), access.Webhooks)...)
	made := p.invite(http.StatusCreated, to("delivered@connectlink.test"))
	id := made.text("id")
	p.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	messages := func(want int) (newest sandbox.Message) {
		t.Helper()
		list, err := p.app.Sandbox().Messages(t.Context(), sandbox.MessageFilter{InviteIDs: []string{id}})
		if err != nil || len(list) != want {
			t.Fatalf("%d messages, want %d, %v", len(list), want, err)
		}
		return list[0]
	}
	link := ""
	for _, l := range messages(1).Links {
		if strings.Contains(l, "/c/") {
			link = l
		}
	}
	person := &walk{http: p.http, browser: matrixBrowsers()[0]}
	ends := func() (at, words string) {
		t.Helper()
		if err := person.get(link); err != nil || person.at != "ready" {
			t.Fatalf("the page is %q, %v", person.at, err)
		}
		for n := range person.root.Descendants() {
			if n.Type == html.ElementNode && n.Data == "time" {
				return attr(n, "datetime"), textOf(n)
			}
		}
		t.Fatal("the page names no end")
		return "", ""
	}
	before, _ := ends()

	status, _, extended := p.call(http.MethodPost, "/v1/invites/"+id+"/extend", object{"valid_for": 3 * 24 * 3600})
	if status != http.StatusOK {
		t.Fatalf("extend: %d %v", status, extended)
	}
	end, err := time.Parse(time.RFC3339, extended.text("expires_at"))
	if err != nil {
		t.Fatal(err)
	}
	at, words := ends()
	if at == before || at != end.UTC().Format(time.RFC3339) {
		t.Errorf("the page says %s, then %s, want %s", before, at, end)
	}
	messages(1)
	p.eventually("the product is told", func() bool {
		_, _, log := p.call(http.MethodGet, "/v1/events?types=invite.extended", nil)
		list, _ := log["data"].([]any)
		if len(list) != 1 {
			return false
		}
		event := object(list[0].(map[string]any))
		return event.text("data.invite.expires_at") == extended.text("expires_at") && event.text("invite_id") == id
	})
	// A reminder or a resend names the new end too.
	if status, _, again := p.call(http.MethodPost, "/v1/invites/"+id+"/resend", nil); status != http.StatusOK || again.text("expires_at") != extended.text("expires_at") {
		t.Errorf("resent: %d, ends at %s", status, again.text("expires_at"))
	}
	p.until(id, "delivered again", func(inv object) bool {
		return inv.text("delivery.kind") == "resend" && inv.text("delivery.status") == "delivered" || strings.Count(strings.Join(p.events(id), " "), "delivery.delivered") == 2
	})
	if m := messages(2); !strings.Contains(strings.Join(strings.Fields(m.Text), " "), words) {
		t.Errorf("the message lacks the end %q:\n%s", words, m.Text)
	}

	for _, sql := range passing() {
		p.sql(sql, 26*time.Hour, nil)
	}
	// The connect link of the first day is over: the press gets another one.
	if err := person.open(link); err != nil || person.at != "connected" && person.at != "finishing" {
		t.Fatalf("the next day the pages led to %v, %v", person.seen, err)
	}
	p.until(id, "connected", func(inv object) bool { return inv.text("status") == "connected" })
	if events := strings.Join(p.events(id), " "); strings.Contains(events, "expired") || !strings.Contains(events, "extended") {
		t.Error(events)
	}
}

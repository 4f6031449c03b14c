package console_test

import (
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Finding K: with requests for links refused, nothing in the console could say
// that no links can be made.
func TestRCKPipedreamIsToldOfByWhatBecameOfRequestsForLinks(t *testing.T) {
	t.Parallel()
	s := newStock(t)
	admin := s.signedIn("Ada", map[string]access.Role{"default": access.RoleAdmin})
	row := func() string {
		t.Helper()
		var rows []string
		for _, path := range []string{"/home", "/system"} {
			page := admin.get("/console/default/test" + path).body
			_, r, found := strings.Cut(page, "<strong>Pipedream</strong>")
			if r, _, _ = strings.Cut(r, "</li>"); !found {
				r = ""
			}
			rows = append(rows, r)
		}
		if rows[0] != rows[1] {
			t.Errorf("home says %q, system %q", rows[0], rows[1])
		}
		return rows[0]
	}
	says := func(when string, words ...string) {
		t.Helper()
		r := row()
		for _, w := range words {
			if never, not := strings.CutPrefix(w, "!"); not && strings.Contains(r, never) || !not && !strings.Contains(r, w) {
				t.Errorf("%s: want %q of %q", when, w, r)
			}
		}
	}
	if r := row(); r != "" {
		t.Errorf("before any request: %q", r)
	}
	s.bounced("user-1", "pat@customer.example", "Pat")
	link := func(ago string) {
		s.exec(`INSERT INTO connect_links (invite_id, id, token_digest, webhook_digest, granted_s, expires_at, expires_at_raw, minted_at)
			SELECT $1, gen_random_uuid(), sha256(gen_random_uuid()::text::bytea), sha256(gen_random_uuid()::text::bytea), 3600, now(), '', now() - $2::interval`, s.ids["user-1"], ago)
	}
	failed := func(user string, seq int, actor, ago string) {
		s.exec(`INSERT INTO events (invite_id, seq, id, project_id, livemode, type, actor, occurred_at)
			SELECT $1, $2, gen_random_uuid(), 'default', false, 'link.mint_failed', $3, now() - $4::interval`, s.ids[user], seq, actor, ago)
	}
	link("20 minutes")
	says("all well", "Healthy", "Issuing connect links.", "Last link: 20 min", "!failed")
	failed("user-1", 100, "recipient", "16 minutes")
	says("a failure long ago", "Healthy", "!failed")
	failed("user-1", 101, "recipient", "4 minutes")
	says("one failed alone", "Degraded", "The latest request for a connect link failed.", "1 request failed", "1 person was asked")
	failed("user-1", 102, "recipient", "3 minutes")
	failed("user-1", 103, "recipient", "2 minutes")
	says("nothing but failures", "Down", "Not issuing connect links right now.", "3 requests failed", "1 person was asked")
	link("1 minute")
	says("one went well since", "Degraded", "Issuing connect links again", "Last link: 1 min")

	// An outage that began before the window: the timeline has one failure only.
	s.add("user-2", invite.Content{Recipient: invite.Recipient{Email: "sam@customer.example"}}, func(r *ledger.New) {
		r.Delivery = &ledger.Delivery{ID: invite.New[invite.DeliveryID](), Number: 1, Channel: invite.Email, Kind: "first", Lane: invite.Place{Project: "default"}.Lane(invite.Email)}
	})
	s.exec(`DELETE FROM events WHERE type = 'link.mint_failed'`)
	s.exec(`UPDATE deliveries SET reason = 'link_unavailable', updated_at = now() WHERE invite_id = $1`, s.ids["user-2"])
	says("a message waits", "Down", "1 message waits for a link", "!requests failed")
	s.exec(`UPDATE deliveries SET reason = 'provider_account' WHERE invite_id = $1`, s.ids["user-2"])
	says("our account is refused", "Down", "Rejects our project or credentials")
	s.exec(`UPDATE deliveries SET status = 'accepted', reason = '' WHERE invite_id = $1`, s.ids["user-2"])
	says("over", "Healthy")
}

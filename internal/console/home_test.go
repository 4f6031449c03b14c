package console_test

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
)

// tile is a number of home, with its words and where it leads.
var tile = regexp.MustCompile(`<a class="tile[^"]*" href="([^"]+)">.*?<span class="n">([^<]+)</span><span class="what">([^<]+)</span>`)

// Finding J: "63 failed in the last 24 hours" led to all failed invites, and left out
// invites created the day before.
func TestRCJEachNumberOfHomeIsTheCountOfTheListItLeadsTo(t *testing.T) {
	t.Parallel()
	s := newStock(t)
	fails := func(user string, typ invite.EventType, ago time.Duration) {
		s.bounced(user, user+"@customer.example", "Pat")
		id := s.ids[user]
		s.exec(`UPDATE invites SET created_at = now() - interval '10 days' WHERE id = $1`, id)
		if typ == invite.EventConnectFailed {
			s.exec(`UPDATE invites SET status = 'active', progress = 'connect_failed' WHERE id = $1`, id)
		}
		s.exec(`INSERT INTO events (invite_id, seq, id, project_id, livemode, type, actor, occurred_at)
			SELECT $1, 100, gen_random_uuid(), 'default', false, $2, 'provider', now() - make_interval(secs => $3)`, id, string(typ), ago.Seconds())
	}
	const day, minute = 24 * time.Hour, time.Minute
	for i, ago := range []time.Duration{minute, day - minute, day + minute, 7*day - minute, 7*day + minute} {
		fails(fmt.Sprintf("bounced-%d", i), invite.EventDeliveryBounced, ago)
		fails(fmt.Sprintf("refused-%d", i), invite.EventConnectFailed, ago)
	}
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent})
	for i := range 3 {
		robin.post("/console/default/test/blocks", url.Values{"address": {fmt.Sprintf("blocked-%d@customer.example", i)}, "reason": {"asked"}})
	}
	s.exec(`UPDATE suppressions SET id = (lpad(to_hex((extract(epoch FROM now() - interval '25 hours') * 1000)::bigint), 12, '0') || '70008000000000000001')::uuid
		WHERE id = (SELECT min(id::text)::uuid FROM suppressions)`)
	tiles := tile.FindAllStringSubmatch(robin.get("/console/default/test/home").body, -1)
	want := map[string]string{"failed in the last 24 hours": "2", "failed to connect (7 days)": "4", "addresses suppressed in the last 24 hours": "2"}
	for _, m := range tiles {
		to, n, what := html.UnescapeString(m[1]), m[2], m[3]
		if n == "None" {
			n = "0"
		}
		if w, ok := want[what]; ok && w != n {
			t.Errorf("%s %s, want %s", n, what, w)
		}
		page := robin.get(to).body
		if rows := fmt.Sprint(strings.Count(page, "<tr data-row>")); rows != n {
			t.Errorf("%s %s, but %s lists %s", n, what, to, rows)
		}
		if strings.Contains(to, "within=") != strings.Contains(page, "selected>In the last") {
			t.Errorf("the list of %s does not say its window", what)
		}
	}
	if len(tiles) != 4 {
		t.Errorf("%d numbers", len(tiles))
	}
}

package console_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/invite"
)

// furnishCounts stores counts of a bad hour and of a usual week before it.
const furnishCounts = `
INSERT INTO count_places (project_id, livemode, complete_at, mark, marked_at) VALUES ('default', false, '2026-11-30 14:03:10Z', '1', now());
INSERT INTO invite_counts (project_id, livemode, day, channel, app_slug, created, sent, delivered, opened, continued, connected, connect_times)
VALUES ('default', false, (now() AT TIME ZONE 'UTC')::date, 'email', 'slack', 100, 100, 90, 52, 40, 38, '{10,10,8,5,5,0,0,0,0,0,0,0,0,0}'),
	('default', false, (now() AT TIME ZONE 'UTC')::date, 'sms', 'notion', 4, 4, 4, 4, 0, 0, array_fill(0, ARRAY[14])),
	('default', false, (now() AT TIME ZONE 'UTC')::date - 8, 'email', 'slack', 1000, 1000, 1000, 1000, 1000, 1000, array_fill(1, ARRAY[14])),
	('default', true, (now() AT TIME ZONE 'UTC')::date, 'email', 'slack', 7777, 7777, 7777, 7777, 7777, 7777, array_fill(1, ARRAY[14]));
INSERT INTO message_counts (project_id, livemode, bucket, provider, domain, accepted, delivered, failed, refused, accept_times, deliver_times)
SELECT 'default', false, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00Z'), 'sendgrid', d, 90, 25, 63, 0, '{90,0,0,0,0,0,0,0,0,0,0,0,0,0,0}', '{0,0,0,0,0,0,0,0,0,25,0,0,0,0,0}'
FROM unnest(ARRAY['', 'gmail.com']) d;
INSERT INTO message_counts (project_id, livemode, bucket, provider, domain, accepted, delivered, failed, refused, accept_times, deliver_times)
SELECT 'default', false, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00Z') - n * interval '1 day', 'sendgrid', '', 90, 88, 0, 0, '{90,0,0,0,0,0,0,0,0,0,0,0,0,0,0}', '{0,0,0,88,0,0,0,0,0,0,0,0,0,0,0}'
FROM generate_series(1, 7) n;
INSERT INTO message_counts (project_id, livemode, bucket, provider, domain, refused, accept_times, deliver_times)
VALUES ('default', false, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00Z'), 'twilio', '', 9, '{}', '{}');
INSERT INTO queue_samples (project_id, livemode, channel, at, due, oldest_s) VALUES ('default', false, 'email', date_trunc('minute', now()), 12, 300);
INSERT INTO event_counts (project_id, livemode, bucket, type, n)
SELECT 'default', false, now() - h * interval '1 hour', 'invite.delivery_failed', n FROM (VALUES (1, 5), (25, 100), (169, 7), (200, 1000)) v(h, n);
INSERT INTO provider_accounts (account) VALUES ('sendgrid:default'), ('twilio:AC1');
INSERT INTO excursions (id, project_id, livemode, kind, value, threshold) VALUES (gen_random_uuid(), 'default', false, 'bounce_rate', 71.6, 10);
INSERT INTO excursions (id, project_id, livemode, kind, value, threshold, resolved_at) VALUES (gen_random_uuid(), 'default', false, 'queue_age', 960, 900, now())`

// says is a check for the words of a page, without its tags and with single spaces.
func says(t *testing.T, page string, parts ...string) {
	t.Helper()
	_, main, _ := strings.Cut(page, "<main")
	text := html.UnescapeString(regexp.MustCompile(`\s+`).ReplaceAllString(regexp.MustCompile(`<[^>]+>`).ReplaceAllString(main, " "), " "))
	for _, part := range parts {
		want := !strings.HasPrefix(part, "!")
		if strings.Contains(text, strings.TrimPrefix(part, "!")) != want {
			t.Errorf("says %q: %v, want %v\n%s", strings.TrimPrefix(part, "!"), !want, want, text)
		}
	}
}

func TestHomeDrawsTheFunnelAndTheTimeToConnect(t *testing.T) {
	t.Parallel()
	s := newStock(t)
	for i := range 3 {
		s.bounced(fmt.Sprintf("user-%d", i), fmt.Sprintf("user-%d@customer.example", i), "Pat")
	}
	s.exec(`UPDATE deliveries SET reason = 'mailbox_unavailable' WHERE invite_id = $1`, s.ids["user-2"])
	s.exec(`INSERT INTO events (invite_id, seq, id, project_id, livemode, type, actor, occurred_at)
		SELECT id, 100, gen_random_uuid(), 'default', false, $1, 'provider', now() FROM invites WHERE status = 'failed'`, string(invite.EventDeliveryBounced))
	s.exec(furnishCounts)
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAgent})
	page := robin.get("/console/default/test/home").body
	says(t, page, "Counts as of 14:03:10 UTC", "The last 24 hours: 5; the same day a week ago: 7", "Created 104", "Sent 104", "10 of 104 did not arrive", "38 of 94 never opened", "2 of 40 continued and did not connect", "Connected 38",
		"Half within 1 min, 90 % within", "slack Email", "72 % of an hour's messages did not arrive; the threshold is 10 %.", "!waited",
		"63 of 88 messages of the last hour did not arrive (71 %)", "9 calls failed in the last hour, and no message was accepted")
	// Each reason leads to a list with as many rows.
	rows := regexp.MustCompile(`<a class="name" href="([^"]+reason=[^"]+)">[^<]+</a><span class="num">(\d+)</span>`).FindAllStringSubmatch(page, -1)
	total := 0
	for _, m := range rows {
		list := robin.get(html.UnescapeString(m[1])).body
		if n := fmt.Sprint(strings.Count(list, "<tr data-row>")); n != m[2] {
			t.Errorf("%s lists %s, home says %s", m[1], n, m[2])
		}
		var n int
		_, _ = fmt.Sscan(m[2], &n)
		total += n
	}
	if len(rows) != 2 || total != 3 {
		t.Errorf("%d reasons of %d failures, want 2 of 3", len(rows), total)
	}
	if n := strings.Count(page, `role="img"`); n < 7 || strings.Count(page, "<title>") != n+1 {
		t.Errorf("%d pictures, %d titles", n, strings.Count(page, "<title>"))
	}
	if strings.Contains(page, "style=") {
		t.Error("the policy refuses styles in attributes")
	}
}

func TestSystemSaysWhetherDeliveryIsSlowAndAProviderIsDown(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *console.Params) { p.Projects[0].Alerts = config.Alerts{BouncePercent: 10} })
	admin := s.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	says(t, admin.get("/console/default/test/system").body, "No message was sent in the last 3 hours, and none waits.", "No traffic", "!slower")
	s.exec(furnishCounts)
	says(t, admin.get("/console/default/test/system").body,
		"Delivery is slower than usual.", "SendGrid delivers messages after 3 min; usual at these hours: 1 second.", "!accepts messages after",
		"SendGrid 63 of 88 messages of the last hour did not arrive (71 %)", "Twilio 9 calls failed in the last hour", "Degraded", "Down", "!accepted. Accepting", "to gmail.com",
		"The longest wait of 6 hours: 5 min.", "Normal: few ready or running")
	s.exec(`UPDATE message_counts SET delivered = 88, failed = 0, deliver_times = '{0,0,0,88,0,0,0,0,0,0,0,0,0,0,0}' WHERE failed > 0; DELETE FROM message_counts WHERE provider = 'twilio'`)
	says(t, admin.get("/console/default/test/system").body, "Delivery is as fast as usual.", "SendGrid Accepting messages. In the last hour: 90 accepted, 88 delivered, 0 did not arrive.", "Healthy", "!Degraded", "!Down")
}

func TestTheStripOfWebhooksIsDrawnFromPosts(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	h.furnishWebhooks()
	admin := h.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	page := admin.get("/console/default/test/system").body
	says(t, page, "Webhooks to the product", "Of the latest 2 posts of the last hour, 2 failed.", "Down")
	if admin.get("/console/default/live/system").StatusCode != http.StatusOK || strings.Contains(admin.get("/console/default/live/system").body, "Webhooks to the product") {
		t.Error("live mode shows posts of test mode")
	}
}

package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// fillPerson is one of the people of a fill.
type fillPerson struct {
	number             int
	project            string
	livemode           bool
	email, phone, name string
}

// people are those whom a fill's invites are for, some twenty invites each: one
// in three has an address at one big mail host.
func people(n int) []fillPerson {
	first := []string{"Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gita", "Hugo", "Ines", "Jon", "Kim", "Lena", "Milo", "Nora", "Omar", "Pat", "Quinn", "Rosa", "Sami", "Tess"}
	last := []string{"Abara", "Berg", "Costa", "Doe", "Ek", "Faber", "Grant", "Haas", "Ito", "Jones", "Kohl", "Lee", "Moss", "Novak", "Ortiz", "Park", "Reyes", "Sato", "Tran", "Vogel"}
	out := make([]fillPerson, max(n/20, 200))
	for i := range out {
		w := fillPerson{
			number: i, project: fmt.Sprintf("p%d", i%25), livemode: i%10 != 9,
			name:  first[i%20] + " " + last[i/20%20],
			phone: fmt.Sprintf("+1202%07d", 2_000_000+i*131%8_000_000),
			email: fmt.Sprintf("%s.%s.%d@company%d.example", first[i%20], last[i/20%20], i, i%2000),
		}
		switch {
		case i%100 < 70:
			w.project = "default"
		case i%100 == 70:
			w.project = "other" // a small one beside a big one
		}
		if i%3 == 0 {
			w.email = fmt.Sprintf("%s%d@gmail.com", last[i/20%20], i)
		}
		out[i] = w
	}
	out[7] = fillPerson{7, "default", true, "pat.doe@customer.example", "+12025550147", "Pat Doe"}
	out[13] = fillPerson{13, "default", true, "kim.lee@gmial.com", "+12025550183", "Kim Lee"} // a slip in their domain: nothing arrives
	return out
}

// inviters returns the names of the people who invite: a quarter of all invites
// are from one program, every fourth has no inviter.
func inviters() []string {
	out := []string{"Nightly Import"}
	for i := range 19 {
		out = append(out, fmt.Sprintf("Sam Rivera %d", i+1))
	}
	return out
}

// fillBegin says of each invite when it was made, for whom, and what became of
// it. Most are spread over ninety days, a twentieth came within 100 seconds and
// ends within the hour, and the newest come at a steady pace. Two of a hundred
// never arrived, wherever one looks.
const fillBegin = `
CREATE FUNCTION bench_uid(n int, at timestamptz, kind int) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$ SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n %% 4096), 3, '0') || '8' || substr(md5(n::text || kind::text), 1, 15))::uuid $$;
CREATE UNLOGGED TABLE bench_people (u int PRIMARY KEY, project_id text, livemode boolean, terms bytea[], user_hash bytea);
CREATE UNLOGGED TABLE bench_inviters (k int, project_id text, livemode boolean, term bytea);
CREATE UNLOGGED TABLE bench_content (n int PRIMARY KEY, content bytea);
CREATE UNLOGGED TABLE bench_made AS
WITH timed AS (
	SELECT n, (hashint4(n) & 2147483647) %% 1000 AS r, (hashint4(n + 3) & 2147483647) %% 100000 AS r2,
		CASE WHEN n %% 101 = 50 THEN 0 WHEN n <= 20 THEN n ELSE (hashint4(n + 7) & 2147483647) %% greatest(%[1]d / 20, 200) END AS u,
		now() - CASE
			WHEN n <= %[1]d * 0.94 THEN interval '90 days' - (interval '90 days' - interval '4 hours') * (n / (%[1]d * 0.94))
			WHEN n <= %[1]d * 0.99 THEN interval '200 minutes' - interval '100 seconds' * ((n - %[1]d * 0.94) / (%[1]d * 0.05))
			ELSE interval '190 minutes' * (1 - (n - %[1]d * 0.99) / (%[1]d * 0.01)) END AS at
	FROM generate_series(1, %[1]d) n
), fated AS (
	SELECT *, CASE WHEN r < 20 OR u = 13 THEN 'failed' WHEN r < 30 THEN CASE WHEN at > now() - interval '4 hours' THEN 'active' ELSE 'expired' END
		WHEN r < 40 THEN 'revoked' WHEN r < 400 THEN 'connected' WHEN at < now() - interval '4 hours' THEN CASE WHEN r < 700 THEN 'connected' ELSE 'expired' END
		WHEN r < 404 THEN 'pending' ELSE 'active' END AS status
	FROM timed
)
SELECT *, bench_uid(n, at, 1) AS id,
	CASE WHEN r BETWEEN 20 AND 29 THEN 'connect_failed' WHEN status = 'connected' THEN 'continued' WHEN status = 'failed' OR r >= 700 THEN 'none' ELSE 'visited' END AS progress,
	CASE WHEN r2 %% 40 < 10 THEN 0 WHEN r2 %% 40 < 29 THEN r2 %% 40 - 9 END AS inviter,
	CASE WHEN r2 %% 100 < 15 THEN 'sms' WHEN r2 %% 100 < 18 THEN 'link' ELSE 'email' END AS channel,
	CASE WHEN n <= 3 THEN 'oldest_app' WHEN r2 < 5 THEN 'rare_app' WHEN r2 < 60000 THEN 'slack' WHEN r2 < 85000 THEN 'google_sheets' ELSE 'hubspot' END AS app,
	CASE WHEN status = 'failed' THEN CASE WHEN r2 < 10 THEN 'content' WHEN r2 %% 10 < 6 THEN 'address_not_found' WHEN r2 %% 10 < 9 THEN 'mailbox_unavailable' ELSE 'suppressed' END
		WHEN r2 %% 100 BETWEEN 50 AND 52 THEN 'no_receipt' ELSE '' END AS reason
FROM fated;
ALTER TABLE bench_made ADD PRIMARY KEY (n);
ANALYZE bench_made`

// fillRest inserts the events, deliveries and audit entries that the
// service would have recorded.
const fillRest = `
INSERT INTO invites (id, project_id, livemode, environment, status, progress, channel, link_type, initiated_by, external_user_id, app_slug, app_name,
	content, expires_in_s, expires_at, gives_up_at, seq, account_id, connected_at, created_by, created_at, updated_at, poll_at, poll_until, wiped_at, user_hash)
SELECT id, project_id, livemode, 'development', status, progress, channel, 'invite', 'product', CASE u WHEN 0 THEN 'load-tester' ELSE 'user-' || u END, app, initcap(app),
	content, 14400, at + interval '4 hours', at + interval '4 hours', 3, CASE WHEN status = 'connected' THEN 'apn_' || substr(md5(n::text), 1, 7) ELSE '' END,
	CASE WHEN status = 'connected' THEN at + interval '10 minutes' END, bench_uid(1, at, 9), at, at + interval '10 minutes',
	CASE WHEN status = 'active' AND progress = 'visited' THEN now() + interval '5 minutes' END, CASE WHEN status = 'active' AND progress = 'visited' THEN at + interval '4 hours' END,
	CASE WHEN status NOT IN ('active', 'pending') THEN at + interval '4 hours' END, user_hash
FROM bench_made m JOIN bench_people USING (u) JOIN bench_content USING (n) ORDER BY n;
INSERT INTO connect_links (invite_id, id, url, token_digest, webhook_digest, granted_s, expires_at, expires_at_raw, minted_at, handed_out_at)
SELECT id, bench_uid(n, at, 2), CASE WHEN status = 'active' THEN '\x5a'::bytea END, sha256(('t' || n)::bytea), sha256(('w' || n)::bytea), 14400, at + interval '4 hours', '', at,
	CASE WHEN progress = 'continued' THEN at + interval '5 minutes' END FROM bench_made WHERE status <> 'pending' ORDER BY n;
INSERT INTO deliveries (invite_id, id, number, project_id, livemode, channel, kind, status, reason, lane, next_at, attempts, provider, created_at, updated_at)
SELECT id, bench_uid(n, at, 3), 1, project_id, livemode, channel, 'first', CASE WHEN status = 'failed' THEN 'bounced' WHEN reason = 'no_receipt' THEN 'accepted' ELSE 'delivered' END,
	reason, project_id || '/' || channel || '/live', NULL, 1, CASE channel WHEN 'sms' THEN 'twilio' ELSE 'sendgrid' END, at, at + interval '1 minute'
FROM bench_made JOIN bench_people USING (u) WHERE channel <> 'link' ORDER BY n;
INSERT INTO attempts (invite_id, delivery_id, id, number, provider, account, template_version, lease_token, outcome, started_at, provider_message_id)
SELECT id, bench_uid(n, at, 3), bench_uid(n, at, 4), 1, 'sendgrid', 'sendgrid:1', 'v1', 1, 'accepted', at, 'message-number-' || n
FROM bench_made WHERE channel <> 'link' ORDER BY n;
INSERT INTO codes (invite_id, id, delivery_id, digest, code, created_at)
SELECT id, bench_uid(n, at, 5), CASE WHEN channel <> 'link' THEN bench_uid(n, at, 3) END, sha256(('c' || n)::bytea), CASE WHEN status = 'active' THEN '\x5a'::bytea END, at FROM bench_made ORDER BY n;
INSERT INTO events (invite_id, seq, id, project_id, livemode, type, actor, data, occurred_at, created_at)
SELECT id, s, bench_uid(n, at, 60 + s), project_id, livemode,
	CASE s WHEN 1 THEN 'created' WHEN 2 THEN 'delivery.accepted' WHEN 4 THEN 'connect_failed' ELSE CASE WHEN status = 'failed' THEN 'delivery.bounced' ELSE 'delivery.delivered' END END, 'system',
	CASE s WHEN 1 THEN jsonb_build_object('request_id', 'req_' || substr(md5(n::text), 1, 26), 'channel', channel) ELSE '{}' END, at, at
FROM bench_made JOIN bench_people USING (u), generate_series(1, 4) s WHERE s < 4 OR progress = 'connect_failed' ORDER BY n, s;
INSERT INTO search_terms (hash, invite_id) SELECT t, id FROM bench_made JOIN bench_people USING (u), unnest(terms) t ORDER BY n;
INSERT INTO search_terms (hash, invite_id) SELECT term, id FROM bench_made m JOIN bench_people p USING (u)
	JOIN bench_inviters i ON i.k = m.inviter AND i.project_id = p.project_id AND i.livemode = p.livemode ORDER BY n;
INSERT INTO suppressions (id, project_id, livemode, channel, kind, hash, source, created_at, lifted_at)
SELECT bench_uid(n, at, 7), project_id, livemode, 'email', CASE WHEN r2 < 20 THEN 'spam_report' ELSE 'hard_bounce' END, sha256(id::text::bytea), 'receipt', at, CASE WHEN r2 % 5 = 0 THEN now() END
FROM bench_made JOIN bench_people USING (u) WHERE n % 10 = 0 ORDER BY n;
INSERT INTO audit (id, at, project_id, livemode, actor, act, target, invite_id, request_id, place)
SELECT bench_uid(n, at, 8), at, CASE WHEN r2 < 500 THEN '' ELSE project_id END, livemode AND r2 >= 500, 'staff:stf_' || lpad((r2 % 12)::text, 26, '0'),
	CASE WHEN r2 < 500 THEN 'sign_in' WHEN n <= 100 THEN 'erase' WHEN r2 % 2 = 0 THEN 'unmask' ELSE 'resend' END, md5(n::text), CASE WHEN r2 >= 500 THEN id END, 'req_' || substr(md5(n::text), 1, 26), '\x0001020304050607'
FROM bench_made JOIN bench_people USING (u) WHERE n % 5 = 0 OR n <= 100 ORDER BY n;
INSERT INTO callbacks (id, provider, invite_id, received_at, body) SELECT bench_uid(n, at, 9), 'sendgrid', id, at, '\x5a' FROM bench_made WHERE n % 2 = 0 ORDER BY n;
INSERT INTO count_places (project_id, livemode, complete_at, mark, marked_at) VALUES ('default', true, now(), '1', now());
INSERT INTO invite_counts (project_id, livemode, day, channel, app_slug, created, sent, delivered, opened, continued, connected, connect_times)
SELECT 'default', true, (now() AT TIME ZONE 'UTC')::date - d, c, 'app_' || a, 100, 98, 95, 60, 50, 45, array_fill(3, ARRAY[14])
FROM generate_series(0, 39) d, unnest(ARRAY['email', 'sms', 'link']) c, generate_series(1, 50) a;
INSERT INTO event_counts (project_id, livemode, bucket, type, n)
SELECT 'default', true, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00Z') - b * interval '15 minutes', t, 5
FROM generate_series(0, 1439) b, unnest(ARRAY['invite.created', 'invite.sent', 'invite.delivered', 'invite.opened', 'invite.continued', 'invite.connected', 'invite.deferred', 'invite.delivery_failed', 'invite.connect_failed', 'invite.expired']) t;
INSERT INTO message_counts (project_id, livemode, bucket, provider, domain, accepted, delivered, failed, accept_times, deliver_times)
SELECT 'default', true, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00Z') - b * interval '15 minutes', p, d, 50, 45, 2, array_fill(3, ARRAY[15]), array_fill(3, ARRAY[15])
FROM generate_series(0, 1439) b, unnest(ARRAY['sendgrid', 'twilio', 'smtp']) p, (SELECT '' AS d UNION ALL SELECT 'mailbox-' || i || '.example' FROM generate_series(1, 40) i) d WHERE d = '' OR b < 192;
INSERT INTO queue_samples (project_id, livemode, channel, at, due, oldest_s)
SELECT 'default', true, c, date_trunc('minute', now()) - m * interval '1 minute', 3, 2 FROM generate_series(0, 2879) m, unnest(ARRAY['email', 'sms']) c`

// fillFor makes n invites in the database at url, with everything that belongs
// to them. Indexes are built when all is there: a million rows put into them one
// by one take ten times as long.
func fillFor(b *testing.B, url string, box *seal.Box, n int) {
	b.Helper()
	ctx := b.Context()
	conn := must[*pgx.Conn](b)(pgx.Connect(ctx, url))
	defer func() { _ = conn.Close(context.Background()) }()
	run := func(sql string) {
		b.Helper()
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			b.Fatal(err)
		}
	}
	run(`SET session_replication_role = replica; -- no foreign key checks: the rows fit by construction
		SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; SET work_mem = '64MB'`)
	run(fmt.Sprintf(fillBegin, n))
	all := people(n)
	copied := func(table string, columns []string, source pgx.CopyFromSource) {
		b.Helper()
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{table}, columns, source); err != nil {
			b.Fatal(err)
		}
	}
	copied("bench_people", []string{"u", "project_id", "livemode", "terms", "user_hash"}, pgx.CopyFromSlice(len(all), func(i int) ([]any, error) {
		w := all[i]
		return []any{w.number, w.project, w.livemode, ledger.Terms(box, invite.Place{Project: w.project, Live: w.livemode}, invite.Content{Recipient: w.recipient()}),
			userid.Hash(box, invite.Place{Project: w.project, Live: w.livemode}, w.user())}, nil
	}))
	var theirs [][]any
	seen := map[string]bool{}
	for _, w := range all {
		place := fmt.Sprint(w.project, w.livemode)
		if seen[place] {
			continue
		}
		seen[place] = true
		for k, name := range inviters() {
			for _, h := range find.InviterTerms(box, invite.Place{Project: w.project, Live: w.livemode}, name) {
				theirs = append(theirs, []any{k, w.project, w.livemode, h})
			}
		}
	}
	copied("bench_inviters", []string{"k", "project_id", "livemode", "term"}, pgx.CopyFromRows(theirs))
	run("ANALYZE bench_inviters")
	var who []int
	var ids []invite.ID
	rows := must[pgx.Rows](b)(conn.Query(ctx, `SELECT u, id FROM bench_made ORDER BY n`))
	var u int
	var id invite.ID
	if _, err := pgx.ForEachRow(rows, []any{&u, &id}, func() error {
		who, ids = append(who, u), append(ids, id)
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	copied("bench_content", []string{"n", "content"}, pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) {
		plain, err := json.Marshal(invite.Content{Recipient: all[who[i]].recipient(), Reason: "So that your reports arrive where you read them."})
		if err != nil {
			return nil, err
		}
		sealed, err := box.Seal(plain, seal.AD{Column: "invites.content", ID: ids[i].UUID()})
		return []any{i + 1, sealed}, err
	}))
	tables := []string{"invites", "connect_links", "deliveries", "attempts", "codes", "events", "search_terms", "suppressions", "audit", "callbacks", "invite_counts", "event_counts", "message_counts", "queue_samples"}
	indexes := func(ready bool) {
		if _, err := conn.Exec(ctx, `UPDATE pg_index SET indisready = $1 WHERE indrelid = ANY($2::text[]::regclass[])`, ready, tables); err != nil {
			b.Fatal(err)
		}
	}
	indexes(false)
	run(fillRest)
	indexes(true)
	for _, table := range tables {
		run("REINDEX TABLE " + table)
	}
	run("DROP TABLE bench_people, bench_inviters, bench_content")
	for _, table := range slices.Concat(tables, []string{""}) {
		run("VACUUM ANALYZE " + table)
	}
}

// user is the product's id of a person, as fillRest writes it.
func (w fillPerson) user() string {
	if w.number == 0 {
		return "load-tester"
	}
	return "user-" + strconv.Itoa(w.number)
}

func (w fillPerson) recipient() invite.Recipient {
	return invite.Recipient{Email: w.email, Phone: w.phone, Name: w.name}
}

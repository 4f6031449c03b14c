package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// maxBuffers is how many 8 KB pages a hot query may touch, however many
// invites there are. A page of 25 invites with what belongs to them needs
// some 450, claiming 25 and giving them back 1,000.
const maxBuffers = 1500

// plan is what PostgreSQL's auto_explain says of one statement it ran.
type plan struct {
	Query string   `json:"Query Text"`
	Plan  planNode `json:"Plan"`
}

type planNode struct {
	Type      string     `json:"Node Type"`
	Relation  string     `json:"Relation Name"`
	Rows      float64    `json:"Actual Rows"`
	Removed   float64    `json:"Rows Removed by Filter"`
	Rechecked float64    `json:"Rows Removed by Index Recheck"`
	Loops     float64    `json:"Actual Loops"`
	Hit       int        `json:"Shared Hit Blocks"`
	Read      int        `json:"Shared Read Blocks"`
	Plans     []planNode `json:"Plans"`
}

// scanned lists tables that grow with the number of invites and were read from end to end.
func (n planNode) scanned() []string {
	var out []string
	switch n.Relation {
	case "", "lanes", "provider_accounts", "api_keys":
	default:
		if n.Type == "Seq Scan" {
			out = append(out, n.Relation)
		}
	}
	for _, c := range n.Plans {
		out = append(out, c.scanned()...)
	}
	return out
}

// explained is a pool on which the server tells the plan of every statement
// as it really ran it: our own functions' SQL, with their parameters. Half of
// the plans are made with parameters unknown, as they are for a statement that
// was prepared long ago.
type explained struct {
	pool *pgxpool.Pool
	mu   sync.Mutex
	said []plan
}

func newExplained(b *testing.B, url, planCache string) *explained {
	b.Helper()
	e := &explained{}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	cfg.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		_, raw, ok := strings.Cut(n.Message, "plan:\n")
		var p plan
		if !ok || json.Unmarshal([]byte(raw), &p) != nil {
			return
		}
		e.mu.Lock()
		e.said = append(e.said, p)
		e.mu.Unlock()
	}
	cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, `LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;
			SET auto_explain.log_buffers = on; SET auto_explain.log_timing = off; SET auto_explain.log_format = json; SET client_min_messages = log; SET jit = off;
			SET plan_cache_mode = `+planCache)
		return err
	}
	if e.pool, err = pgxpool.NewWithConfig(b.Context(), cfg); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.pool.Close)
	return e
}

// take returns the statements logged since the last call.
func (e *explained) take() []plan {
	e.mu.Lock()
	defer e.mu.Unlock()
	said := e.said
	e.said = nil
	return said
}

// fill makes n invites of the past months, most of them over, and all that
// belongs to them. Digests and ids are made so that they can be made again.
const fill = `
SET session_replication_role = replica; -- no foreign key checks: the rows fit by construction
SET synchronous_commit = off;
CREATE FUNCTION pg_temp.at(n int) RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT now() - (%[1]d - n) * interval '30 seconds' $$;
CREATE FUNCTION pg_temp.uid(n int, kind int) RETURNS uuid LANGUAGE sql STABLE AS
	$$ SELECT (lpad(to_hex((extract(epoch FROM pg_temp.at(n)) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8' || substr(md5(n::text || kind::text), 1, 15))::uuid $$;
INSERT INTO invites (id, project_id, livemode, environment, status, progress, channel, link_type, initiated_by, external_user_id, app_slug, app_name,
	content, expires_in_s, expires_at, gives_up_at, seq, created_by, created_at, updated_at, poll_at, poll_until, wiped_at)
SELECT pg_temp.uid(n, 1), 'default', false, 'development',
	CASE WHEN n > %[1]d - 400 THEN 'active' WHEN n %% 1000 = 0 THEN 'failed' WHEN n %% 3 = 0 THEN 'connected' ELSE 'expired' END,
	'none', 'email', 'invite', 'product', 'user-' || n %% 50000, 'slack', 'Slack', decode(repeat('5a', 300), 'hex'), 14400,
	pg_temp.at(n) + interval '4 hours', pg_temp.at(n) + interval '4 hours', 3, pg_temp.uid(1, 9), pg_temp.at(n), pg_temp.at(n),
	CASE WHEN n > %[1]d - 100 THEN pg_temp.at(n) END, CASE WHEN n > %[1]d - 100 THEN pg_temp.at(n) + interval '4 hours' END,
	CASE WHEN n <= %[1]d - 500 THEN pg_temp.at(n) + interval '5 hours' END
FROM generate_series(1, %[1]d) n;
INSERT INTO connect_links (invite_id, id, url, token_digest, webhook_digest, granted_s, expires_at, expires_at_raw, minted_at)
SELECT pg_temp.uid(n, 1), pg_temp.uid(n, 2), CASE WHEN n > %[1]d - 500 THEN '\x5a'::bytea END, sha256(('t' || n)::bytea), sha256(('w' || n)::bytea),
	14400, pg_temp.at(n) + interval '4 hours', '', pg_temp.at(n) FROM generate_series(1, %[1]d) n;
INSERT INTO deliveries (invite_id, id, number, project_id, livemode, channel, kind, status, lane, next_at, attempts, provider, created_at, updated_at)
SELECT pg_temp.uid(n, 1), pg_temp.uid(n, 3), 1, 'default', false, 'email', 'first', CASE WHEN n > %[1]d - 300 THEN 'queued' ELSE 'delivered' END,
	'default/email/test', CASE WHEN n > %[1]d - 300 THEN now() END, CASE WHEN n > %[1]d - 300 THEN 0 ELSE 1 END, 'sendgrid', pg_temp.at(n), pg_temp.at(n)
FROM generate_series(1, %[1]d) n;
INSERT INTO attempts (invite_id, delivery_id, id, number, provider, account, template_version, lease_token, outcome, started_at, provider_message_id)
SELECT pg_temp.uid(n, 1), pg_temp.uid(n, 3), pg_temp.uid(n, 4), 1, 'sendgrid', 'sendgrid:1', 'v1', 1, 'accepted', pg_temp.at(n), 'm' || n
FROM generate_series(1, %[1]d - 300) n;
INSERT INTO codes (invite_id, id, delivery_id, digest, code, created_at)
SELECT pg_temp.uid(n, 1), pg_temp.uid(n, 5), pg_temp.uid(n, 3), sha256(('c' || n)::bytea), CASE WHEN n > %[1]d - 500 THEN '\x5a'::bytea END, pg_temp.at(n)
FROM generate_series(1, %[1]d) n;
INSERT INTO events (invite_id, seq, id, project_id, livemode, type, actor, data, occurred_at)
SELECT pg_temp.uid(n, 1), s, pg_temp.uid(n * 3 + s, 6), 'default', false, 'created', 'key', '{}', pg_temp.at(n) FROM generate_series(1, %[1]d) n, generate_series(1, 3) s;
INSERT INTO search_terms (hash, invite_id)
SELECT substr(sha256((k::text || n %% CASE k WHEN 1 THEN 50000 ELSE 500 END)::bytea), 1, 20), pg_temp.uid(n, 1)
FROM generate_series(1, %[1]d) n, generate_series(1, 2) k;
INSERT INTO idempotency (key_id, route, key_hash, body_mac, invite_id, status)
SELECT pg_temp.uid(1, 9), 'POST /v1/invites', sha256(('k' || n)::bytea), '\x00', pg_temp.uid(n, 1), 201 FROM generate_series(1, %[1]d) n;
INSERT INTO callbacks (id, provider, invite_id, received_at, body)
SELECT pg_temp.uid(n, 7), 'twilio', CASE WHEN n %% 50 > 0 THEN pg_temp.uid(n, 1) END, pg_temp.at(n), '\x5a' FROM generate_series(1, %[1]d) n;
INSERT INTO unmatched (callback_id, project_id, livemode, invite_ref, next_at, gives_up_at)
SELECT pg_temp.uid(n, 7), 'default', false, pg_temp.uid(n, 1), now() + interval '1 hour', now() + interval '1 day' FROM generate_series(50, %[1]d, 50) n;
INSERT INTO client_tokens (digest, invite_id, key_id, expires_at)
SELECT sha256(('a' || n)::bytea), pg_temp.uid(n, 1), pg_temp.uid(1, 9), now() FROM generate_series(1, %[1]d, 10) n;
INSERT INTO redactions (invite_id, attempt_id, project_id, livemode, next_at, redacted_at, created_at)
SELECT pg_temp.uid(n, 1), pg_temp.uid(n, 4), 'default', false, CASE WHEN n > %[1]d - 1000 THEN now() + (n %% 100 - 50) * interval '1 minute' END, now(), pg_temp.at(n)
FROM generate_series(1, %[1]d) n;
INSERT INTO public_events (id, xact, project_id, livemode, type, invite_id, sequence, body, created_at)
SELECT pg_temp.uid(n, 8), '1', 'default', false, CASE WHEN n %% 3 = 0 THEN 'invite.connected' ELSE 'invite.expired' END, pg_temp.uid(n, 1), 3, '\x5a', pg_temp.at(n)
FROM generate_series(1, %[1]d) n;
-- Published events: River keeps completed jobs for a day, and 300 wait.
CREATE FUNCTION pg_temp.idtext(prefix text, id uuid) RETURNS text LANGUAGE sql STABLE AS $$ SELECT prefix || string_agg(substr('0123456789abcdefghijklmnopqrstuv',
	substring(('x' || replace(id::text, '-', ''))::bit(128) || B'00' FROM i * 5 + 1 FOR 5)::int + 1, 1), '' ORDER BY i) FROM generate_series(0, 25) i $$;
INSERT INTO river.river_job (args, attempt, created_at, scheduled_at, finalized_at, kind, max_attempts, queue, state)
SELECT jsonb_build_object('event_id', 'evt_' || n, 'invite_id', 'inv_' || n, 'type', 'invite.connected', 'version', 3, 'body', 'Wg=='), 1, at, at, at, 'publish', 25, 'events', 'completed'
FROM generate_series(1, %[1]d) n, LATERAL (SELECT now() - (%[1]d - n) * interval '20 hours' / %[1]d AS at) t;
INSERT INTO river.river_job (args, kind, max_attempts, queue, state)
SELECT jsonb_build_object('event_id', pg_temp.idtext('evt_', pg_temp.uid(n, 6)), 'invite_id', pg_temp.idtext('inv_', pg_temp.uid(n, 1)), 'type', 'invite.connected', 'version', 3, 'body', 'Wg=='),
	'publish', 25, 'events', 'available'
FROM generate_series(%[1]d - 300 + 1, %[1]d) n;
INSERT INTO lanes VALUES ('default/email/test');
`

// hashUsers gives each user a hash, as the background job does, and returns one user.
func hashUsers(b *testing.B, url string) find.User {
	b.Helper()
	keys, err := seal.NewKeyset()
	if err != nil {
		b.Fatal(err)
	}
	box, err := seal.NewBox(keys)
	if err != nil {
		b.Fatal(err)
	}
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(b.Context(), `UPDATE invites SET user_hash = CASE external_user_id WHEN 'user-7' THEN $1 ELSE sha256(external_user_id::bytea) END`,
		userid.Hash(box, invite.Place{Project: "default"}, "user-7")); err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Exec(b.Context(), `VACUUM ANALYZE invites`); err != nil {
		b.Fatal(err)
	}
	return find.NewUser(box, invite.Place{Project: "default"}, "user-7")
}

// BenchmarkPlans shows that no hot query reads more with more invites: it
// fails when one scans a table or touches too many pages.
// CONNECTLINK_BENCH_ROWS is the number of invites; 200,000 take about a
// minute.
func BenchmarkPlans(b *testing.B) {
	n := benchRows()
	url := postgrestest.New(b)
	newest := fillTables(b, url, n)
	user := hashUsers(b, url)
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		e := newExplained(b, url, mode)
		for _, q := range hotQueries(newest, user, n) {
			b.Run(strings.TrimPrefix(strings.TrimSuffix(mode, "_plan"), "force_")+"/"+q.name, func(b *testing.B) { e.judge(b, q) })
		}
	}
}

func benchRows() int {
	if n, err := strconv.Atoi(os.Getenv("CONNECTLINK_BENCH_ROWS")); err == nil {
		return n
	}
	return 200_000
}

// fillTables fills and returns the newest invite.
func fillTables(b *testing.B, url string, n int) (newest invite.ID) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.PgConn().Exec(b.Context(), fmt.Sprintf(fill, n)).ReadAll(); err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Exec(b.Context(), "VACUUM ANALYZE"); err != nil {
		b.Fatal(err)
	}
	if err := conn.QueryRow(b.Context(), "SELECT id FROM invites ORDER BY id DESC LIMIT 1").Scan(&newest); err != nil {
		b.Fatal(err)
	}
	return newest
}

var errNotThere = errors.New("what the fill made was not found")

func found(ok bool, err error) error {
	if err == nil && !ok {
		return errNotThere
	}
	return err
}

type hotQuery struct {
	name string
	run  func(ctx context.Context, db pgx.Tx) error
}

// err2 keeps the second of two results.
func err2[T any](_ T, err error) error { return err }

func hotQueries(newest invite.ID, user find.User, n int) []hotQuery {
	project := find.Filter{Place: invite.Place{Project: "default"}, Limit: 25}
	list := func(change func(*find.Filter)) func(context.Context, pgx.Tx) error {
		f := project
		change(&f)
		return func(ctx context.Context, tx pgx.Tx) error {
			_, _, err := find.List(ctx, tx, f)
			return err
		}
	}
	// As the fill made it: the hash of a whole address.
	address := seal.Hash(secret.Digest(secret.New("1" + strconv.Itoa(n%50000)))[:20])
	return []hotQuery{
		{"get", func(ctx context.Context, tx pgx.Tx) error {
			return err2(find.Get(ctx, tx, invite.Place{Project: "default"}, newest))
		}},
		{"timeline", func(ctx context.Context, tx pgx.Tx) error { return err2(find.Events(ctx, tx, newest)) }},
		{"deliveries", func(ctx context.Context, tx pgx.Tx) error { return err2(find.Deliveries(ctx, tx, newest)) }},
		{"list", list(func(*find.Filter) {})},
		{"list from the middle", list(func(f *find.Filter) { f.After = newest })},
		{"list a user's", list(func(f *find.Filter) { f.User = user })},
		{"list failed", list(func(f *find.Filter) { f.Status = []invite.Status{invite.Failed} })},
		{"list bounced", list(func(f *find.Filter) { f.DeliveryStatus = []invite.DeliveryStatus{invite.Bounced, invite.Unknown} })},
		{"list delivered", list(func(f *find.Filter) {
			f.After, f.DeliveryStatus = newest, []invite.DeliveryStatus{invite.Delivered, invite.Queued}
		})},
		{"list by metadata", list(func(f *find.Filter) { f.Metadata = [][]seal.Hash{{address}, {address}} })},
		{"list changed", list(func(f *find.Filter) { f.UpdatedAfter = newest.Time().Add(-time.Hour) })},
		{"search by address", list(func(f *find.Filter) { f.Recipient = []seal.Hash{address} })},
		{"claim", func(ctx context.Context, tx pgx.Tx) error {
			return err2(queue.Claim(ctx, tx, queue.Want{Owner: 1, Lease: 8 * time.Second, Batch: 25, PerLane: 25}))
		}},
		{"reap", func(ctx context.Context, tx pgx.Tx) error { return err2(queue.Reap(ctx, tx)) }},
		{"overdue", func(ctx context.Context, tx pgx.Tx) error { return err2(ledger.LockOverdue(ctx, tx, 25)) }},
		{"a person's invites", func(ctx context.Context, tx pgx.Tx) error {
			return err2(find.ListUser(ctx, tx, user, 50))
		}},
		{"the number of a person's invites", func(ctx context.Context, tx pgx.Tx) error { return err2(find.CountUser(ctx, tx, user)) }},
		{"erase again", func(ctx context.Context, tx pgx.Tx) error { return ledger.EraseAgain(ctx, tx, []invite.ID{newest}) }},
		{"projects with ended invites", func(ctx context.Context, tx pgx.Tx) error { return err2(ledger.ListEndedProjects(ctx, tx)) }},
		{"retire", func(ctx context.Context, tx pgx.Tx) error { return err2(ledger.DeleteEnded(ctx, tx, "default", 0, 10)) }},
		{"redactions", func(ctx context.Context, tx pgx.Tx) error { return err2(ledger.ClaimRedactions(ctx, tx, 25)) }},
		{"poll", func(ctx context.Context, tx pgx.Tx) error { return err2(ledger.ClaimPolls(ctx, tx, 25)) }},
		{"lock", func(ctx context.Context, tx pgx.Tx) error { return err2(ledger.LockAll(ctx, tx, []invite.ID{newest})) }},
		{"visit", func(ctx context.Context, tx pgx.Tx) error {
			_, ok, err := ledger.FindByCode(ctx, tx, secret.Digest(secret.New("c"+strconv.Itoa(n))))
			return found(ok, err)
		}},
		{"webhook", func(ctx context.Context, tx pgx.Tx) error {
			_, ok, err := ledger.FindByWebhook(ctx, tx, secret.Digest(secret.New("w"+strconv.Itoa(n))))
			return found(ok, err)
		}},
		{"active of a user", func(ctx context.Context, tx pgx.Tx) error {
			_, _, err := find.FindActive(ctx, tx, user, "slack")
			return err
		}},
	}
}

// judge runs a query, each time in a transaction that is rolled back.
func (e *explained) judge(b *testing.B, q hotQuery) {
	pages := 0
	for b.Loop() {
		pages = 0
		for _, p := range e.explain(b, q) {
			pages += p.Plan.Hit + p.Plan.Read
			if tables := p.Plan.scanned(); len(tables) > 0 {
				b.Fatalf("reads %v from end to end:\n%s", tables, p.Query)
			}
			if pages > maxBuffers {
				b.Fatalf("touches %d pages:\n%s", pages, p.Query)
			}
		}
	}
	b.ReportMetric(float64(pages), "pages")
}

func (e *explained) explain(b *testing.B, q hotQuery) []plan {
	tx, err := e.pool.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	e.take()
	if err := q.run(b.Context(), tx); err != nil {
		b.Fatal(err)
	}
	// The server speaks of a SELECT when its portal goes, which the next statement's takes the place of.
	if _, err := tx.Exec(b.Context(), "SET LOCAL jit = off"); err != nil {
		b.Fatal(err)
	}
	said := e.take()
	if len(said) == 0 {
		b.Fatal("the server told no plan")
	}
	return said
}

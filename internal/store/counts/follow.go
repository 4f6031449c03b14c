package counts

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// BucketOf is how much time one row of events or messages covers.
const BucketOf = 15 * time.Minute

// failuresFeed is the cursor of the timeline's failures; the other feeds are types of
// public events.
const failuresFeed = "failures"

// Pipedream is the provider of connect links in message counts: refused are requests that
// failed.
const Pipedream = "pipedream"

// The steps of an invite, in their order.
func steps() []invite.PublicType {
	return []invite.PublicType{
		invite.InviteCreated, public(invite.EffectPublishSent), public(invite.EffectPublishDelivered),
		public(invite.EffectPublishOpened), public(invite.EffectPublishContinued), public(invite.EffectPublishConnected),
	}
}

// The types of events that are counted by time.
func feeds() []string {
	out := []string{failuresFeed}
	for _, t := range steps() {
		out = append(out, string(t))
	}
	for _, e := range []invite.Effect{
		invite.EffectPublishDeferred, invite.EffectPublishDeliveryFailed, invite.EffectPublishConnectFailed, invite.EffectPublishExpired,
	} {
		out = append(out, string(public(e)))
	}
	return out
}

func public(e invite.Effect) invite.PublicType {
	t, _ := e.Public()
	return t
}

// Domain is a domain of recipients that is told apart, with its keyed hashes, one per live
// key.
type Domain struct {
	Name   string
	Hashes []seal.Hash
}

// Place is the lock on the counts of a project and mode, and the state
// of transactions at the time of locking.
type Place struct {
	invite.Place

	now   time.Time // before the first statement that counts
	mark  uint64    // no transaction from here on had begun
	ended bool      // all before the mark of the last run have ended
}

// LockPlace locks the counts of a project and mode; ok is false while another process
// counts.
func LockPlace(ctx context.Context, tx pgx.Tx, at invite.Place) (p Place, ok bool, err error) {
	_, err = tx.Exec(ctx, `
		INSERT INTO count_places (project_id, livemode, complete_at, mark, marked_at)
		SELECT $1, $2, '-infinity', pg_snapshot_xmax(pg_current_snapshot()), clock_timestamp()
		WHERE NOT EXISTS (SELECT FROM count_places WHERE project_id = $1 AND livemode = $2) ON CONFLICT DO NOTHING`, at.Project, at.Live)
	if err != nil {
		return p, false, fmt.Errorf("add the counts of %s: %w", at.Project, postgres.Translate(err))
	}
	// A dump that was loaded into another cluster has positions of that cluster's
	// transactions, which here are in the future: go on from now.
	_, err = tx.Exec(ctx, `
		WITH foreign_places AS (
			UPDATE count_places SET mark = pg_snapshot_xmax(pg_current_snapshot()), marked_at = clock_timestamp()
			WHERE project_id = $1 AND livemode = $2 AND mark > pg_snapshot_xmax(pg_current_snapshot())
		)
		UPDATE count_cursors SET xact = pg_snapshot_xmin(pg_current_snapshot()), id = '00000000-0000-0000-0000-000000000000'
		WHERE project_id = $1 AND livemode = $2 AND xact > pg_snapshot_xmax(pg_current_snapshot())`, at.Project, at.Live)
	if err != nil {
		return p, false, fmt.Errorf("move the cursors of %s: %w", at.Project, postgres.Translate(err))
	}
	rows, _ := tx.Query(ctx, `
		WITH held AS (SELECT mark FROM count_places WHERE project_id = $1 AND livemode = $2 FOR UPDATE SKIP LOCKED)
		SELECT statement_timestamp(), pg_snapshot_xmax(pg_current_snapshot()), pg_snapshot_xmin(pg_current_snapshot()) >= held.mark FROM held`, at.Project, at.Live)
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Place, error) {
		p := Place{Place: at}
		err := r.Scan(&p.now, &p.mark, &p.ended)
		return p, err
	})
	if err != nil {
		return p, false, fmt.Errorf("lock the counts of %s: %w", at.Project, postgres.Translate(err))
	}
	if len(found) == 0 {
		return p, false, nil
	}
	return found[0], true, nil
}

// Follow counts the next events of each type, at most limit of each, in the transaction
// that locked the place. more reports whether there can be others.
//
// It reads only events of transactions older than every one that still runs, so that one
// which commits late is not behind the cursor. An invite's step counts once however the
// events of several types are read: the invite's row is locked while an event is written,
// so that its earlier events are there.
func Follow(ctx context.Context, tx pgx.Tx, p Place, domains []Domain, limit int) (n int, more bool, err error) {
	var names []string
	var hashes []seal.Hash
	for _, d := range domains {
		for _, h := range d.Hashes {
			names, hashes = append(names, d.Name), append(hashes, h)
		}
	}
	var most int
	err = tx.QueryRow(ctx, follow(), p.Project, p.Live, feeds(), limit, hashes, names, seconds(ConnectBounds()), seconds(MessageBounds())).Scan(&n, &most)
	if err != nil {
		return 0, false, fmt.Errorf("count events of %s: %w", p.Project, postgres.Translate(err))
	}
	return n, most >= limit, nil
}

// SetComplete records that all events before the last run were counted. It is called when
// Follow finds no more.
func SetComplete(ctx context.Context, tx pgx.Tx, p Place) error {
	if !p.ended {
		return nil // a transaction from before the mark still runs
	}
	_, err := tx.Exec(ctx, `UPDATE count_places SET complete_at = marked_at, mark = $3, marked_at = $4 WHERE project_id = $1 AND livemode = $2`,
		p.Project, p.Live, p.mark, p.now)
	if err != nil {
		return fmt.Errorf("record the counts of %s as complete: %w", p.Project, postgres.Translate(err))
	}
	return nil
}

// histogram is SQL for an array of counts by bin; bin is an expression from 0 to n.
func histogram(bin string, n int) string {
	parts := make([]string, 0, n+1)
	for i := range n + 1 {
		parts = append(parts, fmt.Sprintf("count(*) FILTER (WHERE %s = %d)", bin, i))
	}
	return "ARRAY[" + strings.Join(parts, ", ") + "]::int[]"
}

// added is SQL that adds the arrays of two rows.
func added(column string) string {
	return fmt.Sprintf("%[1]s = (SELECT array_agg(coalesce(a, 0) + coalesce(b, 0) ORDER BY i) FROM unnest(x.%[1]s, excluded.%[1]s) WITH ORDINALITY AS v(a, b, i))", column)
}

// stepOf is SQL for the number of a step; 0 for other types of events. With channel link
// the answer to the request hands the link out, so such an invite is delivered at once.
func stepOf(kind, channel string) string {
	var b strings.Builder
	b.WriteString("CASE " + kind)
	for i, t := range steps() {
		if i == 0 {
			fmt.Fprintf(&b, " WHEN '%s' THEN CASE %s WHEN '%s' THEN 3 ELSE 1 END", t, channel, invite.LinkOnly)
			continue
		}
		fmt.Fprintf(&b, " WHEN '%s' THEN %d", t, i+1)
	}
	b.WriteString(" ELSE 0 END")
	return b.String()
}

// reached counts the invites that an event carried to a step for the first time.
func reached(step int) string {
	return fmt.Sprintf("count(*) FILTER (WHERE before < %[1]d AND step >= %[1]d)", step)
}

// follow is one statement, so that all of it sees the same transactions. OFFSET 0 keeps
// each look-up one along its index with any statistics.
func follow() string {
	connects, messages := len(ConnectBounds()), len(MessageBounds())
	bucket := func(at string) string {
		return "date_bin('15 minutes', " + at + ", timestamptz '2000-01-01 00:00:00Z')"
	}
	return `
WITH cursors AS MATERIALIZED (
	SELECT t.feed, coalesce(c.xact, '0'::xid8) AS xact, coalesce(c.id, '00000000-0000-0000-0000-000000000000'::uuid) AS id
	FROM unnest($3::text[]) t(feed) LEFT JOIN count_cursors c ON c.project_id = $1 AND c.livemode = $2 AND c.feed = t.feed
), told AS MATERIALIZED (
	SELECT c.feed, e.* FROM cursors c CROSS JOIN LATERAL (
		SELECT p.xact, p.id, p.invite_id, p.sequence, p.created_at FROM public_events p
		WHERE p.project_id = $1 AND p.livemode = $2 AND p.type = c.feed AND (p.xact, p.id) > (c.xact, c.id)
			AND p.xact < pg_snapshot_xmin(pg_current_snapshot())
		ORDER BY p.xact, p.id LIMIT $4
	) e WHERE c.feed <> '` + failuresFeed + `'
), failures AS MATERIALIZED (
	SELECT c.feed, e.* FROM cursors c CROSS JOIN LATERAL (
		SELECT f.txid AS xact, f.id, f.invite_id, f.seq, f.type, f.delivery_id, f.data, f.created_at FROM events f
		WHERE f.project_id = $1 AND f.livemode = $2 AND (f.txid, f.id) > (c.xact, c.id) AND f.txid < pg_snapshot_xmin(pg_current_snapshot())
			AND f.type IN ('delivery.bounced', 'delivery.undelivered', 'delivery.rejected', 'delivery.retry', 'link.mint_failed')
		ORDER BY f.txid, f.id LIMIT $4
	) e WHERE c.feed = '` + failuresFeed + `'
), taken AS MATERIALIZED (
	SELECT feed, xact, id FROM told UNION ALL SELECT feed, xact, id FROM failures
), moved AS (
	INSERT INTO count_cursors AS x (project_id, livemode, feed, xact, id)
	SELECT $1, $2, l.feed, l.xact, l.id FROM (SELECT DISTINCT ON (feed) feed, xact, id FROM taken ORDER BY feed, xact DESC, id DESC) l
	ON CONFLICT (project_id, livemode, feed) DO UPDATE SET xact = excluded.xact, id = excluded.id
), happened AS (
	INSERT INTO event_counts AS x (project_id, livemode, bucket, type, n)
	SELECT $1, $2, ` + bucket("created_at") + `, feed, count(*) FROM told GROUP BY 3, 4
	ON CONFLICT (project_id, livemode, type, bucket) DO UPDATE SET n = x.n + excluded.n
), stepped AS MATERIALIZED (
	SELECT t.feed, i.day, c.channel, i.app_slug, ` + stepOf("t.feed", "c.channel") + ` AS step, coalesce(b.step, 0) AS before,
		width_bucket(extract(epoch FROM greatest(t.created_at - i.created_at, interval '0'))::float8, $7::float8[]) AS bin
	FROM told t CROSS JOIN LATERAL (
		SELECT (created_at AT TIME ZONE 'UTC')::date AS day, created_at, channel, app_slug FROM invites WHERE id = t.invite_id OFFSET 0
	) i CROSS JOIN LATERAL (
		SELECT coalesce((SELECT data ->> 'channel' FROM events WHERE invite_id = t.invite_id AND seq = 1), i.channel) AS channel OFFSET 0
	) c CROSS JOIN LATERAL (
		SELECT max(` + stepOf("p.type", "c.channel") + `) AS step FROM public_events p WHERE p.invite_id = t.invite_id AND p.sequence < t.sequence OFFSET 0
	) b
), invited AS (
	INSERT INTO invite_counts AS x (project_id, livemode, day, channel, app_slug, created, sent, delivered, opened, continued, connected, connect_times)
	SELECT $1, $2, day, channel, app_slug, ` + strings.Join([]string{reached(1), reached(2), reached(3), reached(4), reached(5), reached(6)}, ", ") + `,
		` + histogram("CASE WHEN step = 6 AND before < 6 THEN bin END", connects) + `
	FROM stepped WHERE step > before GROUP BY day, channel, app_slug
	ON CONFLICT (project_id, livemode, day, channel, app_slug) DO UPDATE SET created = x.created + excluded.created, sent = x.sent + excluded.sent,
		delivered = x.delivered + excluded.delivered, opened = x.opened + excluded.opened, continued = x.continued + excluded.continued,
		connected = x.connected + excluded.connected, ` + added("connect_times") + `
), outcomes AS (
	SELECT t.invite_id, t.sequence, t.created_at, CASE t.feed WHEN 'invite.sent' THEN 'accepted' WHEN 'invite.delivered' THEN 'delivered' ELSE 'deferred' END AS outcome
	FROM told t WHERE t.feed IN ('invite.sent', 'invite.delivered', 'invite.deferred')
	UNION ALL
	SELECT f.invite_id, f.seq, f.created_at, CASE WHEN f.type IN ('delivery.retry', 'link.mint_failed') THEN 'refused' ELSE 'failed' END
	FROM failures f
	-- A failure whose cause is known better later is one failure; a message that waits for
	-- its pause to end was not refused.
	WHERE f.type = 'link.mint_failed' OR f.type = 'delivery.retry' AND coalesce(f.data ->> 'reason', '') NOT IN ('link_unavailable', 'sending_paused')
		OR f.type NOT IN ('delivery.retry', 'link.mint_failed') AND NOT EXISTS (
			SELECT FROM events o WHERE o.invite_id = f.invite_id AND o.seq < f.seq AND o.delivery_id = f.delivery_id
				AND o.type IN ('delivery.bounced', 'delivery.undelivered', 'delivery.rejected'))
), messages AS MATERIALIZED (
	SELECT o.outcome, ` + bucket("o.created_at") + ` AS bucket,
		CASE WHEN e.type = 'link.mint_failed' THEN '` + Pipedream + `' ELSE coalesce(nullif(e.data ->> 'provider', ''), nullif(d.provider, ''), d.channel, '') END AS provider,
		CASE WHEN d.channel = 'email' AND e.type <> 'link.mint_failed' THEN s.name END AS domain,
		width_bucket(extract(epoch FROM greatest(e.occurred_at - greatest(d.created_at, i.send_at), interval '0'))::float8, $8::float8[]) AS bin
	FROM outcomes o CROSS JOIN LATERAL (
		SELECT type, delivery_id, data, occurred_at FROM events WHERE invite_id = o.invite_id AND seq = o.sequence OFFSET 0
	) e CROSS JOIN LATERAL (
		SELECT send_at FROM invites WHERE id = o.invite_id OFFSET 0
	) i LEFT JOIN LATERAL (
		SELECT channel, provider, kind, created_at FROM deliveries WHERE invite_id = o.invite_id AND id = e.delivery_id OFFSET 0
	) d ON true LEFT JOIN LATERAL (
		SELECT n.name FROM (SELECT hash FROM search_terms WHERE invite_id = o.invite_id OFFSET 0) h JOIN unnest($5::bytea[], $6::text[]) n(hash, name) ON n.hash = h.hash LIMIT 1
	) s ON true
	WHERE d.kind IS DISTINCT FROM 'passcode'
), sent AS (
	INSERT INTO message_counts AS x (project_id, livemode, bucket, provider, domain, accepted, delivered, failed, deferred, refused, accept_times, deliver_times)
	SELECT $1, $2, m.bucket, m.provider, k.domain, count(*) FILTER (WHERE outcome = 'accepted'), count(*) FILTER (WHERE outcome = 'delivered'),
		count(*) FILTER (WHERE outcome = 'failed'), count(*) FILTER (WHERE outcome = 'deferred'), count(*) FILTER (WHERE outcome = 'refused'),
		` + histogram("CASE outcome WHEN 'accepted' THEN bin END", messages) + `, ` + histogram("CASE outcome WHEN 'delivered' THEN bin END", messages) + `
	FROM messages m CROSS JOIN LATERAL (SELECT '' AS domain UNION ALL SELECT m.domain WHERE m.domain IS NOT NULL) k
	GROUP BY m.bucket, m.provider, k.domain
	ON CONFLICT (project_id, livemode, domain, bucket, provider) DO UPDATE SET accepted = x.accepted + excluded.accepted,
		delivered = x.delivered + excluded.delivered, failed = x.failed + excluded.failed, deferred = x.deferred + excluded.deferred,
		refused = x.refused + excluded.refused, ` + added("accept_times") + `, ` + added("deliver_times") + `
)
SELECT count(*)::int, coalesce((SELECT max(n) FROM (SELECT count(*) AS n FROM taken GROUP BY feed) t), 0)::int FROM taken`
}

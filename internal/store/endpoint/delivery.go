package endpoint

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Fresh is an event that was stored in the present transaction.
type Fresh struct {
	invite.Place

	ID   invite.EventID
	Type invite.PublicType
}

// InsertDeliveries queues events for the enabled endpoints that receive them, and
// reports whether there are any.
func InsertDeliveries(ctx context.Context, tx pgx.Tx, events []Fresh) (bool, error) {
	n := len(events)
	ids, projects, live, types := make([]invite.EventID, n), make([]string, n), make([]bool, n), make([]string, n)
	for i, e := range events {
		ids[i], projects[i], live[i], types[i] = e.ID, e.Project, e.Live, string(e.Type)
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO webhook_deliveries (endpoint_id, event_id, next_at)
		SELECT w.id, e.id, now() FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::text[]) AS e(id, project_id, livemode, type)
		CROSS JOIN LATERAL (SELECT id FROM webhook_endpoints w WHERE w.project_id = e.project_id AND w.livemode = e.livemode
			AND w.disabled_at IS NULL AND (cardinality(w.types) = 0 OR e.type = ANY(w.types)) OFFSET 0) w`, ids, projects, live, types)
	if err != nil {
		return false, fmt.Errorf("queue %d events for webhooks: %w", n, postgres.Translate(err))
	}
	return tag.RowsAffected() > 0, nil
}

// Requeue makes events due for endpoints, also those that were delivered or given up,
// and returns how many. undelivered leaves out what an endpoint took already.
func Requeue(ctx context.Context, db postgres.DB, endpoints []invite.EndpointID, events []invite.EventID, undelivered bool) (int, error) {
	tag, err := db.Exec(ctx, `
		INSERT INTO webhook_deliveries AS d (endpoint_id, event_id, next_at)
		SELECT w, e, now() FROM unnest($1::uuid[]) w, unnest($2::uuid[]) e
		ON CONFLICT (event_id, endpoint_id) DO UPDATE SET next_at = now(), attempts = 0, delivered_at = NULL
			WHERE d.next_at IS NULL AND (NOT $3 OR d.delivered_at IS NULL)`, endpoints, events, undelivered)
	if err != nil {
		return 0, fmt.Errorf("queue %d events again: %w", len(events), postgres.Translate(err))
	}
	return int(tag.RowsAffected()), nil
}

// Due is a claimed delivery, with its endpoint.
type Due struct {
	Row

	EventID invite.EventID `db:"event_id"`
	Attempt int            `db:"attempts"`
}

// Claim leases up to most due deliveries of each enabled endpoint, less those that
// this process is posting to it. So no endpoint waits for another, however long its
// queue is. It goes along the due deliveries of each endpoint.
func Claim(ctx context.Context, db postgres.DB, busy map[invite.EndpointID]int, most int, lease time.Duration) ([]Due, error) {
	ids, counts := make([]invite.EndpointID, 0, len(busy)), make([]int32, 0, len(busy))
	for id, n := range busy {
		ids, counts = append(ids, id), append(counts, int32(n))
	}
	// The rows are locked, so they stay in their places; a join by the key would be
	// planned for as many rows as wait.
	rows, _ := db.Query(ctx, `
		WITH due AS (
			SELECT c.place FROM webhook_endpoints w
			LEFT JOIN unnest($1::uuid[], $2::int[]) AS b(id, n) ON b.id = w.id
			CROSS JOIN LATERAL (SELECT d.ctid AS place FROM webhook_deliveries d
				WHERE d.endpoint_id = w.id AND d.next_at <= now()
				ORDER BY d.next_at LIMIT greatest($3 - coalesce(b.n, 0), 0) FOR UPDATE SKIP LOCKED) c
			WHERE w.disabled_at IS NULL
		), leased AS (
			UPDATE webhook_deliveries d SET next_at = now() + make_interval(secs => $4), attempts = d.attempts + 1
			WHERE d.ctid = ANY(ARRAY(SELECT place FROM due))
			RETURNING d.endpoint_id, d.event_id, d.attempts
		)
		SELECT `+columns+`, l.event_id, l.attempts FROM leased l JOIN webhook_endpoints w ON w.id = l.endpoint_id`,
		ids, counts, most, lease.Seconds())
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Due])
	if err != nil {
		return nil, fmt.Errorf("claim webhook deliveries: %w", postgres.Translate(err))
	}
	return list, nil
}

// OldestDue returns for how long the oldest event has been due for an endpoint that
// is enabled; 0 where none is. It reads one entry of the index for each endpoint.
func OldestDue(ctx context.Context, db postgres.DB) (time.Duration, error) {
	var age float64
	err := db.QueryRow(ctx, `
		SELECT coalesce(extract(epoch FROM now() - min(d.next_at)), 0)::float8 FROM webhook_endpoints w
		CROSS JOIN LATERAL (SELECT next_at FROM webhook_deliveries d WHERE d.endpoint_id = w.id AND d.next_at <= now()
			ORDER BY d.next_at LIMIT 1) d
		WHERE w.disabled_at IS NULL`).Scan(&age)
	if err != nil {
		return 0, fmt.Errorf("measure the queue of webhooks: %w", postgres.Translate(err))
	}
	return time.Duration(age * float64(time.Second)), nil
}

// Attempt is one post of an event, as stored.
type Attempt struct {
	ID         invite.WebhookAttemptID `db:"id"`
	EndpointID invite.EndpointID       `db:"endpoint_id"`
	EventID    invite.EventID          `db:"event_id"`
	Number     int                     `db:"number"`
	Status     int                     `db:"status"`
	Failure    string                  `db:"failure"`
	Answer     []byte                  `db:"answer"` // sealed
	TookMS     int                     `db:"took_ms"`
	CreatedAt  time.Time               `db:"created_at"`
}

// Finished is what became of a claimed delivery.
type Finished struct {
	Attempt

	Delivered bool
	Again     time.Duration // the pause before the next attempt; 0: none follows
	Gone      bool          // the endpoint wants no more events
	// GiveUpAfter is how long an endpoint may fail until it is disabled.
	GiveUpAfter time.Duration
}

// Finish records an attempt and what follows from it. disabled reports whether the
// endpoint is disabled by it.
func Finish(ctx context.Context, tx pgx.Tx, f Finished) (disabled bool, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`
		UPDATE webhook_deliveries SET delivered_at = CASE WHEN $4 THEN now() END,
			next_at = CASE WHEN $5 > 0 THEN now() + make_interval(secs => $5) END
		WHERE event_id = $1 AND endpoint_id = $2 AND attempts = $3 AND next_at IS NOT NULL`,
		f.EventID, f.EndpointID, f.Number, f.Delivered, f.Again.Seconds())
	batch.Queue(`
		INSERT INTO webhook_attempts (id, endpoint_id, event_id, number, status, failure, answer, took_ms, created_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
		WHERE EXISTS (SELECT FROM webhook_deliveries WHERE event_id = $3 AND endpoint_id = $2)`,
		f.ID, f.EndpointID, f.EventID, f.Number, f.Status, f.Failure, f.Answer, f.TookMS, f.CreatedAt)
	if f.Delivered {
		batch.Queue(`UPDATE webhook_endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL`, f.EndpointID)
	} else {
		batch.Queue(`UPDATE webhook_endpoints SET failing_since = now() WHERE id = $1 AND failing_since IS NULL`, f.EndpointID)
		why := Failing
		if f.Gone {
			why = Gone
		}
		batch.Queue(`
			UPDATE webhook_endpoints SET disabled_at = now(), disabled_why = $2, updated_at = now()
			WHERE id = $1 AND disabled_at IS NULL AND ($3 OR failing_since < now() - make_interval(secs => $4))`,
			f.EndpointID, why, f.Gone, f.GiveUpAfter.Seconds())
	}
	res := tx.SendBatch(ctx, batch)
	for range batch.Len() {
		tag, execErr := res.Exec()
		if execErr != nil {
			err = execErr
			break
		}
		disabled = !f.Delivered && tag.RowsAffected() > 0 // of the last statement
	}
	if closeErr := res.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return false, fmt.Errorf("finish webhook delivery of event %s: %w", f.EventID, postgres.Translate(err))
	}
	return disabled, nil
}

// ListAttempts reads a page of the attempts for an endpoint, newest first, whose
// owner the caller has checked. Those of one event are read with event.
func ListAttempts(ctx context.Context, db postgres.DB, id invite.EndpointID, event invite.EventID, before invite.WebhookAttemptID, n int) ([]Attempt, error) {
	rows, _ := db.Query(ctx, `
		SELECT id, endpoint_id, event_id, number, status, failure, answer, took_ms, created_at FROM webhook_attempts
		WHERE endpoint_id = $1 AND ($2::uuid IS NULL OR event_id = $2) AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4`, id, event, before, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Attempt])
	if err != nil {
		return nil, fmt.Errorf("list attempts of webhook endpoint %s: %w", id, postgres.Translate(err))
	}
	return list, nil
}

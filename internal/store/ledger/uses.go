package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// UseScope is a kind of subject whose messages are counted.
type UseScope string

// The scopes. Of people the time of each message of the last 24 hours is kept; of
// the others the sum per day in UTC.
const (
	UseRecipient UseScope = "recipient" // one address or number, over all invites of a sender
	UseUser      UseScope = "user"      // one external user of a project
	UseKey       UseScope = "key"       // one API key or member of staff
	UseProject   UseScope = "project"
	UseCountry   UseScope = "sms_country" // text messages of a project to one country
	UseBlock     UseScope = "sms_block"   // text messages of a project to one block of numbers
)

// Use is one message as one limit counts it. A maximum of 0 is unlimited.
type Use struct {
	Scope   UseScope
	Subject []byte // a keyed hash of a person, or a name as text
	PerHour int    // maximum in any 60 minutes; people only
	PerDay  int    // maximum in any 24 hours for people, per day in UTC for others
	Cost    int64  // in millionths of the price table's currency; others only
	MaxCost int64  // per day in UTC
}

// Measure names the maximum that a subject reached.
type Measure string

// The measures.
const (
	MeasureHour Measure = "hour"
	MeasureDay  Measure = "day"
	MeasureCost Measure = "cost"
)

// LimitError is returned when a statement would exceed a limit. Nothing of the
// statement is stored.
type LimitError struct {
	Use     Use
	Measure Measure
	Used    int64         // messages or cost before the statement
	FreeIn  time.Duration // until a message is allowed again
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the limit per %s of a %s is reached", e.Measure, e.Use.Scope)
}

// Room is how many more messages the measure allows.
func (e *LimitError) Room() int64 {
	switch e.Measure {
	case MeasureHour:
		return max(0, int64(e.Use.PerHour)-e.Used)
	case MeasureDay:
		return max(0, int64(e.Use.PerDay)-e.Used)
	case MeasureCost:
		if e.Use.Cost == 0 {
			return 0
		}
		return max(0, (e.Use.MaxCost-e.Used)/e.Use.Cost)
	}
	return 0
}

// Exhausted is the refusal of a message for which other messages of the same
// statement leave no room.
func (e *LimitError) Exhausted() *LimitError {
	full, each := *e, int64(1)
	if e.Measure == MeasureCost {
		each = e.Use.Cost
	}
	full.Used += e.Room() * each
	return &full
}

// countUses adds the uses of the CTE uses_in to their subjects and, where one
// exceeds its maximum, fails the statement. All rows are written by one INSERT in
// the order of the primary key, so two statements cannot deadlock. What a subject
// used is read from the written row, whose lock is held until the commit, so
// concurrent statements cannot exceed a maximum together. A maximum that comes near
// or is reached leaves a notice.
//
// Written rows find their maximum by the position of their use in the arrays of the
// CTE maxima: a join would be planned for a few rows and run for hundreds.
//
// The statement's own SELECT must read the CTE over.
const countUses = `
uses AS MATERIALIZED (
	SELECT scope, subject, min(ord) AS ord, count(*) AS n, sum(cost) AS cost, scope IN ('recipient', 'user') AS person
	FROM uses_in GROUP BY scope, subject
), counted AS (
	INSERT INTO sending_uses AS u (scope, subject, day, messages, cost, times, used_at, use, added, added_cost)
	SELECT scope, subject, CASE WHEN person THEN date '1970-01-01' ELSE (now() AT TIME ZONE 'UTC')::date END AS day, n, cost,
		CASE WHEN person THEN array_fill(now(), ARRAY[n::int]) END, now(), ord, n, cost
	FROM uses ORDER BY scope, subject, day
	ON CONFLICT (scope, subject, day) DO UPDATE SET messages = u.messages + excluded.messages, cost = u.cost + excluded.cost,
		times = CASE WHEN excluded.times IS NOT NULL THEN
			ARRAY(SELECT t FROM unnest(u.times) t WHERE t > now() - interval '1 day') || excluded.times END,
		used_at = now(), use = excluded.use, added = excluded.added, added_cost = excluded.added_cost
	RETURNING scope, subject, day, messages, cost, times, CASE WHEN extra_until > now() THEN extra ELSE 0 END AS extra,
		use, added, added_cost
), measured AS MATERIALIZED (
	SELECT c.*, nullif(m.per_hour[c.use], 0) AS per_hour, nullif(m.per_day[c.use], 0) AS per_day, nullif(m.max_cost[c.use], 0) AS max_cost
	FROM counted c, maxima m
), near AS (
	-- A notice for each maximum that this statement brings to 80 %, or beyond which the
	-- next message would be.
	INSERT INTO limit_notices (day, scope, subject, measure, level, used, most)
	SELECT day, scope, subject, m.measure, l.level, m.used, m.most
	FROM measured
	CROSS JOIN LATERAL (VALUES ('day', messages, added, per_day), ('cost', cost, added_cost, max_cost)) AS m(measure, used, more, most)
	CROSS JOIN LATERAL (VALUES ('near', m.most * 0.8), ('reached', m.most - m.more / added + 1)) AS l(level, from_use)
	WHERE times IS NULL AND m.more > 0 AND m.used >= l.from_use AND m.used - m.more < l.from_use
	ON CONFLICT DO NOTHING
), over AS (
	SELECT refuse_use(o.use, o.used::bigint, o.free_at, o.measure) AS refused
	FROM (
		SELECT c.use, m.*
		FROM measured c
		CROSS JOIN LATERAL (
			SELECT 'day', cardinality(c.times) - added, per_day + extra, (SELECT min(t) FROM unnest(c.times) t) + interval '1 day'
			WHERE c.times IS NOT NULL AND cardinality(c.times) > per_day + extra
			UNION ALL
			SELECT 'hour', h.used - added, per_hour + extra, h.first + interval '1 hour'
			FROM (SELECT count(*) AS used, min(t) AS first FROM unnest(c.times) t WHERE t > now() - interval '1 hour') h
			WHERE c.times IS NOT NULL AND h.used > per_hour + extra
			UNION ALL
			SELECT 'day', c.messages - added, per_day, day + interval '1 day'
			WHERE c.times IS NULL AND c.messages > per_day
			UNION ALL
			SELECT 'cost', c.cost - added_cost, max_cost, day + interval '1 day'
			WHERE c.times IS NULL AND c.cost > max_cost
		) AS m(measure, used, most, free_at)
		-- Few rows get as far as the measures.
		WHERE c.times IS NOT NULL AND cardinality(c.times) > least(per_hour, per_day) + extra
			OR c.times IS NULL AND (c.messages > per_day OR c.cost > max_cost)
		-- The people first: who is sent too much is refused before the rest is measured
		-- by the limits of all. Then the measure with the least room.
		ORDER BY c.times IS NULL, m.most - m.used, c.use
		LIMIT 1
	) o
)`

// selectUses and ofUses are the body of the CTE uses_in; between them stand the first
// four parameters of useColumns.args. The other three are those of the CTE maxima.
const (
	selectUses = `
	SELECT t.use_of, t.scope, t.subject, t.cost, t.ord FROM unnest(`
	ofUses = `) WITH ORDINALITY AS t(use_of, scope, subject, cost, ord)`
)

// useColumns holds uses turned on their side, with the invite that each is of.
type useColumns struct {
	all             []Use
	of              []invite.ID
	scope           []string
	subject         [][]byte
	cost            []int64
	perHour, perDay []int64 // 0: unlimited
	maxCost         []int64
}

func (c *useColumns) add(id invite.ID, uses []Use) {
	for _, u := range uses {
		c.all = append(c.all, u)
		c.of = append(c.of, id)
		c.scope = append(c.scope, string(u.Scope))
		c.subject = append(c.subject, u.Subject)
		c.cost = append(c.cost, u.Cost)
		c.perHour = append(c.perHour, int64(u.PerHour))
		c.perDay = append(c.perDay, int64(u.PerDay))
		c.maxCost = append(c.maxCost, u.MaxCost)
	}
}

func (c *useColumns) args() []any {
	return []any{c.of, c.scope, c.subject, c.cost, c.perHour, c.perDay, c.maxCost}
}

const countUsesAlone = `
WITH uses_in AS (` + selectUses + `$1::uuid[], $2::text[], $3::bytea[], $4::bigint[]` + ofUses + `
), maxima AS (
	SELECT $5::bigint[] AS per_hour, $6::bigint[] AS per_day, $7::bigint[] AS max_cost
), ` + countUses + `
SELECT count(refused) FROM over`

// CountUses counts the uses of one more message of an invite, in the transaction
// that queues it. A *LimitError refuses it: the transaction is to be rolled back.
func CountUses(ctx context.Context, tx postgres.DB, id invite.ID, uses []Use) error {
	if len(uses) == 0 {
		return nil
	}
	var c useColumns
	c.add(id, uses)
	if _, err := tx.Exec(ctx, countUsesAlone, c.args()...); err != nil {
		return fmt.Errorf("count a message of invite %s: %w", id, c.translate(err))
	}
	return nil
}

// CheckUses returns the *LimitError that a message with these uses would meet now; nil
// if it would be allowed. It counts the message and takes that back, so that it answers
// by the same rules.
func CheckUses(ctx context.Context, db postgres.Beginner, uses []Use) error {
	err := postgres.InTx(ctx, db, func(tx pgx.Tx) error {
		if err := CountUses(ctx, tx, invite.ID{}, uses); err != nil {
			return err
		}
		return errCounted
	})
	if errors.Is(err, errCounted) {
		return nil
	}
	return err
}

// errCounted rolls back the transaction of CheckUses.
var errCounted = errors.New("counted")

// translate returns the *LimitError of a statement that refuse_use failed, else
// the error as postgres.Translate does.
func (c *useColumns) translate(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "CL429" {
		return postgres.Translate(err)
	}
	var d struct {
		Use     int     `json:"use"`
		Used    int64   `json:"used"`
		Measure Measure `json:"measure"`
		FreeInS int64   `json:"free_in_s"`
	}
	if json.Unmarshal([]byte(pg.Detail), &d) != nil || d.Use < 1 || d.Use > len(c.all) {
		return postgres.Translate(err)
	}
	return &LimitError{Use: c.all[d.Use-1], Measure: d.Measure, Used: d.Used, FreeIn: time.Duration(max(1, d.FreeInS)) * time.Second}
}

// DayUse is the sum of a subject's messages of today, in UTC.
type DayUse struct {
	Scope    UseScope `db:"scope"`
	Subject  []byte   `db:"subject"`
	Messages int64    `db:"messages"`
	Cost     int64    `db:"cost"`
}

// ListDayUses returns what a project, one of its keys, and the project towards each
// country used today.
func ListDayUses(ctx context.Context, db postgres.DB, project, key []byte) ([]DayUse, error) {
	rows, _ := db.Query(ctx, `
		SELECT scope, subject, messages, cost FROM sending_uses
		WHERE day = (now() AT TIME ZONE 'UTC')::date AND day > date '1970-01-01' AND scope = 'project' AND subject = $1
		UNION ALL
		SELECT scope, subject, messages, cost FROM sending_uses
		WHERE day = (now() AT TIME ZONE 'UTC')::date AND day > date '1970-01-01' AND scope = 'key' AND subject = $2
		UNION ALL
		(SELECT scope, subject, messages, cost FROM sending_uses
		WHERE day = (now() AT TIME ZONE 'UTC')::date AND day > date '1970-01-01' AND scope = 'sms_country'
			AND subject >= $1 || '/'::bytea AND subject < $1 || '0'::bytea
		ORDER BY subject)`, project, key)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[DayUse])
	if err != nil {
		return nil, fmt.Errorf("list today's uses: %w", postgres.Translate(err))
	}
	return list, nil
}

// GrantUses allows a person n messages beyond the limits for a while. It reports false,
// and changes nothing, while an earlier grant lasts.
func GrantUses(ctx context.Context, tx pgx.Tx, subject []byte, n int, lasts time.Duration) (bool, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO sending_uses AS u (scope, subject, day, times, extra, extra_until)
		VALUES ('recipient', $1, '1970-01-01', '{}', $2, now() + make_interval(secs => $3))
		ON CONFLICT (scope, subject, day) DO UPDATE SET extra = excluded.extra, extra_until = excluded.extra_until
		WHERE u.extra_until IS NULL OR u.extra_until <= now()`, subject, n, lasts.Seconds())
	if err != nil {
		return false, fmt.Errorf("allow more messages to a person: %w", postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

package counts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// GetComplete returns until when all events are counted; zero before the first run.
func GetComplete(ctx context.Context, db postgres.DB, at invite.Place) (time.Time, error) {
	var t *time.Time
	err := db.QueryRow(ctx, `SELECT nullif(complete_at, '-infinity') FROM count_places WHERE project_id = $1 AND livemode = $2`, at.Project, at.Live).Scan(&t)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read until when events of %s are counted: %w", at.Project, postgres.Translate(err))
	}
	if t == nil {
		return time.Time{}, nil
	}
	return *t, nil
}

// Invites are how far invites of one channel and app got.
type Invites struct {
	Channel      invite.Channel `db:"channel"`
	App          string         `db:"app_slug"`
	Created      int            `db:"created"`
	Sent         int            `db:"sent"`
	Delivered    int            `db:"delivered"`
	Opened       int            `db:"opened"`
	Continued    int            `db:"continued"`
	Connected    int            `db:"connected"`
	ConnectTimes []int          `db:"connect_times"`
}

// Add returns the sums of two.
func (i Invites) Add(o Invites) Invites {
	i.Created, i.Sent, i.Delivered = i.Created+o.Created, i.Sent+o.Sent, i.Delivered+o.Delivered
	i.Opened, i.Continued, i.Connected = i.Opened+o.Opened, i.Continued+o.Continued, i.Connected+o.Connected
	i.ConnectTimes = Add(i.ConnectTimes, o.ConnectTimes)
	return i
}

// ListInvites returns the counts of invites that were created since a day in UTC, by
// channel and app.
func ListInvites(ctx context.Context, db postgres.DB, at invite.Place, since time.Time) ([]Invites, error) {
	bins := len(ConnectBounds()) + 1
	rows, _ := db.Query(ctx, `
		SELECT channel, app_slug, sum(created)::int AS created, sum(sent)::int AS sent, sum(delivered)::int AS delivered, sum(opened)::int AS opened,
			sum(continued)::int AS continued, sum(connected)::int AS connected, `+sums("connect_times", bins)+` AS connect_times
		FROM invite_counts WHERE project_id = $1 AND livemode = $2 AND day >= $3::date GROUP BY channel, app_slug ORDER BY channel, app_slug`,
		at.Project, at.Live, since)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Invites])
	if err != nil {
		return nil, fmt.Errorf("list counts of invites of %s: %w", at.Project, postgres.Translate(err))
	}
	return list, nil
}

// sums is SQL for the sum of arrays, element by element.
func sums(column string, n int) string {
	s := "ARRAY["
	for i := range n {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("coalesce(sum(%s[%d]), 0)", column, i+1)
	}
	return s + "]::int[]"
}

// Events are how many of a type happened in the quarter of an hour that begins at Bucket.
type Events struct {
	Bucket time.Time         `db:"bucket"`
	Type   invite.PublicType `db:"type"`
	N      int               `db:"n"`
}

// ListEvents returns the counts of some types since a time, the oldest first.
func ListEvents(ctx context.Context, db postgres.DB, at invite.Place, since time.Time, types ...invite.PublicType) ([]Events, error) {
	rows, _ := db.Query(ctx, `SELECT bucket, type, n FROM event_counts WHERE project_id = $1 AND livemode = $2 AND bucket >= $3 AND type = ANY($4) ORDER BY bucket, type`,
		at.Project, at.Live, since, types)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Events])
	if err != nil {
		return nil, fmt.Errorf("list counts of events of %s: %w", at.Project, postgres.Translate(err))
	}
	return list, nil
}

// Days are how many events of a type happened in each of the last 24 hours before a
// moment, the latest day first.
type Days map[invite.PublicType][]int

// SumDays returns the counts of some types by day. A quarter of an hour belongs to the day
// of its middle.
func SumDays(ctx context.Context, db postgres.DB, at invite.Place, until time.Time, days int, types ...invite.PublicType) (Days, error) {
	out := make(Days, len(types))
	for _, t := range types {
		out[t] = make([]int, days)
	}
	rows, _ := db.Query(ctx, `
		SELECT t.type, e.ago, e.n FROM unnest($3::text[]) t(type) CROSS JOIN LATERAL (
			SELECT floor(extract(epoch FROM $4::timestamptz - bucket - interval '450 seconds') / 86400)::int AS ago, sum(n)::int AS n
			FROM event_counts WHERE project_id = $1 AND livemode = $2 AND type = t.type AND bucket >= $4::timestamptz - $5::int * interval '1 day' GROUP BY 1
		) e`, at.Project, at.Live, types, until, days)
	var typ invite.PublicType
	var ago, n int
	_, err := pgx.ForEachRow(rows, []any{&typ, &ago, &n}, func() error {
		if ago = max(ago, 0); ago < days {
			out[typ][ago] += n
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sum counts of events of %s: %w", at.Project, postgres.Translate(err))
	}
	return out, nil
}

// Messages are the outcomes of messages through a provider within the quarter of an hour
// that begins at Bucket.
type Messages struct {
	Bucket       time.Time `db:"bucket"`
	Provider     string    `db:"provider"`
	Domain       string    `db:"domain"` // empty: of all recipients
	Accepted     int       `db:"accepted"`
	Delivered    int       `db:"delivered"`
	Failed       int       `db:"failed"`
	Deferred     int       `db:"deferred"`
	Refused      int       `db:"refused"`
	AcceptTimes  []int     `db:"accept_times"`
	DeliverTimes []int     `db:"deliver_times"`
}

// Add returns the sums of two.
func (m Messages) Add(o Messages) Messages {
	m.Accepted, m.Delivered, m.Failed = m.Accepted+o.Accepted, m.Delivered+o.Delivered, m.Failed+o.Failed
	m.Deferred, m.Refused = m.Deferred+o.Deferred, m.Refused+o.Refused
	m.AcceptTimes, m.DeliverTimes = Add(m.AcceptTimes, o.AcceptTimes), Add(m.DeliverTimes, o.DeliverTimes)
	return m
}

// ListMessages returns the outcomes of all recipients between two times, the oldest first.
func ListMessages(ctx context.Context, db postgres.DB, at invite.Place, since, until time.Time) ([]Messages, error) {
	rows, _ := db.Query(ctx, `
		SELECT bucket, provider, domain, accepted, delivered, failed, deferred, refused, accept_times, deliver_times
		FROM message_counts WHERE project_id = $1 AND livemode = $2 AND domain = '' AND bucket >= $3 AND bucket < $4 ORDER BY bucket, provider`,
		at.Project, at.Live, since, until)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Messages])
	if err != nil {
		return nil, fmt.Errorf("list counts of messages of %s: %w", at.Project, postgres.Translate(err))
	}
	return list, nil
}

// ListDomains returns the outcomes since a time by the domains of recipients that are told
// apart, the most frequent first, without times.
func ListDomains(ctx context.Context, db postgres.DB, at invite.Place, since time.Time, limit int) ([]Messages, error) {
	rows, _ := db.Query(ctx, `
		SELECT domain, sum(accepted)::int, sum(delivered)::int, sum(failed)::int, sum(deferred)::int, sum(refused)::int
		FROM message_counts WHERE project_id = $1 AND livemode = $2 AND domain > '' AND bucket >= $3
		GROUP BY domain ORDER BY greatest(sum(accepted), sum(delivered) + sum(failed)) DESC, domain LIMIT $4`, at.Project, at.Live, since, limit)
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (m Messages, err error) {
		err = r.Scan(&m.Domain, &m.Accepted, &m.Delivered, &m.Failed, &m.Deferred, &m.Refused)
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("list counts of messages of %s by domain: %w", at.Project, postgres.Translate(err))
	}
	return list, nil
}

// SumMessages returns the outcomes by provider of the last stretch of time before a
// moment, and of the same stretch of each of the days before it.
func SumMessages(ctx context.Context, db postgres.DB, at invite.Place, until time.Time, lasts time.Duration, days int) (now, before map[string]Messages, err error) {
	bins := len(MessageBounds()) + 1
	rows, _ := db.Query(ctx, `
		SELECT m.provider, s.ago, sum(accepted)::int, sum(delivered)::int, sum(failed)::int, sum(deferred)::int, sum(refused)::int,
			`+sums("accept_times", bins)+`, `+sums("deliver_times", bins)+`
		FROM generate_series(0, $5::int) s(ago) CROSS JOIN LATERAL (
			SELECT * FROM message_counts c WHERE c.project_id = $1 AND c.livemode = $2 AND c.domain = ''
				AND c.bucket < $3::timestamptz - s.ago * interval '1 day' AND c.bucket >= $3::timestamptz - s.ago * interval '1 day' - make_interval(secs => $4)
			OFFSET 0
		) m GROUP BY m.provider, s.ago`, at.Project, at.Live, until, lasts.Seconds(), days)
	now, before = map[string]Messages{}, map[string]Messages{}
	var m Messages
	var ago int
	_, err = pgx.ForEachRow(rows, []any{&m.Provider, &ago, &m.Accepted, &m.Delivered, &m.Failed, &m.Deferred, &m.Refused, &m.AcceptTimes, &m.DeliverTimes}, func() error {
		to := before
		if ago == 0 {
			to = now
		}
		to[m.Provider] = to[m.Provider].Add(m)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("sum counts of messages of %s: %w", at.Project, postgres.Translate(err))
	}
	return now, before, nil
}

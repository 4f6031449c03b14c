package counts

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Sample is the queue of a channel in one minute.
type Sample struct {
	Channel invite.Channel `db:"channel"`
	At      time.Time      `db:"at"`
	Due     int            `db:"due"`      // messages, up to the limit of counting
	OldestS int            `db:"oldest_s"` // seconds since the oldest was due
}

// Oldest is how long the oldest message was due.
func (s Sample) Oldest() time.Duration { return time.Duration(s.OldestS) * time.Second }

// SetSample stores the state of a channel's queue. Of several samples of a minute the worst
// is kept.
func SetSample(ctx context.Context, db postgres.DB, lane invite.Lane, due int, oldest time.Duration) error {
	_, err := db.Exec(ctx, `
		INSERT INTO queue_samples AS x (project_id, livemode, channel, at, due, oldest_s) VALUES ($1, $2, $3, date_trunc('minute', now()), $4, $5)
		ON CONFLICT (project_id, livemode, channel, at) DO UPDATE SET due = greatest(x.due, excluded.due), oldest_s = greatest(x.oldest_s, excluded.oldest_s)`,
		lane.Project, lane.Live, lane.Channel, due, int(oldest.Seconds()))
	if err != nil {
		return fmt.Errorf("store a sample of queue %s: %w", lane, postgres.Translate(err))
	}
	return nil
}

// ListSamples returns the samples since a time, the oldest first.
func ListSamples(ctx context.Context, db postgres.DB, at invite.Place, since time.Time) ([]Sample, error) {
	rows, _ := db.Query(ctx, `SELECT channel, at, due, oldest_s FROM queue_samples WHERE project_id = $1 AND livemode = $2 AND at >= $3 ORDER BY at, channel`,
		at.Project, at.Live, since)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Sample])
	if err != nil {
		return nil, fmt.Errorf("list samples of the queues of %s: %w", at.Project, postgres.Translate(err))
	}
	return list, nil
}

// How long counts are kept.
const (
	invitesKept    = 40 * 24 * time.Hour
	messagesKept   = 15 * 24 * time.Hour
	samplesKept    = 2 * 24 * time.Hour
	excursionsKept = 90 * 24 * time.Hour
)

// DeleteOld deletes counts that no picture shows any more.
func DeleteOld(ctx context.Context, db postgres.DB) error {
	for _, d := range []struct {
		sql  string
		kept time.Duration
	}{
		{`DELETE FROM invite_counts WHERE day < (now() - make_interval(secs => $1))::date`, invitesKept},
		{`DELETE FROM event_counts WHERE bucket < now() - make_interval(secs => $1)`, messagesKept},
		{`DELETE FROM message_counts WHERE bucket < now() - make_interval(secs => $1)`, messagesKept},
		{`DELETE FROM message_counts WHERE domain <> '' AND bucket < now() - make_interval(secs => $1)`, samplesKept},
		{`DELETE FROM queue_samples WHERE at < now() - make_interval(secs => $1)`, samplesKept},
		{`DELETE FROM excursions WHERE resolved_at < now() - make_interval(secs => $1)`, excursionsKept},
	} {
		if _, err := db.Exec(ctx, d.sql, d.kept.Seconds()); err != nil {
			return fmt.Errorf("delete old counts: %w", postgres.Translate(err))
		}
	}
	return nil
}

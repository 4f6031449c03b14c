package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Causes of a gap: why a provider's report may not have reached us.
const (
	GapNoServer   = "no_server"   // no process took callbacks
	GapServerLost = "server_lost" // a process died with posts under way
	GapRefused    = "refused"     // a post was answered with anything but 2xx
	GapLateReport = "late_report" // a report came long after what it reports
)

// CallbackServerExpiry is after how long without a word a process that takes
// callbacks counts as lost. It must exceed several renewals.
const CallbackServerExpiry = 6 * time.Second

// everyScope is the scope of a gap that concerns all providers.
const everyScope = "*"

// GapScope names the callback endpoint of a provider for a project and mode.
func GapScope(provider string, place invite.Place) string {
	return provider + "/" + place.Project + "/" + place.Mode()
}

// RegisterCallbackServer adds a process that takes callbacks from now on. A time
// without any such process ends as a gap.
func RegisterCallbackServer(ctx context.Context, db postgres.DB, id uuid.UUID) error {
	_, err := db.Exec(ctx, `
		WITH gap AS (
			INSERT INTO callback_gaps (scope, cause, ended_at)
			SELECT $3, $4, now() WHERE NOT EXISTS (SELECT FROM callback_servers WHERE seen_at > now() - make_interval(secs => $2))
			ON CONFLICT (scope) DO UPDATE SET cause = excluded.cause, ended_at = excluded.ended_at
		)
		INSERT INTO callback_servers (id) VALUES ($1)`, id, CallbackServerExpiry.Seconds(), everyScope, GapNoServer)
	if err != nil {
		return fmt.Errorf("register callback server: %w", postgres.Translate(err))
	}
	return nil
}

// RenewCallbackServer records that a process still takes callbacks, and removes
// processes that have expired, each of which is a gap that ends now. It returns
// false when the process itself was among them: its row is gone.
func RenewCallbackServer(ctx context.Context, db postgres.DB, id uuid.UUID) (bool, error) {
	var renewed bool
	err := db.QueryRow(ctx, `
		WITH own AS (
			UPDATE callback_servers SET seen_at = now() WHERE id = $1 AND seen_at > now() - make_interval(secs => $2) RETURNING id
		), dead AS (
			DELETE FROM callback_servers WHERE seen_at <= now() - make_interval(secs => $2) RETURNING id
		), gap AS (
			INSERT INTO callback_gaps (scope, cause, ended_at)
			SELECT $3, $4, now() WHERE EXISTS (SELECT FROM dead)
			ON CONFLICT (scope) DO UPDATE SET cause = excluded.cause, ended_at = excluded.ended_at
		)
		SELECT EXISTS (SELECT FROM own)`, id, CallbackServerExpiry.Seconds(), everyScope, GapServerLost).Scan(&renewed)
	if err != nil {
		return false, fmt.Errorf("renew callback server: %w", postgres.Translate(err))
	}
	return renewed, nil
}

// RemoveCallbackServer removes a process that has answered its last callback.
func RemoveCallbackServer(ctx context.Context, db postgres.DB, id uuid.UUID) error {
	if _, err := db.Exec(ctx, `DELETE FROM callback_servers WHERE id = $1`, id); err != nil {
		return fmt.Errorf("remove callback server: %w", postgres.Translate(err))
	}
	return nil
}

// SetGap records that posts to a scope may have been missed until now. It writes
// a scope at most about once a second.
func SetGap(ctx context.Context, db postgres.DB, scope, cause string) error {
	_, err := db.Exec(ctx, `
		INSERT INTO callback_gaps AS g (scope, cause, ended_at) VALUES ($1, $2, now())
		ON CONFLICT (scope) DO UPDATE SET cause = excluded.cause, ended_at = excluded.ended_at
		WHERE g.ended_at < now() - interval '1 second'`, scope, cause)
	if err != nil {
		return fmt.Errorf("record gap of %s: %w", scope, postgres.Translate(err))
	}
	return nil
}

// Reports is what a provider's reports on other attempts say about one that it
// did not report on.
type Reports struct {
	// GapEnded is when posts may last have been missed; zero: not since the
	// attempt began. While no process takes callbacks, or one is overdue, it is now.
	GapEnded time.Time
	// Later is how many of the sampled later attempts were reported on, Span the
	// time between the attempt and the last of them.
	Later int
	Span  time.Duration
	// Missing is how many of the sampled attempts of that time were taken, are old
	// enough, and have no report either.
	Missing int
}

// The sample of other attempts: so many slices of time, and so many of each.
const (
	sampleSlices = 8
	samplePerOne = 50
)

// GetReports samples the other attempts through an account, from lead before
// startedAt up to margin ago, and looks for gaps of the scope since startedAt.
// Younger attempts are left out: their reports may be under way.
func GetReports(ctx context.Context, db postgres.DB, attempt invite.AttemptID, account, scope string, startedAt time.Time, lead, margin time.Duration) (Reports, error) {
	var r Reports
	var gap *time.Time
	var span float64
	err := db.QueryRow(ctx, `
		WITH bounds AS (
			SELECT $3::timestamptz - make_interval(secs => $4) AS low, greatest(now() - make_interval(secs => $5), $3::timestamptz) AS high
		), sample AS (
			SELECT s.started_at, EXISTS (
				SELECT FROM events e WHERE e.invite_id = s.invite_id AND e.attempt_id = s.id AND e.actor = 'provider'
			) AS reported
			FROM bounds b CROSS JOIN generate_series(0, $7::int - 1) AS i CROSS JOIN LATERAL (
				SELECT a.invite_id, a.id, a.started_at FROM attempts a
				WHERE a.started_at >= b.low + (b.high - b.low) * i / $7 AND a.started_at < b.low + (b.high - b.low) * (i + 1) / $7
					AND a.account = $1 AND a.outcome = 'accepted' AND a.id <> $10
				LIMIT $8
			) s
		)
		SELECT
			(SELECT max(ended_at) FROM (
				SELECT ended_at FROM callback_gaps WHERE scope IN ($2, $9) AND ended_at >= $3
				UNION ALL
				SELECT now() WHERE EXISTS (SELECT FROM callback_servers WHERE seen_at <= now() - make_interval(secs => $6))
					OR NOT EXISTS (SELECT FROM callback_servers)
			) g),
			(SELECT count(*) FROM sample WHERE reported AND started_at > $3),
			(SELECT coalesce(extract(epoch FROM max(started_at) - $3), 0)::float8 FROM sample WHERE reported AND started_at > $3),
			(SELECT count(*) FROM sample WHERE NOT reported)`,
		account, scope, startedAt, lead.Seconds(), margin.Seconds(), CallbackServerExpiry.Seconds(), sampleSlices, samplePerOne, everyScope, attempt).
		Scan(&gap, &r.Later, &span, &r.Missing)
	if err != nil {
		return Reports{}, fmt.Errorf("look for reports of %s: %w", account, postgres.Translate(err))
	}
	if gap != nil {
		r.GapEnded = *gap
	}
	r.Span = time.Duration(span * float64(time.Second))
	return r, nil
}

package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
)

// JobState is River's word for where a background job stands.
type JobState string

// The states that are counted.
const (
	JobAvailable JobState = "available"
	JobRunning   JobState = "running"
	JobScheduled JobState = "scheduled"
	JobRetryable JobState = "retryable" // failed, and to be tried again
	JobDiscarded JobState = "discarded" // failed for good
)

// Jobs is how many background jobs are in a state, up to a limit.
type Jobs struct {
	State JobState `db:"state"`
	N     int      `db:"n"`
	More  bool     `db:"more"` // there are more than N
}

// jobsCounted is where counting jobs stops.
const jobsCounted = 1000

// ListJobs counts the background jobs of all projects that are ready, running,
// or failed for good, by state. Completed ones are not counted: there are many.
func ListJobs(ctx context.Context, db postgres.DB) ([]Jobs, error) {
	rows, _ := db.Query(ctx, `
		SELECT s.state::text AS state, least(count(j.state), $1)::int AS n, count(j.state) > $1 AS more
		FROM unnest($2::text[]::river.river_job_state[]) WITH ORDINALITY s (state, place)
			LEFT JOIN LATERAL (SELECT state FROM river.river_job WHERE state = s.state LIMIT $1 + 1) j ON true
		GROUP BY s.state, s.place ORDER BY s.place`,
		jobsCounted, []JobState{JobAvailable, JobRunning, JobScheduled, JobRetryable, JobDiscarded})
	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByName[Jobs])
	if err != nil {
		return nil, fmt.Errorf("count background jobs: %w", postgres.Translate(err))
	}
	return jobs, nil
}

// JobAge is how long the oldest due job of a queue has been due; 0 when none is.
type JobAge struct {
	Queue string
	Age   time.Duration
}

// jobPriorities are River's: 1 comes first.
const jobPriorities = 4

// ListJobAges returns the age of each queue, in the order of the names. Each
// state and priority is one probe of River's fetching index, so the time taken
// does not depend on how many jobs wait.
func ListJobAges(ctx context.Context, db postgres.DB, queues []string) ([]JobAge, error) {
	rows, _ := db.Query(ctx, `
		SELECT q.name, coalesce(greatest(extract(epoch FROM now() - min(j.scheduled_at)), 0), 0)::float8
		FROM unnest($1::text[]) WITH ORDINALITY q (name, place)
			CROSS JOIN unnest($2::text[]::river.river_job_state[]) s (state)
			CROSS JOIN generate_series(1, $3::int) p (priority)
			LEFT JOIN LATERAL (
				SELECT scheduled_at FROM river.river_job
				WHERE state = s.state AND queue = q.name AND priority = p.priority
				ORDER BY scheduled_at, id LIMIT 1
			) j ON true
		GROUP BY q.name, q.place ORDER BY q.place`,
		queues, []JobState{JobAvailable, JobScheduled, JobRetryable}, jobPriorities)
	ages, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (JobAge, error) {
		var a JobAge
		var s float64
		err := row.Scan(&a.Queue, &s)
		a.Age = time.Duration(s * float64(time.Second))
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("measure %d background queues: %w", len(queues), postgres.Translate(err))
	}
	return ages, nil
}

// AdoptEvents moves up to n pending jobs of a kind from queues whose names begin with
// prefix to the queue into, and returns how many it moved. It goes along River's fetching
// index, from one queue to the next, so the time taken does not depend on how many
// other jobs wait.
func AdoptEvents(ctx context.Context, db postgres.DB, kind, prefix, into string, n int) (int, error) {
	tag, err := db.Exec(ctx, `
		WITH RECURSIVE queues AS (
			SELECT s AS state, (SELECT queue FROM river.river_job WHERE state = s AND queue > $2 ORDER BY queue LIMIT 1) AS queue
			FROM unnest($4::text[]::river.river_job_state[]) s
			UNION ALL
			SELECT q.state, (SELECT queue FROM river.river_job WHERE state = q.state AND queue > q.queue ORDER BY queue LIMIT 1)
			FROM queues q WHERE starts_with(q.queue, $2)
		), adopted AS (
			SELECT j.id FROM queues q CROSS JOIN generate_series(1, $6::int) p (priority) CROSS JOIN LATERAL (
				SELECT id FROM river.river_job WHERE state = q.state AND queue = q.queue AND priority = p.priority AND kind = $1
				ORDER BY scheduled_at, id LIMIT $5 FOR UPDATE SKIP LOCKED) j
			WHERE starts_with(q.queue, $2) LIMIT $5
		)
		UPDATE river.river_job SET queue = $3 WHERE id = ANY(ARRAY(SELECT id FROM adopted))`,
		kind, prefix, into, []JobState{JobAvailable, JobScheduled, JobRetryable}, n, jobPriorities)
	if err != nil {
		return 0, fmt.Errorf("adopt events of an earlier version: %w", postgres.Translate(err))
	}
	return int(tag.RowsAffected()), nil
}

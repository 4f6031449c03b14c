package queue

import (
	"context"
	"fmt"

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

// ListJobs counts the background jobs of all projects that are to be done, being
// done, or given up, by state. What is done is not counted: there is much of it.
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

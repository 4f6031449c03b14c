package worker

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/store/queue"
)

const (
	// putOffWithin is for how long after it happened an event may be put off by
	// Retry-After. A pause that was asked for does not count as an attempt.
	putOffWithin = 3 * 24 * time.Hour
	// adoptedAtOnce bounds one statement that adopts webhooks.
	adoptedAtOnce = 500
)

// handOver hands a webhook that an earlier version enqueued to its endpoint. River's
// log names those that failed for good.
func handOver(ctx context.Context, c *publish.Courier, j *river.Job[job.Publish]) error {
	err := c.HandOver(ctx, j.Args, j.CreatedAt)
	var failed *publish.AttemptError
	switch {
	case errors.Is(err, publish.ErrGone) || errors.As(err, &failed) && failed.IsFinal():
		return river.JobCancel(err)
	case failed != nil && failed.RetryAfter > 0 && time.Since(j.CreatedAt) < putOffWithin:
		return river.JobSnooze(failed.RetryAfter)
	}
	return err
}

// adoptEvents moves the webhooks that earlier versions left, or enqueue while this one
// starts, to the queue that this version runs, in batches.
func adoptEvents(ctx context.Context, db postgres.DB) (total int, err error) {
	for {
		n, err := queue.AdoptEvents(ctx, db, job.Publish{}.Kind(), job.EventsPrefix, job.QueueEvents, adoptedAtOnce)
		total += n
		if err != nil || n < adoptedAtOnce {
			return total, err
		}
	}
}

// Package worker is the inbound edge of background work: it binds River's
// jobs and periodic tasks to use cases. It decides nothing itself.
//
// Deliveries are not among its jobs: see package dispatch.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/migrations"
)

// How often periodic work runs, and how long one run may take.
const (
	pollEvery   = 5 * time.Second
	expireEvery = 5 * time.Second
	// Who asks about a message just sent sees its receipt seconds later.
	receiptsEvery = 5 * time.Second
	fallBackEvery = 5 * time.Second
	remindEvery   = 5 * time.Second
	redactEvery   = time.Minute
	retireEvery   = 10 * time.Minute
	tidyEvery     = time.Hour
	maxWorkers    = 16
	runTimeout    = 30 * time.Second
	// longRun is for what has one call, or one batch, after the other to make.
	longRun = 8 * time.Minute
	// stopWithin bounds how long running jobs may finish at a stop.
	stopWithin = 5 * time.Second
)

// Params are what the workers need.
type Params struct {
	DB      *pgxpool.Pool
	Track   *track.Tracker
	Courier *publish.Courier
	Issue   *issue.Service
	Erase   *erase.Service
	Log     *slog.Logger
}

// NewInserter makes a River client that only puts jobs in: use cases need one
// before the workers that call them back can exist.
func NewInserter(db *pgxpool.Pool, log *slog.Logger) (*river.Client[pgx.Tx], error) {
	c, err := river.NewClient(riverpgxv5.New(db), &river.Config{Schema: migrations.RiverSchema, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("make River's inserter: %w", err)
	}
	return c, nil
}

// Run works until ctx ends, then lets running jobs finish for a moment.
func Run(ctx context.Context, p Params) error {
	// River reports its own counts every few seconds at info; its metrics and
	// tables say the same to whoever asks.
	quiet := slog.New(above{p.Log.Handler(), slog.LevelWarn})
	client, err := river.NewClient(riverpgxv5.New(p.DB), &river.Config{
		Schema:       migrations.RiverSchema,
		Logger:       quiet,
		Queues:       map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxWorkers}},
		Workers:      bind(p),
		JobTimeout:   runTimeout,
		PeriodicJobs: periodic(),
	})
	if err != nil {
		return fmt.Errorf("make River's client: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("start River: %w", err)
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := client.StopAndCancel(stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop River: %w", err)
	}
	return nil
}

func periodic() []*river.PeriodicJob {
	every := func(d time.Duration, args func() river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(d), func() (river.JobArgs, *river.InsertOpts) {
			// One at a time: a run that is late must not be met by the next one.
			return args(), &river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByPeriod: d}}
		}, &river.PeriodicJobOpts{RunOnStart: true})
	}
	return []*river.PeriodicJob{
		every(pollEvery, func() river.JobArgs { return job.Poll{} }),
		every(expireEvery, func() river.JobArgs { return job.Expire{} }),
		every(receiptsEvery, func() river.JobArgs { return job.Receipts{} }),
		every(fallBackEvery, func() river.JobArgs { return job.FallBack{} }),
		every(remindEvery, func() river.JobArgs { return job.Remind{} }),
		every(redactEvery, func() river.JobArgs { return job.Redact{} }),
		every(retireEvery, func() river.JobArgs { return job.Retire{} }),
		every(tidyEvery, func() river.JobArgs { return job.Tidy{} }),
	}
}

// task is a River worker that is one function.
type task[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	do     func(context.Context, *river.Job[T]) error
	within time.Duration
	again  func(attempt int) time.Duration // the pause after a try; nil is River's own
}

// Work implements river.Worker.
func (t *task[T]) Work(ctx context.Context, j *river.Job[T]) error { return t.do(ctx, j) }

// Timeout implements river.Worker.
func (t *task[T]) Timeout(*river.Job[T]) time.Duration { return t.within }

// NextRetry implements river.Worker; the zero time is River's own choice.
func (t *task[T]) NextRetry(j *river.Job[T]) time.Time {
	if t.again == nil {
		return time.Time{}
	}
	return time.Now().Add(t.again(j.Attempt))
}

// add binds a kind of job to what carries it out.
func add[T river.JobArgs](w *river.Workers, do func(context.Context, T) error) {
	river.AddWorker(w, &task[T]{within: runTimeout, do: func(ctx context.Context, j *river.Job[T]) error { return do(ctx, j.Args) }})
}

// addRun binds a kind of job that has no arguments to a run that counts what it
// did; within is how long one may take.
func addRun[T river.JobArgs](w *river.Workers, within time.Duration, run func(context.Context) (int, error)) {
	river.AddWorker(w, &task[T]{within: within, do: func(ctx context.Context, _ *river.Job[T]) error {
		_, err := run(ctx)
		return err
	}})
}

// bind is which use case each kind of job calls.
func bind(p Params) *river.Workers {
	w := river.NewWorkers()
	river.AddWorker(w, &task[job.Publish]{within: runTimeout, do: func(ctx context.Context, j *river.Job[job.Publish]) error {
		err := p.Courier.Deliver(ctx, j.Args, j.CreatedAt)
		if errors.Is(err, publish.ErrGone) {
			return river.JobCancel(err)
		}
		return err
	}})
	river.AddWorker(w, &task[job.Confirm]{
		within: runTimeout,
		do: func(ctx context.Context, j *river.Job[job.Confirm]) error {
			return p.Track.Settle(ctx, track.Check{InviteID: j.Args.InviteID, AccountID: j.Args.AccountID})
		},
		// A person waits for this confirmation, so the first tries come fast.
		again: func(attempt int) time.Duration { return min(2*time.Second<<min(attempt, 10), 10*time.Minute) },
	})
	add(w, func(ctx context.Context, j job.EraseAgain) error { return p.Erase.Again(ctx, j.Invites) })
	add(w, func(ctx context.Context, _ job.Tidy) error { return p.Track.ReleaseOld(ctx) })
	add(w, func(ctx context.Context, _ job.Receipts) error {
		_, joined := p.Track.Join(ctx)
		_, silence := p.Track.Silence(ctx)
		return errors.Join(joined, silence)
	})
	addRun[job.Poll](w, runTimeout, p.Track.Poll)
	addRun[job.Expire](w, runTimeout, p.Track.Expire)
	addRun[job.FallBack](w, runTimeout, p.Issue.FallBack)
	addRun[job.Remind](w, runTimeout, p.Issue.Remind)
	addRun[job.Redact](w, longRun, p.Erase.Redact)
	addRun[job.Retire](w, longRun, p.Erase.Retire)
	return w
}

// above passes on only what is at least as grave as its level.
type above struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (h above) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

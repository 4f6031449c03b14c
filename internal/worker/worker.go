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
	workers := river.NewWorkers()
	// River reports its own counts every few seconds at info; its metrics and
	// tables say the same to whoever asks.
	quiet := slog.New(above{p.Log.Handler(), slog.LevelWarn})
	river.AddWorker(workers, &publisher{courier: p.Courier})
	river.AddWorker(workers, &confirmer{track: p.Track})
	river.AddWorker(workers, &poller{track: p.Track})
	river.AddWorker(workers, &expirer{track: p.Track})
	river.AddWorker(workers, &receiver{track: p.Track})
	river.AddWorker(workers, &fallbacker{issue: p.Issue})
	river.AddWorker(workers, &reminder{issue: p.Issue})
	river.AddWorker(workers, &eraser{erase: p.Erase})
	river.AddWorker(workers, &redactor{erase: p.Erase})
	river.AddWorker(workers, &retirer{erase: p.Erase})
	river.AddWorker(workers, &tidier{track: p.Track})
	client, err := river.NewClient(riverpgxv5.New(p.DB), &river.Config{
		Schema:       migrations.RiverSchema,
		Logger:       quiet,
		Queues:       map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxWorkers}},
		Workers:      workers,
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

type publisher struct {
	river.WorkerDefaults[job.Publish]
	courier *publish.Courier
}

// Work implements river.Worker.
func (w *publisher) Work(ctx context.Context, j *river.Job[job.Publish]) error {
	err := w.courier.Deliver(ctx, j.Args, j.CreatedAt)
	if errors.Is(err, publish.ErrGone) {
		return river.JobCancel(err)
	}
	return err
}

type confirmer struct {
	river.WorkerDefaults[job.Confirm]
	track *track.Tracker
}

// Work implements river.Worker.
func (w *confirmer) Work(ctx context.Context, j *river.Job[job.Confirm]) error {
	return w.track.Settle(ctx, track.Check{InviteID: j.Args.InviteID, AccountID: j.Args.AccountID})
}

// NextRetry implements river.Worker: a person waits for this confirmation, so
// the first tries come fast.
func (w *confirmer) NextRetry(j *river.Job[job.Confirm]) time.Time {
	pause := min(2*time.Second<<min(j.Attempt, 10), 10*time.Minute)
	return time.Now().Add(pause)
}

type poller struct {
	river.WorkerDefaults[job.Poll]
	track *track.Tracker
}

// Work implements river.Worker.
func (w *poller) Work(ctx context.Context, _ *river.Job[job.Poll]) error {
	_, err := w.track.Poll(ctx)
	return err
}

type expirer struct {
	river.WorkerDefaults[job.Expire]
	track *track.Tracker
}

// Work implements river.Worker.
func (w *expirer) Work(ctx context.Context, _ *river.Job[job.Expire]) error {
	_, err := w.track.Expire(ctx)
	return err
}

type receiver struct {
	river.WorkerDefaults[job.Receipts]
	track *track.Tracker
}

// Work implements river.Worker.
func (w *receiver) Work(ctx context.Context, _ *river.Job[job.Receipts]) error {
	_, joined := w.track.Join(ctx)
	_, silence := w.track.Silence(ctx)
	return errors.Join(joined, silence)
}

type fallbacker struct {
	river.WorkerDefaults[job.FallBack]
	issue *issue.Service
}

// Work implements river.Worker.
func (w *fallbacker) Work(ctx context.Context, _ *river.Job[job.FallBack]) error {
	_, err := w.issue.FallBack(ctx)
	return err
}

type reminder struct {
	river.WorkerDefaults[job.Remind]
	issue *issue.Service
}

// Work implements river.Worker.
func (w *reminder) Work(ctx context.Context, _ *river.Job[job.Remind]) error {
	_, err := w.issue.Remind(ctx)
	return err
}

type eraser struct {
	river.WorkerDefaults[job.EraseAgain]
	erase *erase.Service
}

// Work implements river.Worker.
func (w *eraser) Work(ctx context.Context, j *river.Job[job.EraseAgain]) error {
	return w.erase.Again(ctx, j.Args.Invites)
}

type redactor struct {
	river.WorkerDefaults[job.Redact]
	erase *erase.Service
}

// Work implements river.Worker.
func (w *redactor) Work(ctx context.Context, _ *river.Job[job.Redact]) error {
	_, err := w.erase.Redact(ctx)
	return err
}

// Timeout implements river.Worker.
func (*redactor) Timeout(*river.Job[job.Redact]) time.Duration { return longRun }

type retirer struct {
	river.WorkerDefaults[job.Retire]
	erase *erase.Service
}

// Work implements river.Worker.
func (w *retirer) Work(ctx context.Context, _ *river.Job[job.Retire]) error {
	_, err := w.erase.Retire(ctx)
	return err
}

// Timeout implements river.Worker.
func (*retirer) Timeout(*river.Job[job.Retire]) time.Duration { return longRun }

type tidier struct {
	river.WorkerDefaults[job.Tidy]
	track *track.Tracker
}

// Work implements river.Worker.
func (w *tidier) Work(ctx context.Context, _ *river.Job[job.Tidy]) error {
	return w.track.ReleaseOld(ctx)
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

// Package worker is the inbound edge of background work: it binds River's
// jobs and periodic tasks to use cases. It decides nothing itself.
//
// Deliveries are not among its jobs: see package dispatch.
//
// # How to add background work
//
// Add the arguments to package job, with the queue that they belong to, and one
// line to bind that calls a use case. Periodic work also gets its interval below.
// Arguments hold ids only: they are stored in the clear. The use case must stand
// a second run, and end within runTimeout.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/connectlink/connectlink/internal/audit"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/firewall"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/survey"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/warn"
	"github.com/connectlink/connectlink/migrations"
)

// How often periodic work runs, and how long one run may take.
const (
	pollEvery   = 5 * time.Second
	expireEvery = 5 * time.Second
	// Who asks about a message just sent sees its receipt seconds later.
	receiptsEvery  = 5 * time.Second
	fallBackEvery  = 5 * time.Second
	remindEvery    = 5 * time.Second
	watchEvery     = 15 * time.Second
	reconnectEvery = 5 * time.Second
	// Who confirms a bulk act looks at its progress.
	bulkEvery     = 5 * time.Second
	redactEvery   = time.Minute
	hashEvery     = 10 * time.Minute
	adoptEvery    = time.Minute
	warnEvery     = 15 * time.Second
	warnKeysEvery = 10 * time.Minute
	chainEvery    = 15 * time.Second // an entry can be removed without a trace for as long
	judgeEvery    = 10 * time.Second
	surveyEvery   = 5 * time.Second // the console names the age of its counts
	retireEvery   = 10 * time.Minute
	tidyEvery     = time.Hour
	runTimeout    = 30 * time.Second
	// longRun is for jobs that make one call, or one batch, after the other.
	longRun = 8 * time.Minute
	// stopWithin bounds how long running jobs may finish at a stop.
	stopWithin = 5 * time.Second
	// rescueAfter is when a job of a process that died is run again. It must
	// exceed longRun.
	rescueAfter = 10 * time.Minute
)

// How many jobs of a queue one process runs at once.
const (
	otherWorkers    = 4  // erasures, and what an earlier version enqueued
	confirmWorkers  = 16 // each waits for Pipedream
	periodicWorkers = 18 // one for each kind, and one more for bulk acts, which take minutes as three others do
	eventsWorkers   = 8  // webhooks that an earlier version enqueued
)

// How often queues are looked at without a notification; see fetchPoll.
const (
	retryPoll    = 2 * time.Second
	periodicPoll = 5 * time.Second
)

// Params are what the workers need.
type Params struct {
	DB       *pgxpool.Pool
	Track    *track.Tracker
	Courier  *publish.Courier
	Issue    *issue.Service
	Erase    *erase.Service
	Warn     *warn.Service
	Audit    *audit.Service
	Firewall *firewall.Service
	Survey   *survey.Service
	Staff    *grant.Staff
	// Pooled is for a DB behind a transaction pooler: there LISTEN hears nothing,
	// so new jobs are found by polling.
	Pooled  bool
	Metrics prometheus.Registerer // may be nil
	Log     *slog.Logger
	// StartWithin is how long a start waits for the database; 0: one try.
	StartWithin time.Duration
}

// Worker runs background jobs. It is safe for concurrent use.
type Worker struct {
	p      Params
	queues []string
	watch  *backlog
}

// New makes a Worker; Run starts it.
func New(p Params) *Worker {
	queues := []string{river.QueueDefault, job.QueueConfirm, job.QueuePeriodic, job.QueueEvents}
	return &Worker{p: p, queues: queues, watch: newBacklog(p, queues)}
}

// Ready returns an error while due jobs of a queue wait although this process
// runs none of them: its workers do not work.
func (w *Worker) Ready() error { return w.watch.ready() }

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
func (w *Worker) Run(ctx context.Context) error {
	// River reports its own counts every few seconds at info; its metrics and
	// tables say the same.
	quiet := slog.New(above{w.p.Log.Handler(), slog.LevelWarn})
	client, err := w.start(ctx, &river.Config{
		Schema:               migrations.RiverSchema,
		Logger:               quiet,
		Queues:               w.bounds(),
		Workers:              bind(w.p, w.watch),
		JobTimeout:           runTimeout,
		RescueStuckJobsAfter: rescueAfter,
		PollOnly:             w.p.Pooled,
		PeriodicJobs:         periodic(),
	})
	if err != nil {
		return err
	}
	w.watch.run(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := client.StopAndCancel(stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop River: %w", err)
	}
	return nil
}

// bounds returns the workers of each queue.
func (w *Worker) bounds() map[string]river.QueueConfig {
	out := make(map[string]river.QueueConfig, len(w.queues))
	for _, q := range w.queues {
		n := eventsWorkers
		switch q {
		case river.QueueDefault:
			n = otherWorkers
		case job.QueueConfirm:
			n = confirmWorkers
		case job.QueuePeriodic:
			n = periodicWorkers
		}
		out[q] = river.QueueConfig{MaxWorkers: n, FetchPollInterval: w.fetchPoll(q)}
	}
	return out
}

// fetchPoll returns how often a queue is looked at without a notification. Periodic work
// is followed by the next of its kind, webhooks of an earlier version are adopted every
// minute, and for the rest a retry may be late by that.
func (w *Worker) fetchPoll(q string) time.Duration {
	switch {
	case w.p.Pooled:
		return 0
	case q == job.QueuePeriodic || q == job.QueueEvents:
		return periodicPoll
	}
	return retryPoll
}

func periodic() []*river.PeriodicJob {
	every := func(d time.Duration, args func() river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(d), func() (river.JobArgs, *river.InsertOpts) {
			// One at a time: a run that is late must not be met by the next one.
			return args(), &river.InsertOpts{MaxAttempts: 1, Queue: job.QueuePeriodic, UniqueOpts: river.UniqueOpts{ByPeriod: d}}
		}, &river.PeriodicJobOpts{RunOnStart: true})
	}
	return []*river.PeriodicJob{
		every(pollEvery, func() river.JobArgs { return job.Poll{} }),
		every(expireEvery, func() river.JobArgs { return job.Expire{} }),
		every(receiptsEvery, func() river.JobArgs { return job.Receipts{} }),
		every(fallBackEvery, func() river.JobArgs { return job.FallBack{} }),
		every(remindEvery, func() river.JobArgs { return job.Remind{} }),
		every(watchEvery, func() river.JobArgs { return job.Watch{} }),
		every(reconnectEvery, func() river.JobArgs { return job.Reconnect{} }),
		every(bulkEvery, func() river.JobArgs { return job.RunBulk{} }),
		every(hashEvery, func() river.JobArgs { return job.HashUsers{} }),
		every(redactEvery, func() river.JobArgs { return job.Redact{} }),
		every(adoptEvery, func() river.JobArgs { return job.AdoptEvents{} }),
		every(warnEvery, func() river.JobArgs { return job.Warn{} }),
		every(warnKeysEvery, func() river.JobArgs { return job.WarnKeys{} }),
		every(chainEvery, func() river.JobArgs { return job.ChainAudit{} }),
		every(judgeEvery, func() river.JobArgs { return job.JudgeTraffic{} }),
		every(surveyEvery, func() river.JobArgs { return job.Survey{} }),
		every(retireEvery, func() river.JobArgs { return job.Retire{} }),
		every(tidyEvery, func() river.JobArgs { return job.Tidy{} }),
	}
}

// task is a River worker that is one function: river.WorkFunc with a time limit, a
// schedule of retries and a gauge of its own, which that one cannot be given.
type task[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	do     func(context.Context, *river.Job[T]) error
	within time.Duration
	again  func(attempt int) time.Duration // the pause after an attempt; nil is River's own
	watch  *backlog
}

// Work implements river.Worker.
func (t *task[T]) Work(ctx context.Context, j *river.Job[T]) error {
	defer t.watch.enter(j.Queue)()
	return t.do(ctx, j)
}

// Timeout implements river.Worker.
func (t *task[T]) Timeout(*river.Job[T]) time.Duration { return t.within }

// NextRetry implements river.Worker; the zero time is River's own choice.
func (t *task[T]) NextRetry(j *river.Job[T]) time.Time {
	if t.again == nil {
		return time.Time{}
	}
	return time.Now().Add(t.again(j.Attempt))
}

// binder collects what carries out each kind of job.
type binder struct {
	workers *river.Workers
	watch   *backlog
}

// bind maps each kind of job to its use case.
func bind(p Params, watch *backlog) *river.Workers {
	b := binder{river.NewWorkers(), watch}
	river.AddWorker(b.workers, &task[job.Publish]{watch: watch, within: runTimeout, do: func(ctx context.Context, j *river.Job[job.Publish]) error {
		return handOver(ctx, p.Courier, j)
	}})
	river.AddWorker(b.workers, &task[job.Confirm]{
		watch: watch, within: runTimeout,
		do: func(ctx context.Context, j *river.Job[job.Confirm]) error {
			return p.Track.Settle(ctx, track.Check{InviteID: j.Args.InviteID, AccountID: j.Args.AccountID})
		},
		// A person waits for this confirmation, so the first attempts come fast.
		again: func(attempt int) time.Duration { return min(2*time.Second<<min(attempt, 10), 10*time.Minute) },
	})
	bindArgs(b, func(ctx context.Context, j job.EraseAgain) error { return p.Erase.Again(ctx, j.Invites) })
	bindArgs(b, func(ctx context.Context, _ job.Tidy) error {
		return errors.Join(p.Track.ReleaseOld(ctx), p.Courier.DeleteOld(ctx), p.Warn.DeleteOld(ctx), p.Firewall.DeleteOld(ctx), p.Survey.DeleteOld(ctx), p.Staff.DropOld(ctx), p.Issue.DeleteOldBulk(ctx))
	})
	bindArgs(b, func(ctx context.Context, _ job.Receipts) error {
		_, joined := p.Track.Join(ctx)
		_, silence := p.Track.Silence(ctx)
		return errors.Join(joined, silence)
	})
	bindRun[job.AdoptEvents](b, runTimeout, func(ctx context.Context) (int, error) { return adoptEvents(ctx, p.DB) })
	bindRun[job.Poll](b, runTimeout, p.Track.Poll)
	bindRun[job.Expire](b, runTimeout, p.Track.Expire)
	bindRun[job.FallBack](b, runTimeout, p.Issue.FallBack)
	bindRun[job.Remind](b, runTimeout, p.Issue.Remind)
	bindRun[job.Warn](b, runTimeout, p.Warn.Tell)
	bindRun[job.WarnKeys](b, runTimeout, p.Warn.TellKeys)
	bindRun[job.ChainAudit](b, longRun, p.Audit.Extend)
	bindRun[job.JudgeTraffic](b, runTimeout, p.Firewall.Judge)
	bindRun[job.Survey](b, runTimeout, p.Survey.Run)
	bindRun[job.Watch](b, runTimeout, p.Track.WatchConnections)
	bindRun[job.Reconnect](b, runTimeout, p.Issue.ReconnectUnhealthy)
	bindRun[job.RunBulk](b, longRun, p.Issue.RunBulk)
	bindRun[job.HashUsers](b, longRun, p.Issue.HashUsers)
	bindRun[job.Redact](b, longRun, p.Erase.Redact)
	bindRun[job.Retire](b, longRun, p.Erase.Retire)
	return b.workers
}

// bindArgs binds a kind of job to a function of its arguments.
func bindArgs[T river.JobArgs](b binder, do func(context.Context, T) error) {
	river.AddWorker(b.workers, &task[T]{watch: b.watch, within: runTimeout, do: func(ctx context.Context, j *river.Job[T]) error { return do(ctx, j.Args) }})
}

// bindRun binds a kind of job without arguments to a run that counts what it
// did; within bounds the duration of one run.
func bindRun[T river.JobArgs](b binder, within time.Duration, run func(context.Context) (int, error)) {
	river.AddWorker(b.workers, &task[T]{watch: b.watch, within: within, do: func(ctx context.Context, _ *river.Job[T]) error {
		_, err := run(ctx)
		return err
	}})
}

// above passes on lines of at least its level.
type above struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (h above) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

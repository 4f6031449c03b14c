package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/queue"
)

const (
	// measureEvery is how often the age of the queues is measured.
	measureEvery = 5 * time.Second
	// lateAfter is the age of the oldest due job from which a queue is reported
	// as late, once every reportEvery.
	lateAfter   = 30 * time.Second
	reportEvery = time.Minute
	// stalledAfter is the age from which a process that runs no job of the queue
	// is not ready.
	stalledAfter = time.Minute
	// silentAfter is how long a process stays ready without a measurement.
	silentAfter = 30 * time.Second
)

// ErrStalled: due jobs wait, and this process runs none of them.
var ErrStalled = errors.New("background jobs are due and none is run")

// backlog measures how long the jobs of each queue have been due.
type backlog struct {
	db      postgres.DB
	log     *slog.Logger
	queues  []string
	running map[string]*atomic.Int64 // jobs that this process runs, by queue
	oldest  *prometheus.GaugeVec
	active  *prometheus.GaugeVec

	mu       sync.Mutex
	measured time.Time // zero before the first measurement
	idle     map[string]time.Time
	stalled  string // a queue, or ""
	reported map[string]time.Time
}

func newBacklog(p Params, queues []string) *backlog {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "connectlink", Subsystem: "jobs", Name: name, Help: help}, []string{"queue"})
	}
	b := &backlog{
		db: p.DB, log: p.Log, queues: queues, running: make(map[string]*atomic.Int64, len(queues)),
		idle: make(map[string]time.Time), reported: make(map[string]time.Time),
		oldest: gauge("oldest_due_seconds", "Age of the oldest due background job, by queue."),
		active: gauge("running", "Background jobs that this process runs, by queue."),
	}
	for _, q := range queues {
		b.running[q] = new(atomic.Int64)
	}
	if p.Metrics != nil {
		p.Metrics.MustRegister(b.oldest, b.active)
	}
	return b
}

// enter counts a job that begins; the function it returns counts its end.
func (b *backlog) enter(name string) func() {
	n, ok := b.running[name]
	if !ok {
		return func() {}
	}
	n.Add(1)
	return func() { n.Add(-1) }
}

// run measures until ctx ends.
func (b *backlog) run(ctx context.Context) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	b.measure(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			b.measure(ctx)
		}
	}
}

func (b *backlog) measure(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, measureEvery)
	defer cancel()
	ages, err := queue.ListJobAges(call, b.db, b.queues)
	if err != nil {
		if ctx.Err() == nil {
			b.log.WarnContext(ctx, "measure background queues", "err", err)
		}
		return
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.measured, b.stalled = now, ""
	for _, a := range ages {
		active := b.running[a.Queue].Load()
		b.oldest.WithLabelValues(a.Queue).Set(a.Age.Seconds())
		b.active.WithLabelValues(a.Queue).Set(float64(active))
		if active > 0 || a.Age == 0 {
			b.idle[a.Queue] = now
		}
		since, known := b.idle[a.Queue]
		if !known {
			b.idle[a.Queue], since = now, now
		}
		// Old jobs alone prove nothing about this process: they may have piled up
		// while no process ran.
		if a.Age >= stalledAfter && now.Sub(since) >= stalledAfter {
			b.stalled = a.Queue
		}
		if a.Age >= lateAfter && now.Sub(b.reported[a.Queue]) >= reportEvery {
			b.reported[a.Queue] = now
			b.log.WarnContext(ctx, "background queue is late", "queue", a.Queue, "oldest_due_s", int(a.Age.Seconds()), "running", active)
		}
	}
}

// ready returns an error that names a stalled queue, or says that the queues
// could not be measured for silentAfter. Before the first measurement there is none.
func (b *backlog) ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stalled != "" {
		return fmt.Errorf("queue %s: %w", b.stalled, ErrStalled)
	}
	if !b.measured.IsZero() && time.Since(b.measured) > silentAfter {
		return errors.New("the background queues could not be measured")
	}
	return nil
}

package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/publish"
)

// putOffWithin is for how long after it happened an event may be put off by
// Retry-After. A pause that was asked for does not count as an attempt.
const putOffWithin = 3 * 24 * time.Hour

// poster posts events and records each attempt that failed.
type poster struct {
	courier  *publish.Courier
	log      *slog.Logger
	attempts *prometheus.CounterVec
}

func newPoster(p Params) *poster {
	w := &poster{courier: p.Courier, log: p.Log, attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "connectlink", Subsystem: "webhook", Name: "attempts_total", Help: "Posts of events to products, by outcome.",
	}, []string{"outcome"})}
	if p.Metrics != nil {
		p.Metrics.MustRegister(w.attempts)
	}
	return w
}

// post makes one attempt. A product that answers 410 is not asked again; one that
// names a time is asked then.
func (w *poster) post(ctx context.Context, j *river.Job[job.Publish]) error {
	err := w.courier.Deliver(ctx, j.Args, j.CreatedAt)
	var failed *publish.AttemptError
	switch {
	case err == nil:
		w.attempts.WithLabelValues("taken").Inc()
		return nil
	case errors.Is(err, publish.ErrGone):
		return river.JobCancel(err)
	case !errors.As(err, &failed):
		return err // ours: the database, or the event itself
	}
	outcome := "refused"
	if failed.Status == 0 {
		outcome = "no_answer"
	}
	w.attempts.WithLabelValues(outcome).Inc()
	w.log.WarnContext(ctx, "webhook attempt failed", "event", j.Args.EventID, "invite", j.Args.InviteID, "type", j.Args.Type,
		"queue", j.Queue, "attempt", j.Attempt, "of", j.MaxAttempts, "status", failed.Status, "retry_after_s", int(failed.RetryAfter.Seconds()), "err", err)
	switch {
	case failed.IsFinal():
		return river.JobCancel(err)
	case failed.RetryAfter > 0 && time.Since(j.CreatedAt) < putOffWithin:
		return river.JobSnooze(failed.RetryAfter)
	}
	return err
}

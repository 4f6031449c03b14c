package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/endpoint"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/trace"
)

const (
	// eachEndpoint bounds the posts of one process to one endpoint at a time. A dead
	// one occupies as many for the length of the time limit, and no other waits for it.
	eachEndpoint = 8
	// deliveryLease is how long a claimed delivery is this process's: longer than a
	// post and recording it may take.
	deliveryLease = time.Minute
	// lookEvery is how often the queue is looked at without a wake.
	lookEvery = time.Second
	// restFor is how long an endpoint is left alone after an error of ours: its queue
	// would otherwise be leased, all of it, without a post.
	restFor = 30 * time.Second
	// recordWithin bounds recording an attempt, also after the process was told to stop.
	recordWithin = 10 * time.Second
)

// RunnerParams are what a Runner needs.
type RunnerParams struct {
	DB interface {
		postgres.DB
		postgres.Beginner
	}
	Box     *seal.Box
	Project func(id string) (config.Project, bool)
	Courier *Courier
	Tracer  *trace.Tracer         // nil: records nothing
	Metrics prometheus.Registerer // may be nil
	Log     *slog.Logger
	Now     func() time.Time
}

// Runner posts the events that wait for webhook endpoints. It is safe for concurrent use.
type Runner struct {
	p        RunnerParams
	log      *Log
	wake     chan struct{}
	attempts *prometheus.CounterVec
	disabled prometheus.Counter
	oldest   prometheus.Gauge

	mu      sync.Mutex
	busy    map[invite.EndpointID]int
	resting map[invite.EndpointID]time.Time // until when
	posting sync.WaitGroup
}

// NewRunner makes a Runner; Run starts it. A missing collaborator is an error.
func NewRunner(p RunnerParams) (*Runner, error) {
	err := required.Check("publish.RunnerParams", map[string]any{
		"DB": p.DB, "Box": p.Box, "Project": p.Project, "Courier": p.Courier, "Log": p.Log, "Now": p.Now,
	})
	if err != nil {
		return nil, err
	}
	r := &Runner{
		p: p, log: NewLog(p.DB, p.Box), wake: make(chan struct{}, 1), busy: map[invite.EndpointID]int{}, resting: map[invite.EndpointID]time.Time{},
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "connectlink", Subsystem: "webhook_endpoint", Name: "attempts_total", Help: "Posts of events to webhook endpoints, by outcome.",
		}, []string{"outcome"}),
		disabled: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "connectlink", Subsystem: "webhook_endpoint", Name: "disabled_total", Help: "Webhook endpoints that were disabled because they failed for days or answered 410.",
		}),
	}
	r.oldest = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "connectlink", Subsystem: "webhook", Name: "oldest_due_seconds", Help: "For how long the oldest event has been due for a webhook endpoint. Every worker measures the same queue.",
	})
	if p.Metrics != nil {
		p.Metrics.MustRegister(r.attempts, r.disabled, r.oldest)
	}
	return r, nil
}

// Wake tells the Runner of new deliveries.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run posts until ctx ends, then waits for the posts under way.
func (r *Runner) Run(ctx context.Context) error {
	defer r.posting.Wait()
	measuring, stop := context.WithCancel(ctx)
	defer stop()
	r.posting.Go(func() { r.measure(measuring) })
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
		case <-look.C:
		}
		if err := r.claim(ctx); err != nil && ctx.Err() == nil {
			r.p.Log.WarnContext(ctx, "claim webhook deliveries", "err", err)
		}
		look.Reset(lookEvery)
	}
}

// measureEvery is how often the age of the queue is measured.
const measureEvery = 15 * time.Second

// measure measures the age of the queue until ctx ends.
func (r *Runner) measure(ctx context.Context) {
	t := time.NewTicker(measureEvery)
	defer t.Stop()
	for {
		age, err := endpoint.OldestDue(ctx, r.p.DB)
		switch {
		case err == nil:
			r.oldest.Set(age.Seconds())
		case ctx.Err() == nil:
			r.p.Log.WarnContext(ctx, "measure webhook deliveries", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// claim begins to post due events, as far as each endpoint's bound allows.
func (r *Runner) claim(ctx context.Context) error {
	due, err := endpoint.Claim(ctx, r.p.DB, r.occupied(), eachEndpoint, deliveryLease)
	if err != nil {
		return err
	}
	for _, d := range due {
		r.mu.Lock()
		r.busy[d.ID]++
		r.mu.Unlock()
		r.posting.Go(func() { r.release(d.ID, r.deliver(ctx, d)) })
	}
	return nil
}

// occupied returns how many posts each endpoint is busy with; one that rests has no room.
func (r *Runner) occupied() map[invite.EndpointID]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	busy := maps.Clone(r.busy)
	now := time.Now()
	for id, until := range r.resting {
		if now.Before(until) {
			busy[id] = eachEndpoint
		} else {
			delete(r.resting, id)
		}
	}
	return busy
}

// release makes room for the next event of an endpoint. Where the last one could not be
// posted for a reason of ours, the endpoint rests.
func (r *Runner) release(id invite.EndpointID, posted bool) {
	r.mu.Lock()
	if r.busy[id]--; r.busy[id] <= 0 {
		delete(r.busy, id)
	}
	if !posted {
		r.resting[id] = time.Now().Add(restFor)
	}
	r.mu.Unlock()
	r.Wake()
}

// deliver posts one event and records the attempt. It reports whether it could: an
// error of ours leaves the delivery to the end of its lease.
func (r *Runner) deliver(ctx context.Context, d endpoint.Due) bool {
	content, e, raw, err := r.read(ctx, d)
	if err != nil {
		if ctx.Err() == nil {
			r.p.Log.WarnContext(ctx, "read a webhook delivery", "endpoint", d.ID, "event", d.EventID, "err", err)
		}
		return false
	}
	project, known := r.p.Project(d.Project)
	if !known {
		return false // a process that knows the project posts it
	}
	calling, span := r.p.Tracer.Start(trace.Resume(ctx, e.Trace), trace.Client, "post webhook",
		trace.Endpoint(d.ID), trace.Event(d.EventID), trace.Type(string(e.Type)), trace.Number(d.Attempt))
	got := r.p.Courier.send(calling, parcel{
		url: content.URL, secrets: content.secrets(d.Row, r.p.Now()), private: project.PrivateWebhooks, id: d.EventID, body: raw,
	})
	span.Set(trace.Status(got.status), trace.Outcome(got.outcome()))
	span.End(got.fault())
	if got.failure != "" && ctx.Err() != nil {
		return true // broken off by our own stop
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	if err = r.record(ctx, d, content, got); err != nil {
		r.p.Log.WarnContext(ctx, "record a webhook attempt", "endpoint", d.ID, "event", d.EventID, "err", err)
	}
	return err == nil
}

func (r *Runner) read(ctx context.Context, d endpoint.Due) (endpointContent, find.PublicEvent, []byte, error) {
	content, err := openEndpoint(r.p.Box, d.Row)
	if err != nil {
		return content, find.PublicEvent{}, nil, err
	}
	e, err := find.AnyPublicEvent(ctx, r.p.DB, d.EventID)
	if err != nil {
		return content, e, nil, err
	}
	raw, err := r.log.open(ctx, e)
	return content, e, raw, err
}

// record stores an attempt with what follows from it, and says in the log and the
// metrics what an operator has to know.
func (r *Runner) record(ctx context.Context, d endpoint.Due, content endpointContent, got answer) error {
	f := endpoint.Finished{
		Attempt: endpoint.Attempt{
			ID: invite.New[invite.WebhookAttemptID](), EndpointID: d.ID, EventID: d.EventID, Number: d.Attempt,
			Status: got.status, Failure: got.failure, TookMS: int(got.took.Milliseconds()), CreatedAt: got.at,
		},
		Delivered: got.ok(), Gone: got.gone(), GiveUpAfter: giveUpAfter,
	}
	if !f.Delivered && !f.Gone {
		f.Again = pauseAfter(d.Attempt, got.retryAfter)
	}
	var err error
	if len(got.body) > 0 {
		if f.Answer, err = r.p.Box.Seal(got.body, sealedAnswer(f.ID)); err != nil {
			return err
		}
	}
	var disabled bool
	err = postgres.InTx(ctx, r.p.DB, func(tx pgx.Tx) error {
		if disabled, err = endpoint.Finish(ctx, tx, f); err != nil || !disabled {
			return err
		}
		return r.tellDisabled(ctx, tx, d, content, f.Gone)
	})
	if err != nil {
		return err
	}
	r.count(ctx, d, content, got, f, disabled)
	return nil
}

func (r *Runner) count(ctx context.Context, d endpoint.Due, content endpointContent, got answer, f endpoint.Finished, disabled bool) {
	r.attempts.WithLabelValues(got.outcome()).Inc()
	if !f.Delivered {
		r.p.Log.WarnContext(ctx, "webhook attempt failed", "cause", got.fault(), "endpoint", d.ID, "host", hostOf(content.URL), "project", d.Project, "event", d.EventID,
			"attempt", d.Attempt, "status", f.Status, "failure", f.Failure, "again_in_s", int(f.Again.Seconds()))
	}
	if disabled {
		r.disabled.Inc()
		r.p.Log.ErrorContext(ctx, "webhook endpoint disabled", "endpoint", d.ID, "host", hostOf(content.URL), "project", d.Project, "gone", f.Gone)
	}
}

// disabledBody is the event of an endpoint that was disabled by its failures.
type disabledBody struct {
	envelope

	InviteID *invite.ID `json:"invite_id"`
	Data     struct {
		Endpoint disabledEndpoint `json:"webhook_endpoint"`
	} `json:"data"`
}

// disabledEndpoint is what other endpoints are told of a disabled one. Its URL is not:
// path and query may hold a secret of the endpoint's operator.
type disabledEndpoint struct {
	ID             invite.EndpointID `json:"id"`
	Description    *string           `json:"description"`
	Host           string            `json:"host"`
	DisabledReason string            `json:"disabled_reason"`
}

func newDisabledEndpoint(id invite.EndpointID, content endpointContent, why string) disabledEndpoint {
	e := disabledEndpoint{ID: id, Host: hostOf(content.URL), DisabledReason: why}
	if content.Description != "" {
		e.Description = &content.Description
	}
	return e
}

// tellDisabled stores the event of a disabled endpoint, for the other endpoints and
// the list of events.
func (r *Runner) tellDisabled(ctx context.Context, tx pgx.Tx, d endpoint.Due, content endpointContent, gone bool) error {
	why := endpoint.Failing
	if gone {
		why = endpoint.Gone
	}
	now := r.p.Now()
	id := invite.New[invite.EventID]()
	raw, err := encodeDisabled(id, d.Place, newDisabledEndpoint(d.ID, content, why), now)
	if err != nil {
		return err
	}
	row, err := sealEvent(r.p.Box, id, invite.EndpointDisabled, d.Place, raw, now)
	if err != nil {
		return err
	}
	_, err = storeEvents(ctx, tx, []ledger.PublicEvent{row})
	return err
}

func encodeDisabled(id invite.EventID, place invite.Place, e disabledEndpoint, now time.Time) ([]byte, error) {
	b := disabledBody{envelope: newEnvelope(id, invite.EndpointDisabled, now, place)}
	b.Data.Endpoint = e
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", id, err)
	}
	return raw, nil
}

func fresh(rows []ledger.PublicEvent) []endpoint.Fresh {
	out := make([]endpoint.Fresh, len(rows))
	for i, r := range rows {
		out[i] = endpoint.Fresh{Place: r.Place, ID: r.ID, Type: r.Type}
	}
	return out
}

func sealedAnswer(id invite.WebhookAttemptID) seal.AD {
	return seal.AD{Column: "webhook_attempts.answer", ID: id.UUID()}
}

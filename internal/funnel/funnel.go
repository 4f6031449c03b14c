// Package funnel counts how far invites get, and shows each step in the invite's
// trace.
//
// It sees committed events only: a step counts once, in the process that recorded
// it. The sum over all processes is exact but for those that ended between a commit
// and their next scrape. It decides nothing, and nothing may depend on it.
package funnel

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/trace"
)

// Params are what a Funnel needs; all may be nil.
type Params struct {
	Tracer  *trace.Tracer
	Metrics prometheus.Registerer
	Now     func() time.Time // time.Now
}

// Funnel counts and traces steps. It is safe for concurrent use.
type Funnel struct {
	p         Params
	events    *prometheus.CounterVec
	failures  *prometheus.CounterVec
	delivered *prometheus.HistogramVec
}

// New makes a Funnel. Labels are few: a project or an app for a label would multiply
// the series by numbers that others choose.
func New(p Params) *Funnel {
	if p.Now == nil {
		p.Now = time.Now
	}
	f := &Funnel{
		p: p,
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "connectlink_invite_events_total", Help: "Steps of invites by public event, channel and mode.",
		}, []string{"event", "channel", "livemode"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "connectlink_delivery_failures_total", Help: "Messages that are known not to have arrived, by channel, reason and mode.",
		}, []string{"channel", "reason", "livemode"}),
		delivered: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "connectlink_queued_to_delivered_seconds", Help: "From when a message could be sent to when the recipient's side took it, by the provider's time.",
			Buckets: []float64{1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400},
		}, []string{"channel", "livemode"}),
	}
	if p.Metrics != nil {
		p.Metrics.MustRegister(f.events, f.failures, f.delivered)
	}
	return f
}

// Created counts an invite that was stored.
func (f *Funnel) Created(place invite.Place, channel invite.Channel) {
	f.events.WithLabelValues(string(invite.InviteCreated), string(channel), strconv.FormatBool(place.Live)).Inc()
}

// Note counts and traces what events made of an invite, once tx has committed.
func (f *Funnel) Note(ctx context.Context, tx pgx.Tx, a ledger.Applied) {
	begun := f.p.Now()
	postgres.AfterCommit(tx, func() {
		f.count(a)
		for _, p := range a.Public {
			// In the invite's trace, linked to what caused it: a vendor's callback, a
			// visit, a call of the API.
			_, span := f.p.Tracer.StartAt(trace.Resume(ctx, a.Trace), begun, ctx, trace.Consumer, string(p.Type),
				trace.Invite(a.ID), trace.Type(string(p.Type)), trace.Channel(string(a.State.Channel)))
			span.End("")
		}
	})
}

func (f *Funnel) count(a ledger.Applied) {
	mode := strconv.FormatBool(a.Live)
	for _, p := range a.Public {
		f.events.WithLabelValues(string(p.Type), string(a.State.Channel), mode).Inc()
	}
	before := make(map[invite.DeliveryID]invite.DeliveryState, len(a.Before.Deliveries))
	for _, d := range a.Before.Deliveries {
		before[d.ID] = d
	}
	for _, d := range a.State.Deliveries {
		was := before[d.ID]
		if d.Status.DidNotArrive() && !was.Status.DidNotArrive() {
			f.failures.WithLabelValues(string(d.Channel), string(d.Reason), mode).Inc()
		}
		if was.DeliveredAt.IsZero() && !d.DeliveredAt.IsZero() {
			// Clocks differ: a provider's time may be before ours.
			took := max(d.DeliveredAt.Sub(a.QueuedAt[d.ID]), 0)
			f.delivered.WithLabelValues(string(d.Channel), mode).Observe(took.Seconds())
		}
	}
}

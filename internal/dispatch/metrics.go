package dispatch

import "github.com/prometheus/client_golang/prometheus"

// metrics carry no ids: their labels are providers, outcomes, accounts and reasons.
type metrics struct {
	attempts   *prometheus.CounterVec
	reconciled *prometheus.CounterVec
	rechecked  *prometheus.CounterVec
	gaveUp     *prometheus.CounterVec
	breaker    *prometheus.GaugeVec
	calls      *prometheus.HistogramVec
	claims     prometheus.Histogram
	latency    prometheus.Histogram
	claimed    prometheus.Counter
	lost       prometheus.Counter
	reaped     prometheus.Counter
	poisoned   prometheus.Counter
	parked     prometheus.Counter
	paused     prometheus.Counter
	inFlight   prometheus.Gauge
	due        prometheus.Gauge
	oldest     prometheus.Gauge
	inDoubt    prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "connectlink", Subsystem: "dispatch", Name: name, Help: help}
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts(opts(name, help)))
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: "connectlink", Subsystem: "dispatch", Name: name, Help: help, Buckets: buckets}
	}
	fast := prometheus.ExponentialBuckets(0.0005, 2, 12)
	slow := []float64{0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}
	m := &metrics{
		attempts:   prometheus.NewCounterVec(prometheus.CounterOpts(opts("attempts_total", "Calls to providers by outcome.")), []string{"provider", "outcome"}),
		reconciled: prometheus.NewCounterVec(prometheus.CounterOpts(opts("reconciled_total", "Looks at attempts whose answer was lost, by what they showed.")), []string{"provider", "belief"}),
		rechecked:  prometheus.NewCounterVec(prometheus.CounterOpts(opts("rechecked_total", "Looks at messages that may have been sent before the database was restored, by what they showed.")), []string{"provider", "belief"}),
		gaveUp:     prometheus.NewCounterVec(prometheus.CounterOpts(opts("gave_up_total", "Deliveries given up by reason.")), []string{"reason"}),
		breaker:    prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("breaker_open", "1 while a provider account is not sent to.")), []string{"account"}),
		calls:      prometheus.NewHistogramVec(histogram("call_seconds", "Duration of calls to providers.", slow), []string{"provider"}),
		claims:     prometheus.NewHistogram(histogram("claim_seconds", "Duration of claims.", fast)),
		latency:    prometheus.NewHistogram(histogram("queued_to_call_seconds", "From being queued to the first call.", slow)),
		claimed:    counter("claimed_total", "Deliveries claimed."),
		lost:       counter("leases_lost_total", "Deliveries whose lease was lost while they were worked on."),
		reaped:     counter("leases_reaped_total", "Deliveries taken over from processes that were gone."),
		poisoned:   counter("poisoned_total", "Failures that lay in a message itself."),
		parked:     counter("parked_total", "Messages parked as broken."),
		paused:     counter("paused_total", "Times that a delivery was given back because its country, range of numbers or key is paused."),
		inFlight:   gauge("in_flight", "Deliveries being worked on."),
		due:        gauge("due", "Deliveries due and claimed by nobody, up to 10000."),
		oldest:     gauge("oldest_due_seconds", "For how long the oldest of them has been due."),
		inDoubt:    gauge("in_doubt", "Attempts whose answer was lost and that are not settled, up to 10000."),
	}
	if r != nil {
		r.MustRegister(m.attempts, m.reconciled, m.rechecked, m.gaveUp, m.breaker, m.calls, m.claims, m.latency, m.claimed, m.lost, m.reaped,
			m.poisoned, m.parked, m.paused, m.inFlight, m.due, m.oldest, m.inDoubt)
	}
	return m
}

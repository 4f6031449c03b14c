package mint

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/wire"
)

// Metrics measure the mints of all Minters of a process. Nil measures nothing.
type Metrics struct{ took *prometheus.HistogramVec }

// NewMetrics registers the metrics of mints.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "connectlink_mint_seconds", Help: "Duration of mints at Pipedream, retries included, by outcome: minted, postponed (tried again), refused.",
		Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"outcome"})}
	r.MustRegister(m.took)
	return m
}

func (m *Metrics) observe(took time.Duration, err error) {
	if m == nil {
		return
	}
	outcome := "minted"
	switch {
	case err != nil && errors.Is(explain(err), ErrPassing):
		outcome = "postponed"
	case err != nil:
		outcome = "refused"
	}
	m.took.WithLabelValues(outcome).Observe(took.Seconds())
}

// Cause names why a mint failed, as a stable word for logs, metrics and traces: the
// fault of the connection, Pipedream's code, or whether it refused. Empty for nil.
func Cause(err error) string {
	var fault *wire.Fault
	var e *pipedream.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fault):
		return fault.Cause()
	case errors.As(err, &e) && e.Code != "":
		return wire.Code(e.Code)
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, ErrPassing), errors.As(err, &e) && e.Kind == pipedream.Passing:
		return "unavailable"
	}
	return "refused"
}

func statusOf(err error) int {
	var e *pipedream.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

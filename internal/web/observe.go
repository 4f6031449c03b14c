package web

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// unmatched stands for every path that is no route: Echo would name the raw
// path there, which may hold a secret with a typing mistake before it, and
// which would give the metrics as many labels as a scanner has ideas.
const unmatched = "unmatched"

// routeSet knows the patterns that are registered.
type routeSet struct{ patterns sync.Map }

func (s *routeSet) add(_ string, r echo.Route, _ echo.HandlerFunc, _ []echo.MiddlewareFunc) {
	s.patterns.Store(r.Path, struct{}{})
}

func (s *routeSet) of(c echo.Context) string {
	if _, ok := s.patterns.Load(c.Path()); ok && c.Path() != "" {
		return c.Path()
	}
	return unmatched
}

// metrics are the HTTP ones; nil counts nothing.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	if r == nil {
		return nil
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "connectlink_http_requests_total", Help: "Requests answered, by route pattern, status and error code.",
		}, []string{"method", "route", "status", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "connectlink_http_request_duration_seconds", Help: "Time from the request's headers to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "connectlink_http_requests_in_flight", Help: "Requests being answered now.",
		}),
	}
	r.MustRegister(m.requests, m.duration, m.inFlight)
	return m
}

// MetricsHandler serves the gathered metrics. It requires no key, so it
// belongs on a listener of its own, or behind one that lets only the
// collector in.
func MetricsHandler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// methodLabel keeps a label bounded: a caller may invent methods.
func methodLabel(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "OTHER"
}

// isQuietRoute routes are asked every few seconds by machines; they are logged only
// when they fail or when the log is set to debug.
func isQuietRoute(route string) bool {
	return route == "/livez" || route == "/readyz" || route == "/metrics"
}

// observeRequests answers errors, then writes the request's one log line and counts it.
func observeRequests(log *slog.Logger, m *metrics, routes *routeSet, now func() time.Time) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := now()
			if m != nil {
				m.inFlight.Inc()
				defer m.inFlight.Dec()
			}
			// c carries our state from here on; a handler may replace the request.
			s := stateOf(c.Request().Context())
			if err := next(c); err != nil {
				c.Error(err)
			}
			route, took := routes.of(c), now().Sub(start)
			if m != nil {
				m.requests.WithLabelValues(methodLabel(c.Request()), route, strconv.Itoa(statusOf(c, s)), string(s.code)).Inc()
				m.duration.WithLabelValues(methodLabel(c.Request()), route).Observe(took.Seconds())
			}
			logRequest(log, c, s, route, took)
			return nil
		}
	}
}

// statusClientGone is nginx's number for a caller who left before the answer.
const statusClientGone = 499

func statusOf(c echo.Context, s *state) int {
	if s.code == codeClientGone {
		return statusClientGone
	}
	return c.Response().Status
}

func logRequest(log *slog.Logger, c echo.Context, s *state, route string, took time.Duration) {
	code := statusOf(c, s)
	level := slog.LevelInfo
	switch {
	case isQuietRoute(route) && code == http.StatusServiceUnavailable: // a probe's "not yet" is an answer, and no fault
	case code >= 500:
		level = slog.LevelError
	case isQuietRoute(route), code == http.StatusNotModified: // told nothing, so there is nothing to tell
		level = slog.LevelDebug
	}
	ctx := c.Request().Context()
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("method", methodLabel(c.Request())), slog.String("route", route), slog.Int("status", code),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.Int64("bytes", c.Response().Size),
		slog.String("request_id", s.id))
	if s.known {
		attrs = append(attrs, slog.String("principal", s.principal.Actor()),
			slog.String("project", s.principal.Project), slog.Bool("livemode", s.principal.Live))
	}
	if s.code != "" {
		attrs = append(attrs, slog.String("code", string(s.code)))
	}
	if s.cause != nil {
		attrs = append(attrs, slog.String("error", describeError(s.cause)))
	}
	if s.stack != "" {
		attrs = append(attrs, slog.String("stack", s.stack))
	}
	log.LogAttrs(ctx, level, "request", attrs...)
}

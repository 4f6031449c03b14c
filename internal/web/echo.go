package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/gommon/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/trace"
)

// DefaultBodyLimit is what a request may carry where no BodyLimit says otherwise.
const DefaultBodyLimit = 256 << 10

// DefaultRequestTimeout bounds what one request may take, its waiting for the
// database and for vendors included.
const DefaultRequestTimeout = 20 * time.Second

// Params is what New needs. Log is required.
type Params struct {
	Log *slog.Logger
	// Metrics is where the HTTP metrics are registered; nil means none.
	Metrics prometheus.Registerer
	// PublicURL is where people reach this service. Without it, links to the
	// documentation of errors are relative.
	PublicURL *url.URL
	// TrustedProxies may name their client (X-Forwarded-For). Other peers may not.
	TrustedProxies []netip.Prefix
	// HSTSSubdomains makes Strict-Transport-Security hold for subdomains too.
	HSTSSubdomains bool
	// BodyLimit and RequestTimeout override the defaults.
	BodyLimit      int64
	RequestTimeout time.Duration
	// Tracer records a span for each request; nil records none.
	Tracer *trace.Tracer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// New returns an Echo with everything in place but routes. It is an
// http.Handler: Serve runs it.
func New(p Params) *echo.Echo {
	if p.BodyLimit <= 0 {
		p.BodyLimit = DefaultBodyLimit
	}
	if p.RequestTimeout <= 0 {
		p.RequestTimeout = DefaultRequestTimeout
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	// Echo's own logger would print paths; what it has to say comes to us as errors.
	e.Logger.SetLevel(log.OFF)
	e.IPExtractor = clientIP(p.TrustedProxies)
	e.SchemeExtractor = schemeExtractor(p.PublicURL)

	w := writer{publicURL: trimBase(p.PublicURL), now: p.Now}
	e.HTTPErrorHandler = w.handle

	routes := &routeSet{}
	e.OnAddRouteHandler = routes.add
	// From the outside in. Security headers come before the body's limit, so
	// that refusals carry them; recovery is innermost, so that a panic is a
	// failure like any other to everything around it.
	e.Use(
		identifyRequest,
		traceRequests(p.Tracer, routes),
		observeRequests(p.Log, newMetrics(p.Metrics), routes, p.Now),
		warnOfProxies(p.Log, p.TrustedProxies, p.Now),
		SecureHeaders(strictTransport(p)),
		refuseExcess,
		limitTime(p.RequestTimeout),
		BodyLimit(p.BodyLimit),
		hangUpAfterDelete,
		recoverPanics,
		readableRequest,
	)
	return e
}

// trimBase is the public URL without a trailing slash; empty when there is none.
func trimBase(u *url.URL) string {
	if u == nil {
		return ""
	}
	c := *u
	c.RawQuery, c.Fragment, c.User = "", "", nil
	s := c.String()
	for len(s) > 0 && s[len(s)-1] == '/' {
		s = s[:len(s)-1]
	}
	return s
}

// schemeExtractor answers what the configuration says: Echo's default believes
// X-Forwarded-Proto from every private address.
func schemeExtractor(public *url.URL) echo.SchemeExtractor {
	if public == nil {
		return echo.ExtractSchemeDirect()
	}
	return func(*http.Request) string { return public.Scheme }
}

package web

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/trace"
)

// traceRequests records a span for each request that is no probe. The trace of a
// caller of the API is continued. That of others is not: a vendor or a recipient
// could otherwise write into any trace, and have it sampled.
func traceRequests(tracer *trace.Tracer, routes *routeSet) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			route := routes.of(c)
			if isQuietRoute(route) || strings.HasPrefix(route, "/sandbox") {
				return next(c)
			}
			r := c.Request()
			s, ctx := stateOf(r.Context()), r.Context()
			if strings.HasPrefix(route, "/v1/") {
				ctx = trace.Extract(ctx, r.Header)
			}
			method := methodLabel(r)
			ctx, span := tracer.Start(ctx, trace.Server, method+" "+route, trace.Method(method), trace.Route(route), trace.Request(s.id))
			if ctx != r.Context() {
				c.SetRequest(r.WithContext(ctx))
			}
			err := next(c) // observeRequests has answered errors
			status := statusOf(c, s)
			fault := ""
			if status >= 500 {
				if fault = string(s.code); fault == "" {
					fault = "internal"
				}
			}
			span.Set(trace.Status(status), trace.Outcome(string(s.code)))
			span.End(fault)
			return err
		}
	}
}

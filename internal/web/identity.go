package web

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
)

// HeaderRequestID is on every answer.
const HeaderRequestID = "Request-Id"

// state collects facts about one request; it lives in the request's context,
// so that plain contexts lead to it too.
type state struct {
	id        string
	client    context.Context // as net/http gave it: ends when the caller leaves
	principal access.Principal
	known     bool        // principal is set
	code      invite.Code // for log and metrics
	answered  bool        // a failure was answered already
	cause     error       // of a failure on our side; for the log only
	stack     string      // of a panic
	render    func(echo.Context, Problem) error
}

type stateKey struct{}

func stateOf(ctx context.Context) *state {
	if s, ok := ctx.Value(stateKey{}).(*state); ok {
		return s
	}
	return &state{} // outside a request: written to and forgotten
}

// newRequestID is always ours: an id that a caller may choose is an id that
// two requests may share, and a way to write into the log.
func newRequestID() string { return invite.New[invite.RequestID]().String() }

// identifyRequest gives the request its id.
func identifyRequest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		s := &state{id: newRequestID(), client: r.Context()}
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), stateKey{}, s)))
		c.Response().Header().Set(HeaderRequestID, s.id)
		return next(c)
	}
}

// RequestID is the id of the request that ctx belongs to; empty outside one.
func RequestID(ctx context.Context) string { return stateOf(ctx).id }

// SetPrincipal records who is asking.
func SetPrincipal(c echo.Context, p access.Principal) {
	s := stateOf(c.Request().Context())
	s.principal, s.known = p, true
}

// Principal returns the caller; ok is false before authentication.
func Principal(c echo.Context) (p access.Principal, ok bool) {
	s := stateOf(c.Request().Context())
	return s.principal, s.known
}

// Note puts a code into the log line and the metrics of a request that is
// answered by other means than an error. Codes are few and fixed.
func Note(c echo.Context, code string) {
	stateOf(c.Request().Context()).code = invite.Code(code)
}

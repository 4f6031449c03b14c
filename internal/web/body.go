package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// keyBody is where the request's body as it came is kept, so that a route can
// have a larger limit than the default as well as a smaller one.
const keyBody = "web.body"

// BodyLimit caps the request's body, in bytes. The innermost one counts. A
// body that says it is longer is refused unread; one that turns out to be
// longer fails the read with *http.MaxBytesError, which answers 413.
func BodyLimit(n int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			original, ok := c.Get(keyBody).(*http.Request)
			if !ok {
				original = r
				c.Set(keyBody, original)
			}
			limited := r.WithContext(r.Context())
			limited.Body = &checkedBody{ReadCloser: http.MaxBytesReader(c.Response().Writer, original.Body, n), form: newFormCheck(r)}
			c.SetRequest(limited)
			return next(c)
		}
	}
}

// checkedBody separates faults of the caller's body from faults of ours.
type checkedBody struct {
	io.ReadCloser
	form *formCheck // nil where the body is no form
}

// bodyError means that the body could not be read as it was sent: it breaks off,
// its chunks are malformed, or it came too slowly. It answers 400.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// Read implements io.Reader.
func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.form != nil && (!b.form.add(p[:n]) || err == io.EOF && !b.form.end()) {
		return 0, &bodyError{errUnreadableForm}
	}
	var tooLarge *http.MaxBytesError
	if err != nil && err != io.EOF && !errors.As(err, &tooLarge) { //nolint:errorlint // io.Reader returns io.EOF itself
		err = &bodyError{err}
	}
	return n, err
}

// hangUpAfterDelete ends the connection after a DELETE that announces no body.
// Some clients write one nevertheless (Node's http.request does), and the server
// would take it for the next request, which is lost then (RFC 9112, section 6).
func hangUpAfterDelete(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.ProtoMajor == 1 && r.Method == http.MethodDelete && r.ContentLength == 0 && r.Header.Get(echo.HeaderContentLength) == "" {
			c.Response().Header().Set("Connection", "close")
		}
		return next(c)
	}
}

// Timeout gives a route a time limit of its own, which may be longer than the
// one that all have: for requests that wait for something to happen. Their
// body must have been read, or be none.
func Timeout(d time.Duration) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			ctx, cancel := withLongerLimit(c, d)
			defer cancel()
			// net/http takes the end of its ReadTimeout, which is meant for the
			// request, for the caller's leaving while it is being answered.
			_ = http.NewResponseController(c.Response().Writer).SetReadDeadline(time.Now().Add(d))
			c.SetRequest(c.Request().WithContext(ctx))
			return next(c)
		}
	}
}

// withLongerLimit is the request's context with a time limit in place of the one that
// all have; it still ends when the caller leaves.
func withLongerLimit(c echo.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), d)
	client := stateOf(ctx).client
	if client == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(client, cancel)
	return ctx, func() { stop(); cancel() }
}

// HangUp breaks the answer off, so that the client does not take the written
// part for the whole. The error that led to it still goes to the log.
func HangUp(c echo.Context) {
	_ = http.NewResponseController(c.Response().Writer).SetWriteDeadline(time.Now().Add(-time.Second))
}

// limitTime ends the request's context; who waits for the database or a vendor
// then gives up, and the caller is told to come back.
func limitTime(d time.Duration) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			ctx, cancel := context.WithTimeout(c.Request().Context(), d)
			defer cancel()
			c.SetRequest(c.Request().WithContext(ctx))
			return next(c)
		}
	}
}

package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// MediaTypeProblem is RFC 9457's.
const MediaTypeProblem = "application/problem+json"

// defaultRetryAfter is what a caller is told to wait, in seconds, where
// nothing better is known.
const defaultRetryAfter = 2

// codeClientGone appears in the log and the metrics only; see answerGone.
const codeClientGone invite.Code = "client_closed_request"

// Problem is a failure as callers see it.
type Problem struct {
	Type      string      `json:"type"`
	Title     string      `json:"title"`
	Status    int         `json:"status"`
	Detail    string      `json:"detail"`
	Instance  string      `json:"instance"`
	Code      invite.Code `json:"code"`
	RequestID string      `json:"request_id"`
	Retryable bool        `json:"retryable"`
	// RetryAt is when to come back; set together with RetryAfterS.
	RetryAt *time.Time `json:"retry_at,omitempty"`
	// InviteID is the invite that stands in the way.
	InviteID string `json:"invite_id,omitempty"`
	// Limit, Scope, Max and Remaining tell of the sending limit that was reached.
	Limit     string         `json:"limit,omitempty"`
	Scope     string         `json:"scope,omitempty"`
	Max       string         `json:"max,omitempty"`
	Remaining *int64         `json:"remaining,omitempty"`
	Errors    []invite.Fault `json:"errors,omitempty"`

	RetryAfterS int `json:"-"` // the header's value; 0 means none
}

// ErrorPages makes a group of routes render failures in its own way, for
// example as pages for people. The failure, the shown part of it and the
// log line stay the same.
func ErrorPages(render func(echo.Context, Problem) error) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			stateOf(c.Request().Context()).render = render
			return next(c)
		}
	}
}

// FallbackPages answers with a page where a person's browser asks for a path that
// no group of routes renders: they see words instead of a document for programs.
func FallbackPages(render func(echo.Context, Problem) error) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			read := r.Method == http.MethodGet || r.Method == http.MethodHead
			if read && !isData(r.URL.Path) && strings.Contains(r.Header.Get(echo.HeaderAccept), echo.MIMETextHTML) {
				stateOf(r.Context()).render = render
			}
			return next(c)
		}
	}
}

// writer answers every failure of every route, Echo's own included.
type writer struct {
	publicURL string
	now       func() time.Time
}

func (w writer) handle(err error, c echo.Context) {
	s := stateOf(c.Request().Context())
	if s.answered || c.Response().Committed {
		// Answered already, or half of an answer is out: only the log can tell.
		if s.cause == nil {
			s.cause = err
		}
		return
	}
	fault := classifyError(s.client, err)
	s.code, s.answered = fault.Code, true
	if fault.Code == codeClientGone {
		w.answerGone(c, s.id)
		return
	}
	p := w.problem(fault, s.id)
	if p.Status >= http.StatusInternalServerError {
		s.cause = err
	}
	h := c.Response().Header()
	if p.RetryAfterS > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfterS))
	}
	switch p.Code {
	case invite.CodeAuthenticationRequired:
		h.Set("WWW-Authenticate", `Bearer realm="connectlink"`)
	case invite.CodeInvalidAPIKey:
		h.Set("WWW-Authenticate", `Bearer realm="connectlink", error="invalid_token"`)
	case invite.CodeTooLarge:
		h.Set("Connection", "close") // the rest of the body is not worth reading
	}
	render := s.render
	if render == nil {
		render = WriteProblem
	}
	if err := render(c, p); err != nil && s.cause == nil {
		s.cause = fmt.Errorf("write problem: %w", err)
	}
}

// answerGone answers a client whose side of the connection was closed before the
// answer was ready. Most are gone; one that only closed its sending side still
// reads, and without an answer of ours net/http sends it an empty 200.
func (w writer) answerGone(c echo.Context, requestID string) {
	p := w.problem(invite.Errorf(invite.CodeUnavailable,
		"The connection was closed for sending before the answer was ready, and the request was given up. Keep it open, and try again."), requestID)
	c.Response().Header().Set("Retry-After", strconv.Itoa(p.RetryAfterS))
	c.Response().Header().Set("Connection", "close")
	_ = WriteProblem(c, p) // it fails where the client is gone
}

// WriteProblem answers p as application/problem+json.
func WriteProblem(c echo.Context, p Problem) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode problem: %w", err)
	}
	return c.Blob(p.Status, MediaTypeProblem, append(body, '\n'))
}

// ProblemOf is the document for one error among several in an answer. The cause of
// one of ours goes into the request's log line.
func ProblemOf(c echo.Context, publicURL string, err error) Problem {
	s := stateOf(c.Request().Context())
	p := writer{publicURL, time.Now}.problem(classifyError(s.client, err), s.id)
	if p.Status >= http.StatusInternalServerError && s.cause == nil {
		s.cause = err
	}
	return p
}

// problem fills in what the table knows.
func (w writer) problem(fault *invite.Error, requestID string) Problem {
	k, ok := KindOf(fault.Code)
	if !ok {
		k, _ = KindOf(invite.CodeInternal)
		fault = &invite.Error{Code: invite.CodeInternal}
	}
	p := Problem{
		Type: w.publicURL + "/docs/errors/" + string(k.Code), Title: k.Title, Status: k.Status, Detail: fault.Message,
		Instance: "/requests/" + requestID, Code: k.Code, RequestID: requestID, Retryable: k.Retryable,
		InviteID: fault.ExistingID.String(), Errors: fault.Faults, RetryAfterS: fault.RetryAfterS,
	}
	if l := fault.Limit; l != nil {
		p.Limit, p.Scope, p.Max, p.Remaining = l.Name, l.Scope, l.Max, &l.Remaining
	}
	if p.Detail == "" || p.Code == invite.CodeInternal {
		p.Detail = defaultDetail(p)
	}
	if k.Retryable && p.RetryAfterS <= 0 {
		p.RetryAfterS = defaultRetryAfter
	}
	if p.RetryAfterS > 0 {
		at := w.now().UTC().Truncate(time.Second).Add(time.Duration(p.RetryAfterS) * time.Second)
		p.RetryAt = &at
	}
	return p
}

func defaultDetail(p Problem) string {
	switch {
	case p.Code == invite.CodeInternal:
		return "The cause is in our log; quote the request id when you ask about it."
	case len(p.Errors) == 1:
		return p.Errors[0].Detail
	case len(p.Errors) > 1:
		return fmt.Sprintf("%d fields have faults; errors names each.", len(p.Errors))
	default:
		return p.Title + "."
	}
}

// classifyError translates what a handler returned, once, into the domain's error.
// client ends when the caller leaves, not when our own time limit is reached.
func classifyError(client context.Context, err error) *invite.Error {
	var known *invite.Error
	var tooLarge *http.MaxBytesError
	var echoed *echo.HTTPError
	var body *bodyError
	switch {
	case errors.As(err, &known) && known.Code != invite.CodeInternal:
		return known
	case errors.As(err, &tooLarge):
		return invite.Errorf(invite.CodeTooLarge, "The body may have %d bytes at most.", tooLarge.Limit)
	case client != nil && client.Err() != nil:
		return &invite.Error{Code: codeClientGone}
	case errors.As(err, &body) && errors.Is(err, errUnreadableForm):
		return invite.Errorf(invite.CodeMalformed, "The form contains NUL or bytes that are not UTF-8.")
	case errors.As(err, &body):
		return invite.Errorf(invite.CodeMalformed, "The body could not be read: it breaks off, or its chunks are malformed.")
	case errors.Is(err, postgres.ErrUnavailable), errors.Is(err, postgres.ErrSerialization), errors.Is(err, context.DeadlineExceeded):
		return invite.Errorf(invite.CodeUnavailable, "The service cannot answer right now. Try again; with an Idempotency-Key nothing is done twice.")
	case errors.As(err, &echoed):
		return ofStatus(echoed.Code)
	default:
		return &invite.Error{Code: invite.CodeInternal}
	}
}

// ofStatus translates Echo's own refusals.
func ofStatus(status int) *invite.Error {
	switch status {
	case http.StatusBadRequest:
		return invite.Errorf(invite.CodeMalformed, "The request could not be read.")
	case http.StatusNotFound:
		return invite.Errorf(invite.CodeNotFound, "No endpoint has this path. Paths have no slash at the end; /docs lists all of them.")
	case http.StatusMethodNotAllowed:
		return invite.Errorf(invite.CodeMethodNotAllowed, "The Allow header lists the methods of this path.")
	case http.StatusRequestEntityTooLarge:
		return &invite.Error{Code: invite.CodeTooLarge}
	case http.StatusUnsupportedMediaType:
		return &invite.Error{Code: invite.CodeUnsupportedMedia}
	case http.StatusTooManyRequests:
		return &invite.Error{Code: invite.CodeRateLimited}
	case http.StatusServiceUnavailable:
		return &invite.Error{Code: invite.CodeUnavailable}
	default:
		return &invite.Error{Code: invite.CodeInternal}
	}
}

// describeError is an error's text for the log, without what others quoted into it:
// net/url prints whole addresses, PostgreSQL prints values.
func describeError(err error) string {
	text := err.Error()
	var u *url.Error
	if errors.As(err, &u) && u.URL != "" {
		text = strings.ReplaceAll(text, strings.Trim(strconv.Quote(u.URL), `"`), "[url]")
		text = strings.ReplaceAll(text, u.URL, "[url]")
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		text = strings.ReplaceAll(text, pg.Error(), postgres.Translate(pg).Error())
	}
	return text
}

package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/web"
)

func TestFailuresAreAnsweredByOneTable(t *testing.T) {
	t.Parallel()
	existing := invite.New[invite.ID]()
	secretURL := &url.Error{Op: "Post", URL: "https://vendor.example/?token=" + canary, Err: errors.New("refused")}
	for name, c := range map[string]struct {
		err        error
		status     int
		code       invite.Code
		retryAfter string
		detail     string
	}{
		"a public error keeps its words": {invite.Errorf(invite.CodeUnknownApp, "There is no app called nope."), 422, invite.CodeUnknownApp, "", "There is no app called nope."},
		"a wrapped public error is found": {fmt.Errorf("create: %w", &invite.Error{Code: invite.CodeActiveInviteExists, ExistingID: existing}), 409,
			invite.CodeActiveInviteExists, "", "An open invite exists already."},
		"a limit says when to come back":                {&invite.Error{Code: invite.CodeRateLimited, RetryAfterS: 17}, 429, invite.CodeRateLimited, "17", "Too many requests."},
		"a lost database is unavailable":                {fmt.Errorf("read: %w", postgres.ErrUnavailable), 503, invite.CodeUnavailable, "2", ""},
		"a transaction conflict may repeat":             {fmt.Errorf("write: %w", postgres.ErrSerialization), 503, invite.CodeUnavailable, "2", ""},
		"our own time limit is unavailable":             {fmt.Errorf("wait: %w", context.DeadlineExceeded), 503, invite.CodeUnavailable, "2", ""},
		"an unknown error is silent":                    {errors.New(canary), 500, invite.CodeInternal, "", "The cause is in our log; quote the request id when you ask about it."},
		"internal words are not shown":                  {invite.Errorf(invite.CodeInternal, canary), 500, invite.CodeInternal, "", "The cause is in our log; quote the request id when you ask about it."},
		"an unknown code is internal":                   {invite.Errorf("made_up", canary), 500, invite.CodeInternal, "", "The cause is in our log; quote the request id when you ask about it."},
		"a vendor's address is kept out":                {fmt.Errorf("mint: %w", secretURL), 500, invite.CodeInternal, "", ""},
		"a cancellation of our own is not the client's": {context.Canceled, 500, invite.CodeInternal, "", ""},
		"Echo's 404":            {echo.ErrNotFound, 404, invite.CodeNotFound, "", ""},
		"Echo's 405":            {echo.ErrMethodNotAllowed, 405, invite.CodeMethodNotAllowed, "", ""},
		"Echo's 413":            {echo.ErrStatusRequestEntityTooLarge, 413, invite.CodeTooLarge, "", ""},
		"Echo's 415":            {echo.ErrUnsupportedMediaType, 415, invite.CodeUnsupportedMedia, "", ""},
		"any other of Echo's":   {echo.NewHTTPError(http.StatusTeapot), 500, invite.CodeInternal, "", ""},
		"a body over its limit": {fmt.Errorf("read body: %w", &http.MaxBytesError{Limit: 10}), 413, invite.CodeTooLarge, "", "The body may have 10 bytes at most."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.GET("/x", func(echo.Context) error { return c.err })
			w := s.do(httptest.NewRequest("GET", "/x?secret="+canary, nil))
			p := problemOf(t, w)
			if w.Code != c.status || p.Status != c.status || p.Code != c.code {
				t.Errorf("answer = %d, problem %d %s; want %d %s", w.Code, p.Status, p.Code, c.status, c.code)
			}
			if c.detail != "" && p.Detail != c.detail {
				t.Errorf("detail = %q, want %q", p.Detail, c.detail)
			}
			if got := w.Header().Get("Retry-After"); got != c.retryAfter {
				t.Errorf("Retry-After = %q, want %q", got, c.retryAfter)
			}
			if p.Retryable != (c.retryAfter != "") || (p.RetryAt != nil) != (c.retryAfter != "") {
				t.Errorf("retryable = %v, retry_at = %v with Retry-After %q", p.Retryable, p.RetryAt, c.retryAfter)
			}
			id := w.Header().Get("Request-Id")
			if p.RequestID != id || p.Instance != "/requests/"+id {
				t.Errorf("request id %q, problem %q, instance %q", id, p.RequestID, p.Instance)
			}
			if want := "https://go.example.com/docs/errors/" + string(c.code); p.Type != want {
				t.Errorf("type = %q, want %q", p.Type, want)
			}
			if strings.Contains(w.Body.String(), canary) {
				t.Errorf("answer tells the cause: %s", w.Body)
			}
			lines := s.log.lines(t)
			if len(lines) != 1 {
				t.Fatalf("%d log lines, want one: %v", len(lines), lines)
			}
			if _, told := lines[0]["error"]; told != (c.status >= 500) {
				t.Errorf("cause in the log: %v for status %d", told, c.status)
			}
			if c.err == error(secretURL) || strings.Contains(name, "vendor") {
				if strings.Contains(fmt.Sprint(lines[0]), canary) {
					t.Errorf("log tells the vendor's address: %v", lines[0])
				}
			}
		})
	}
}

func TestAnExistingInviteIsNamed(t *testing.T) {
	t.Parallel()
	id := invite.New[invite.ID]()
	s := newSite(t, nil)
	s.POST("/x", func(echo.Context) error {
		return &invite.Error{Code: invite.CodeActiveInviteExists, ExistingID: id}
	})
	if p := problemOf(t, s.do(httptest.NewRequest("POST", "/x", nil))); p.InviteID != id.String() {
		t.Errorf("invite_id = %q, want %q", p.InviteID, id)
	}
}

func TestEveryFieldFaultIsTold(t *testing.T) {
	t.Parallel()
	faults := []invite.Fault{
		{Pointer: "/app", Code: invite.FaultRequired, Detail: "app is required."},
		{Pointer: "/chanel", Code: invite.FaultUnknownField, Detail: "There is no such field.", Suggestion: "channel"},
	}
	s := newSite(t, nil)
	s.POST("/x", func(echo.Context) error { return &invite.Error{Code: invite.CodeInvalidRequest, Faults: faults} })
	p := problemOf(t, s.do(httptest.NewRequest("POST", "/x", nil)))
	if diff := cmp.Diff(faults, p.Errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if p.Detail != "2 fields have faults; errors names each." {
		t.Errorf("detail = %q", p.Detail)
	}
}

func TestAPanicIsAnInternalErrorThatIsLoggedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.GET("/x", func(echo.Context) error { panic("holding " + canary) })
	w := s.do(httptest.NewRequest("GET", "/x", nil))
	if p := problemOf(t, w); p.Code != invite.CodeInternal {
		t.Errorf("code = %s", p.Code)
	}
	lines := s.log.lines(t)
	if len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0]["stack"]), "web_test.go") {
		t.Fatalf("log = %v", lines)
	}
	if strings.Contains(fmt.Sprint(lines), canary) {
		t.Error("the panic's words are in the log")
	}
	// An aborted connection stays an aborted connection.
	s.GET("/abort", func(echo.Context) error { panic(http.ErrAbortHandler) })
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v", err)
		}
	}()
	s.do(httptest.NewRequest("GET", "/abort", nil))
}

func TestAGroupMayAnswerFailuresWithPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.GET("/p", func(echo.Context) error { return invite.Errorf(invite.CodeInviteNotFound, "No such link.") },
		web.ErrorPages(func(c echo.Context, p web.Problem) error { return c.HTML(p.Status, "<p>"+string(p.Code)) }))
	w := s.do(httptest.NewRequest("GET", "/p", nil))
	if w.Code != 404 || w.Body.String() != "<p>invite_not_found" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestTheTimeLimitEndsTheContext(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(p *web.Params) { p.RequestTimeout = 5 * time.Millisecond })
	s.GET("/x", func(c echo.Context) error {
		<-c.Request().Context().Done()
		return fmt.Errorf("wait: %w", c.Request().Context().Err())
	})
	if p := problemOf(t, s.do(httptest.NewRequest("GET", "/x", nil))); p.Code != invite.CodeUnavailable {
		t.Errorf("code = %s", p.Code)
	}
}

func TestACallerWhoLeftIsNoFailureOfOurs(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	s.GET("/x", func(c echo.Context) error {
		cancel()
		return fmt.Errorf("read: %w", c.Request().Context().Err())
	})
	s.do(httptest.NewRequest("GET", "/x", nil).WithContext(ctx))
	line := s.log.lines(t)[0]
	if line["status"] != 499.0 || line["level"] != "INFO" || line["error"] != nil {
		t.Errorf("line = %v", line)
	}
}

func TestAFailureAfterTheAnswerBeganReachesTheLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.GET("/x", func(c echo.Context) error {
		if err := c.String(200, "half"); err != nil {
			return err
		}
		return errors.New("the other half is missing")
	})
	if w := s.do(httptest.NewRequest("GET", "/x", nil)); w.Body.String() != "half" {
		t.Errorf("body = %q", w.Body)
	}
	if line := s.log.lines(t)[0]; line["error"] != "the other half is missing" {
		t.Errorf("line = %v", line)
	}
}

func TestANoteDoesNotHideAnError(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.GET("/x", func(c echo.Context) error {
		web.Note(c, "callback_forged")
		return postgres.ErrUnavailable
	})
	if w := s.do(httptest.NewRequest("GET", "/x", nil)); w.Code != 503 {
		t.Errorf("status %d", w.Code)
	}
}

// A client that closes its sending side and still reads got an empty 200 from
// net/http, as if its request had been done.
func TestClientThatClosedItsSendingSideIsNotAnswered200(t *testing.T) {
	t.Parallel()
	e := web.New(web.Params{Log: slog.New(slog.DiscardHandler)})
	e.POST("/slow", func(c echo.Context) error {
		<-c.Request().Context().Done()
		return c.Request().Context().Err()
	})
	server := httptest.NewServer(e)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), `"retryable":true`) {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
}

package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/web"
)

// canary stands for whatever must not reach logs, metrics or answers.
const canary = "CANARY5f3d9c"

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// site is an Echo with a log and a registry that tests can read.
type site struct {
	*echo.Echo
	log *logBuffer
	reg *prometheus.Registry
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) lines(t *testing.T) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []map[string]any
	for _, line := range strings.Split(strings.TrimSpace(l.b.String()), "\n") {
		if line == "" {
			continue
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		out = append(out, m)
	}
	return out
}

func newSite(t *testing.T, change func(*web.Params)) *site {
	t.Helper()
	s := &site{log: &logBuffer{}, reg: prometheus.NewRegistry()}
	p := web.Params{
		Log:       slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelInfo})),
		Metrics:   s.reg,
		PublicURL: &url.URL{Scheme: "https", Host: "go.example.com"},
		Now:       func() time.Time { return noon },
	}
	if change != nil {
		change(&p)
	}
	s.Echo = web.New(p)
	return s
}

func (s *site) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func (s *site) metrics(t *testing.T) string {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		b.WriteString(f.String())
	}
	return b.String()
}

func problemOf(t *testing.T, w *httptest.ResponseRecorder) web.Problem {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("Content-Type = %q, body %s", got, w.Body)
	}
	var p web.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

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

func TestThePathAndTheQueryAreNeverLoggedOrCounted(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.GET("/c/:code", func(c echo.Context) error { return c.String(200, "page") })
	for _, path := range []string{"/c/" + canary, "/c/" + canary + "?x=" + canary, "/d/" + canary, "/c/" + canary + "/" + canary, "/" + canary} {
		s.do(httptest.NewRequest("GET", path, nil))
		s.do(httptest.NewRequest("DELETE", path, nil))
		s.do(httptest.NewRequest(canary, path, nil))
	}
	lines := s.log.lines(t)
	if len(lines) != 15 {
		t.Fatalf("%d log lines, want 15", len(lines))
	}
	if lines[0]["route"] != "/c/:code" || lines[6]["route"] != "unmatched" {
		t.Errorf("routes = %v and %v", lines[0]["route"], lines[6]["route"])
	}
	if all := fmt.Sprint(lines); strings.Contains(all, canary) {
		t.Errorf("log holds the path: %s", all)
	}
	m := s.metrics(t)
	if strings.Contains(m, canary) {
		t.Error("metrics hold the path")
	}
	if !strings.Contains(m, "connectlink_http_requests_total") || !strings.Contains(m, "/c/:code") {
		t.Errorf("metrics do not count the route: %s", m)
	}
}

func TestTheLineSaysWhoAskedAndWhatCameOfIt(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.GET("/x", func(c echo.Context) error {
		web.SetPrincipal(c, access.Principal{Kind: access.KindKey, ID: "key_1", ProjectID: "default", Livemode: true})
		if p, ok := web.Principal(c); !ok || p.ID != "key_1" {
			t.Errorf("Principal = %v, %v", p, ok)
		}
		if web.RequestID(c.Request().Context()) == "" {
			t.Error("the context does not know the request's id")
		}
		return invite.Errorf(invite.CodeInviteNotFound, "none")
	})
	w := s.do(httptest.NewRequest("GET", "/x", nil))
	got := s.log.lines(t)[0]
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "request", "method": "GET", "route": "/x", "status": 404.0, "duration_ms": 0.0,
		"bytes": float64(w.Body.Len()), "request_id": w.Header().Get("Request-Id"), "principal": "key:key_1",
		"project": "default", "livemode": true, "code": "invite_not_found",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestRequestIDsAreOursAndDiffer(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ids := map[string]bool{}
	for range 50 {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Request-Id", "req_chosen")
		id := s.do(r).Header().Get("Request-Id")
		if !regexp.MustCompile(`^req_[0-9a-v]{26}$`).MatchString(id) {
			t.Fatalf("Request-Id = %q", id)
		}
		ids[id] = true
	}
	if len(ids) != 50 {
		t.Errorf("%d ids in 50 requests", len(ids))
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

func TestBodyLimits(t *testing.T) {
	t.Parallel()
	read := func(c echo.Context) error {
		b, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return fmt.Errorf("read body: %w", err)
		}
		return c.String(200, fmt.Sprint(len(b)))
	}
	s := newSite(t, func(p *web.Params) { p.BodyLimit = 10 })
	s.POST("/default", read)
	s.POST("/larger", read, web.BodyLimit(100))
	s.POST("/smaller", read, web.BodyLimit(5))
	for name, c := range map[string]struct {
		path string
		size int
		want int
	}{
		"the default holds what fits":       {"/default", 10, 200},
		"the default refuses a byte more":   {"/default", 11, 413},
		"a route may take more":             {"/larger", 100, 200},
		"a route's own limit holds":         {"/larger", 101, 413},
		"a route may take less":             {"/smaller", 6, 413},
		"a smaller limit takes what fits":   {"/smaller", 5, 200},
		"a body of nothing is never larger": {"/smaller", 0, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, chunked := range []bool{false, true} {
				r := httptest.NewRequest("POST", c.path, strings.NewReader(strings.Repeat("x", c.size)))
				if chunked {
					r.ContentLength = -1
				}
				if w := s.do(r); w.Code != c.want {
					t.Errorf("chunked %v: %d, want %d", chunked, w.Code, c.want)
				}
			}
		})
	}
}

func TestClientIPIsBelievedFromConfiguredProxiesOnly(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		remote  string
		headers map[string][]string
		want    string
	}{
		"nobody is trusted by default":       {nil, "127.0.0.1:1", map[string][]string{"X-Forwarded-For": {"6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"}}, "127.0.0.1"},
		"a stranger's header is ignored":     {proxies, "8.8.8.8:1", map[string][]string{"X-Forwarded-For": {"6.6.6.6"}}, "8.8.8.8"},
		"a proxy's header counts":            {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"6.6.6.6"}}, "6.6.6.6"},
		"what the client prepended does not": {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"1.1.1.1, 6.6.6.6, 10.0.0.9"}}, "6.6.6.6"},
		"nor in a header of its own":         {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"1.1.1.1", "6.6.6.6"}}, "6.6.6.6"},
		"loopback is not trusted by itself":  {proxies, "127.0.0.1:1", map[string][]string{"X-Forwarded-For": {"6.6.6.6"}}, "127.0.0.1"},
		"nonsense falls back to the peer":    {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"<script>"}}, "10.0.0.1"},
		"IPv6 proxies work":                  {proxies, "[fd00::1]:1", map[string][]string{"X-Forwarded-For": {"2001:db8::7"}}, "2001:db8::7"},
		"X-Real-IP is not the agreed header": {proxies, "10.0.0.1:1", map[string][]string{"X-Real-Ip": {"6.6.6.6"}}, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(p *web.Params) { p.TrustedProxies = c.trusted })
			s.GET("/", func(e echo.Context) error { return e.String(200, web.ClientIP(e).String()) })
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = c.remote
			for k, v := range c.headers {
				r.Header[k] = v
			}
			if got := s.do(r).Body.String(); got != c.want {
				t.Errorf("client = %s, want %s", got, c.want)
			}
		})
	}
}

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.GET("/ok", func(c echo.Context) error { return c.NoContent(204) })
	for _, path := range []string{"/ok", "/none"} {
		h := s.do(httptest.NewRequest("GET", path, nil)).Header()
		for k, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Strict-Transport-Security": "max-age=31536000",
		} {
			if h.Get(k) != want {
				t.Errorf("%s: %s = %q, want %q", path, k, h.Get(k), want)
			}
		}
	}
	plain := newSite(t, func(p *web.Params) { p.PublicURL = nil })
	if got := plain.do(httptest.NewRequest("GET", "/", nil)).Header().Get("Strict-Transport-Security"); got != "" {
		t.Errorf("Strict-Transport-Security without https: %q", got)
	}
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

func TestHealthChecksAreQuietWhileTheySucceed(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	fail := false
	s.GET("/readyz", func(c echo.Context) error {
		if fail {
			return postgres.ErrUnavailable
		}
		return c.NoContent(204)
	})
	s.do(httptest.NewRequest("GET", "/readyz", nil))
	if lines := s.log.lines(t); len(lines) != 0 {
		t.Errorf("log = %v", lines)
	}
	fail = true
	s.do(httptest.NewRequest("GET", "/readyz", nil))
	if lines := s.log.lines(t); len(lines) != 1 {
		t.Errorf("log = %v", lines)
	}
}

func TestServeLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		select {
		case <-release:
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(ctx, ln, web.Server(h, slog.New(slog.DiscardHandler)), 5*time.Second) }()
	body := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		body <- string(b)
	}()
	<-entered
	stop()
	close(release)
	if got := <-body; got != "done" {
		t.Errorf("body = %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

func TestServeHangsUpWhenTheGraceIsOver(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(ctx, ln, web.Server(h, slog.New(slog.DiscardHandler)), 10*time.Millisecond) }()
	go func() {
		if resp, err := http.Get("http://" + ln.Addr().String()); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-entered
	stop()
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Serve = %v, want the grace's end", err)
	}
}

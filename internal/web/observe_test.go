package web_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/web"
)

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
		web.SetPrincipal(c, access.Principal{Kind: access.KindKey, ID: "key_1", Place: invite.Place{Project: "default", Live: true}})
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
	// Not ready is an answer, told without alarm.
	if lines := s.log.lines(t); len(lines) != 1 || lines[0]["level"] != "INFO" || lines[0]["status"] != 503.0 {
		t.Errorf("log = %v", lines)
	}
}

func TestMetricsAreShownAsPrometheusReadsThem(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.GET("/x", func(c echo.Context) error {
		web.Note(c, "callback_forged")
		return c.NoContent(403)
	})
	s.do(httptest.NewRequest("GET", "/x", nil))
	w := httptest.NewRecorder()
	web.MetricsHandler(s.reg).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	want := `connectlink_http_requests_total{code="callback_forged",method="GET",route="/x",status="403"} 1`
	if !strings.Contains(w.Body.String(), want) {
		t.Errorf("no line %s in\n%s", want, w.Body)
	}
	if line := s.log.lines(t)[0]; line["code"] != "callback_forged" {
		t.Errorf("line = %v", line)
	}
}

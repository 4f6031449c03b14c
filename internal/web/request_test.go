package web_test

import (
	"fmt"
	"io"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/web"
)

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
	none := netip.Addr{}.String()
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		remote  string
		headers map[string][]string
		want    string
	}{
		"nobody is trusted by default":                    {nil, "127.0.0.1:1", map[string][]string{"X-Forwarded-For": {"6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"}}, "127.0.0.1"},
		"a stranger's header is ignored":                  {proxies, "8.8.8.8:1", map[string][]string{"X-Forwarded-For": {"6.6.6.6"}}, "8.8.8.8"},
		"a proxy's header counts":                         {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"6.6.6.6"}}, "6.6.6.6"},
		"what the client prepended does not":              {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"1.1.1.1, 6.6.6.6, 10.0.0.9"}}, "6.6.6.6"},
		"nor in a header of its own":                      {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"1.1.1.1", "6.6.6.6"}}, "6.6.6.6"},
		"loopback is not trusted by itself":               {proxies, "127.0.0.1:1", map[string][]string{"X-Forwarded-For": {"6.6.6.6"}}, "127.0.0.1"},
		"F04: what cannot be read is nobody's address":    {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"<script>"}}, none},
		"F04: unknown is nobody's address":                {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"unknown"}}, none},
		"F04: unknown behind a trusted hop":               {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"unknown, 10.0.0.9:3000"}}, none},
		"F04: a port is cut off":                          {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"203.0.113.7:51234"}}, "203.0.113.7"},
		"F04: a port behind a trusted hop with one":       {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"203.0.113.5, 10.0.0.9:3000"}}, "203.0.113.5"},
		"F04: IPv6 in brackets with a port":               {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"[2001:db8::3]:51234"}}, "2001:db8::3"},
		"F04: IPv6 in brackets":                           {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"[2001:db8::3]"}}, "2001:db8::3"},
		"F04: IPv6 with a zone":                           {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"fe80::3%eth0"}}, "fe80::3"},
		"F04: IPv4 in IPv6":                               {proxies, "[::ffff:10.0.0.1]:1", map[string][]string{"X-Forwarded-For": {"::ffff:203.0.113.7"}}, "203.0.113.7"},
		"F04: in quotes, as in Forwarded":                 {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {`"[2001:db8::3]:51234"`}}, "2001:db8::3"},
		"F04: empty entries say nothing":                  {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"203.0.113.7, ,", ""}}, "203.0.113.7"},
		"F04: what stands left of the client is not read": {proxies, "10.0.0.1:1", map[string][]string{"X-Forwarded-For": {"unknown, 203.0.113.7"}}, "203.0.113.7"},
		"IPv6 proxies work":                               {proxies, "[fd00::1]:1", map[string][]string{"X-Forwarded-For": {"2001:db8::7"}}, "2001:db8::7"},
		"X-Real-IP is not the agreed header":              {proxies, "10.0.0.1:1", map[string][]string{"X-Real-Ip": {"6.6.6.6"}}, "10.0.0.1"},
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
			"Cache-Control": "no-store, no-transform", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
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
	wide := newSite(t, func(p *web.Params) { p.HSTSSubdomains = true })
	if got := wide.do(httptest.NewRequest("GET", "/", nil)).Header().Get("Strict-Transport-Security"); got != "max-age=31536000; includeSubDomains" {
		t.Errorf("Strict-Transport-Security with subdomains: %q", got)
	}
}

package app_test

import (
	"net/http"
	"testing"
)

// TestF04MetricsAreNotServedThroughAProxy: the address that /metrics looks at is
// the proxy's, which is private or loopback. A forwarded request is from outside.
func TestF04MetricsAreNotServedThroughAProxy(t *testing.T) {
	t.Parallel()
	const behind = "127.0.0.0/8,10.0.0.0/8"
	for name, c := range map[string]struct {
		trusted, header, value string
		want                   int
	}{
		"beside us":                         {"", "", "", 200},
		"no trusted proxy, forwarded":       {"", "X-Forwarded-For", "203.0.113.9", 404},
		"no trusted proxy, Forwarded":       {"", "Forwarded", "for=203.0.113.9", 404},
		"no trusted proxy, only the scheme": {"", "X-Forwarded-Proto", "https", 404},
		"a bare address":                    {behind, "X-Forwarded-For", "203.0.113.9", 404},
		"with a port":                       {behind, "X-Forwarded-For", "203.0.113.9:5000", 404},
		"unknown":                           {behind, "X-Forwarded-For", "unknown", 404},
		"a private client":                  {behind, "X-Forwarded-For", "10.1.2.3", 404},
		"an empty header":                   {behind, "X-Forwarded-For", "", 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, boot{env: map[string]string{"CONNECTLINK_TRUSTED_PROXIES": c.trusted}})
			p.gets("/metrics", c.header, c.value, c.want)
		})
	}
	t.Run("with a listener of their own, from nowhere else", func(t *testing.T) {
		t.Parallel()
		p := start(t, boot{env: map[string]string{"CONNECTLINK_METRICS_LISTEN": "127.0.0.1:0"}})
		p.gets("/metrics", "", "", 404)
		p.base = p.app.MetricsURL()
		p.gets("/metrics", "", "", 200)
	})
}

// TestF04AClientWithAPortHasALimitOfItsOwn: 31 wrong codes of one client leave
// another client's first one alone.
func TestF04AClientWithAPortHasALimitOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, clients := range map[string][2]string{
		"ports":              {"203.0.113.7:51234", "203.0.113.8:51234"},
		"IPv6 with ports":    {"[2001:db8::3]:51234", "[2001:db8:0:1::3]:51234"},
		"several hops":       {"203.0.113.5, 10.0.0.9:3000", "203.0.113.6, 10.0.0.9:3000"},
		"unknown and known":  {"unknown", "203.0.113.8"},
		"obfuscated, known":  {"_hidden", "10.0.0.9"},
		"nonsense and known": {"a b c", "203.0.113.8:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, boot{env: map[string]string{"CONNECTLINK_TRUSTED_PROXIES": "127.0.0.0/8,10.0.0.0/8"}})
			const wrong = "/c/00000000000000000000"
			for range 30 {
				p.gets(wrong, "X-Forwarded-For", clients[0], 404)
			}
			// A slow machine earns a guess each two seconds meanwhile.
			last := http.StatusNotFound
			for tries := 0; last != http.StatusTooManyRequests && tries < 100; tries++ {
				last = p.status(wrong, "X-Forwarded-For", clients[0])
			}
			if last != http.StatusTooManyRequests {
				t.Errorf("the last of 130 guesses: %d", last)
			}
			p.gets(wrong, "X-Forwarded-For", clients[1], 404)
		})
	}
}

// gets demands a status of a GET with one header.
func (p *product) gets(path, header, value string, want int) {
	p.t.Helper()
	if got := p.status(path, header, value); got != want {
		p.t.Fatalf("GET %s as %q: %d, want %d", path, value, got, want)
	}
}

// status is that of a GET with one header.
func (p *product) status(path, header, value string) int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.base+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if header != "" {
		req.Header[header] = []string{value}
	}
	resp, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

package app_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
)

// visitor is a browser without scripts.
type visitor struct {
	t    *testing.T
	http *http.Client
	base string
}

func (p *product) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, &http.Client{Jar: jar, Timeout: patience}, p.base}
}

func (v *visitor) do(method, address string, form string) (int, string, string) {
	v.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = v.base + address
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(form))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept-Language", "en")
	resp, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode, resp.Request.URL.Path, string(body)
}

func TestThePrintedLinkSignsInOnce(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	link, err := p.app.ConsoleLink(t.Context(), p.base, "Developer")
	if err != nil {
		t.Fatal(err)
	}
	v := p.visitor(t)
	if status, at, _ := v.do("GET", "/console/", ""); status != 200 || at != "/console/sign-in" {
		t.Errorf("a stranger gets %d at %s", status, at)
	}
	// Looking at it uses nothing up: previews and scanners look.
	for range 2 {
		if status, _, body := v.do("GET", link, ""); status != 200 || !strings.Contains(body, "<form method=\"post\"") {
			t.Fatalf("the link's page: %d", status)
		}
	}
	if status, at, body := v.do("POST", link, ""); status != 200 || at != "/console/default/test/home" || !strings.Contains(body, "Developer") {
		t.Errorf("after the press: %d at %s", status, at)
	}
	if status, at, _ := p.visitor(t).do("POST", link, ""); status != 401 || at == "/console/default/test/home" {
		t.Errorf("a second use: %d at %s", status, at)
	}
	if strings.Contains(p.logs.String(), "cls_") {
		t.Error("the log holds a session's token")
	}
}

package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/servertest"
)

// TestBehindNginx runs the product behind a real nginx as people configure it:
// each client is told apart, metrics stay inside, pages keep their form, and the
// long poll of an app is answered.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	program := servertest.Need(t, "nginx", "nginx-light")
	front := freePort(t)
	public := fmt.Sprintf("http://127.0.0.1:%d", front)
	v := deployment(t, "").with(vars{"CONNECTLINK_TRUSTED_PROXIES": "127.0.0.1", "CONNECTLINK_PUBLIC_URL": public})
	key := newKey(t, v).text("api_key")
	s := startServe(t, v)
	startNginx(t, program, front, strings.TrimPrefix(s.url, "http://"))

	client := vars{"CONNECTLINK_API_URL": public, "CONNECTLINK_API_KEY": key}
	made := parse(t, mustRun(t, client, "invites", "create", "--user=user-1", "--app=slack", "--email=delivered@connectlink.test"))
	link := object(made["invite_link"].(map[string]any)).text("url")
	if !strings.HasPrefix(link, public+"/c/") {
		t.Errorf("the invite link is %s", link)
	}
	page := request(t, http.MethodGet, link, nil)
	if page.StatusCode != http.StatusOK || page.Header.Get("Cache-Control") != "no-store, no-transform" {
		t.Errorf("the page: %d, Cache-Control %q", page.StatusCode, page.Header.Get("Cache-Control"))
	}
	if got := request(t, http.MethodGet, public+"/metrics", nil).StatusCode; got != http.StatusNotFound {
		t.Errorf("/metrics through the proxy: %d", got)
	}
	if got := request(t, http.MethodGet, s.url+"/metrics", nil).StatusCode; got != http.StatusOK {
		t.Errorf("/metrics beside us: %d", got)
	}
	// The proxy appends the real client to what the client claims.
	const wrong = "/c/00000000000000000000"
	for i := range 31 {
		claimed := http.Header{"X-Forwarded-For": {fmt.Sprintf("203.0.113.%d", i)}}
		got := request(t, http.MethodGet, public+wrong, claimed).StatusCode
		if want := map[bool]int{true: http.StatusTooManyRequests, false: http.StatusNotFound}[i == 30]; got != want {
			t.Fatalf("wrong code %d: %d, want %d", i+1, got, want)
		}
	}
	if strings.Contains(s.err.String(), "requests come through a proxy") {
		t.Error("a proxy that is trusted is warned of")
	}
	s.interrupt()
}

// TestAProxyThatIsNotTrustedIsReported: its clients share one limit, which the
// operator has to hear of.
func TestAProxyThatIsNotTrustedIsReported(t *testing.T) {
	t.Parallel()
	s := startServe(t, deployment(t, ""))
	for range 3 {
		request(t, http.MethodGet, s.url+"/livez", http.Header{"X-Forwarded-For": {"203.0.113.9"}})
	}
	s.says(&s.err, "requests come through a proxy that CONNECTLINK_TRUSTED_PROXIES does not name")
	if n := strings.Count(s.err.String(), "requests come through a proxy"); n != 1 {
		t.Errorf("it is said %d times", n)
	}
	if strings.Contains(s.err.String(), "203.0.113.9") {
		t.Error("the client's address is in the log")
	}
	s.interrupt()
}

// request asks without following redirects; the body is dropped.
func request(t *testing.T, method, url string, header http.Header) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	// From another loopback address than the proxy's, which is trusted.
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	client := http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

func startNginx(t *testing.T, program string, front int, upstream string) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`
daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
    upstream connectlink { server %[3]s; keepalive 16; }
    server {
        listen 127.0.0.1:%[2]d;
        location / {
            proxy_pass http://connectlink;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }
    }
}
`, dir, front, upstream)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := startProgram(t, nil, program, "-p", dir, "-c", path)
	proxy.until("answers", func() bool { return isReady(front) })
}

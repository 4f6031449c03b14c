package main_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/servertest"
)

// requestsPerSecond is the load during the rolling stop.
const requestsPerSecond = 50

// TestReliabilityF8RollingStopBehindHAProxyFailsNoRequest stops and replaces two
// instances one after the other behind a real haproxy, which keeps connections to
// them and asks /readyz. No request fails: readiness is off before the listener
// closes, and a new instance is ready only when it can serve.
func TestReliabilityF8RollingStopBehindHAProxyFailsNoRequest(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts and stops processes under load")
	}
	program := servertest.Need(t, "haproxy", "haproxy")
	v := deployment(t, postgrestest.New(t)).with(vars{"CONNECTLINK_DRAIN_FOR": "4s", "CONNECTLINK_TRUSTED_PROXIES": "127.0.0.1"})
	key := newKey(t, v).text("api_key")
	ports := []int{freePort(t), freePort(t)}
	var instances [2]*process
	launch := func(i int) {
		instances[i] = start(t, v.with(vars{"CONNECTLINK_LISTEN": fmt.Sprintf("127.0.0.1:%d", ports[i])}), "serve")
		instances[i].until("is ready", func() bool { return isReady(ports[i]) })
	}
	launch(0)
	launch(1)
	front := freePort(t)
	startHAProxy(t, program, front, ports)

	load := startLoad(t, fmt.Sprintf("http://127.0.0.1:%d", front), key)
	load.succeed(50)
	for i := range instances {
		instances[i].signal(syscall.SIGTERM)
		instances[i].ends(0)
		load.succeed(20) // by the other one alone
		launch(i)
		load.succeed(50)
	}
	load.stop()
	if load.failed.Load() > 0 || load.succeeded.Load() < 200 {
		t.Errorf("%d of %d requests failed: %v", load.failed.Load(), load.failed.Load()+load.succeeded.Load(), load.faults())
	}
}

// startHAProxy runs a haproxy that keeps connections and checks readiness every
// half second. It repeats nothing, so that each refused connection is a failed request.
func startHAProxy(t *testing.T, program string, front int, ports []int) {
	t.Helper()
	config := fmt.Sprintf(`
global
    maxconn 2000
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout check 10s
    option forwardfor
    retries 0
    http-reuse always
frontend in
    bind 127.0.0.1:%d
    default_backend connectlink
backend connectlink
    balance roundrobin
    option httpchk GET /readyz
    http-check expect status 200
    default-server inter 500ms fall 1 rise 1 check
    server a 127.0.0.1:%d
    server b 127.0.0.1:%d
`, front, ports[0], ports[1])
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := startProgram(t, nil, program, "-db", "-f", path)
	proxy.until("answers", func() bool { return isReady(front) })
}

// load is a stream of requests at a fixed rate.
type load struct {
	t                 *testing.T
	succeeded, failed atomic.Int64
	stop              func()
	mu                sync.Mutex
	seen              []string
}

// startLoad alternates creating invites and reading lists.
func startLoad(t *testing.T, base, key string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &load{t: t}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var wg sync.WaitGroup
	l.stop = sync.OnceFunc(func() { cancel(); wg.Wait(); client.CloseIdleConnections() })
	t.Cleanup(l.stop)
	wg.Go(func() {
		tick := time.NewTicker(time.Second / requestsPerSecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				wg.Go(func() { l.ask(client, base, key, n) })
			}
		}
	})
	return l
}

func (l *load) ask(client *http.Client, base, key string, n int) {
	method, body := http.MethodGet, ""
	if n%2 == 0 {
		method, body = http.MethodPost, fmt.Sprintf(`{"external_user_id":"user-%d","app":"slack","channel":"link"}`, n)
	}
	// Not the test's context: a request that began is finished.
	req, err := http.NewRequestWithContext(context.Background(), method, base+"/v1/invites", strings.NewReader(body))
	if err != nil {
		l.t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		l.fail(err.Error())
		return
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode >= 300 {
		l.fail(fmt.Sprintf("%s %d %.200s", method, resp.StatusCode, text))
		return
	}
	l.succeeded.Add(1)
}

func (l *load) fail(what string) {
	l.failed.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) < 10 {
		l.seen = append(l.seen, what)
	}
}

func (l *load) faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

// succeed waits until so many more requests have succeeded.
func (l *load) succeed(more int64) {
	l.t.Helper()
	want := l.succeeded.Load() + more
	for deadline := time.Now().Add(patience); l.succeeded.Load() < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("the load does not go on: %v", l.faults())
		}
	}
}

// freePort returns a port of loopback that nothing listened on a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func isReady(port int) bool {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", port)) //nolint:noctx // loopback; the test's patience bounds it
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

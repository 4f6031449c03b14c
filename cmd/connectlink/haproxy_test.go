package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/servertest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// requestsPerSecond is the load during the rolling restarts: the promised one where a
// number of restarts is asked for, and half of it beside other tests.
func requestsPerSecond() time.Duration {
	if os.Getenv(restartsVariable) != "" {
		return 100
	}
	return 50
}

// restartsVariable is how many restarts to make; without it 2, in the long form 6.
const restartsVariable = "CONNECTLINK_TEST_RESTARTS"

// restarts returns how often an instance is stopped and replaced.
func restarts(t *testing.T) int {
	t.Helper()
	if text, ok := os.LookupEnv(restartsVariable); ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s is %q, want a number of restarts", restartsVariable, text)
		}
		return n
	}
	if longtest.Wanted() {
		return 3
	}
	return 2
}

// TestReliabilityF8RollingRestartBehindHAProxyFailsNoRequest stops and replaces two
// instances one after the other behind a real haproxy, which keeps connections to
// them and asks /readyz. No request fails: readiness is off before the listener
// closes, and a new instance is ready only when it can serve. Every acknowledged invite
// exists and its message was sent once, and there is no other invite.
func TestReliabilityF8RollingRestartBehindHAProxyFailsNoRequest(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts and stops processes under load")
	}
	program := servertest.Need(t, "haproxy", "haproxy")
	db := postgrestest.New(t)
	// A call whose answer is lost beside other tests is settled within the test's patience.
	v := deployment(t, db).with(vars{
		"CONNECTLINK_DRAIN_FOR": "4s", "CONNECTLINK_TRUSTED_PROXIES": "127.0.0.1", "CONNECTLINK_SETTLE_SENDGRID": "30s",
	})
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
	n, longest := restarts(t), time.Duration(0)
	for i := range n {
		began := time.Now()
		instances[i%2].signal(syscall.SIGTERM)
		instances[i%2].ends(0)
		longest = max(longest, time.Since(began))
		load.succeed(20) // by the other one alone
		launch(i % 2)
		load.succeed(50)
	}
	load.stop()
	failed, succeeded := load.failed.Load(), load.succeeded.Load()
	if failed > 0 || succeeded < int64(100*n) {
		t.Errorf("%d of %d requests failed: %v", failed, failed+succeeded, load.faults())
	}
	lost, extra := compareStored(t, db, load.acknowledged)
	t.Logf("%d restarts, %d requests, %d failed; %d invites acknowledged, %d lost, %d extra; the longest stop took %.1f s, 4 s of it the drain",
		n, failed+succeeded, failed, len(load.acknowledged), lost, extra, longest.Seconds())
	if lost > 0 || extra > 0 {
		t.Errorf("%d invites or messages are lost, %d are extra", lost, extra)
	}
}

// compareStored returns how many acknowledged invites are not stored or were not sent, and how
// many invites or messages there are beyond them. It waits for the messages that are queued.
func compareStored(t *testing.T, db string, acknowledged map[string]bool) (lost, extra int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	waittest.Until(t, "every message is sent", func() bool {
		var open int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM deliveries WHERE status IN ('queued', 'sending')").Scan(&open); err != nil {
			t.Fatal(err)
		}
		return open == 0
	})
	stored := countRows(t, conn, "SELECT id, 1 FROM invites", new(invite.ID))
	sent := countRows(t, conn, "SELECT invite_id, count(*)::int FROM sandbox.messages GROUP BY 1", new(plainText))
	for id := range acknowledged {
		if stored[id] == 0 || sent[id] == 0 {
			lost++
		}
		extra += max(0, sent[id]-1)
		delete(stored, id)
		delete(sent, id)
	}
	return lost, extra + len(stored) + len(sent)
}

// plainText is text that prints as it is.
type plainText string

func (p *plainText) String() string { return string(*p) }

// countRows reads rows of an id and a count.
func countRows(t *testing.T, conn *pgx.Conn, query string, id fmt.Stringer) map[string]int {
	t.Helper()
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	counts, n := map[string]int{}, 0
	if _, err := pgx.ForEachRow(rows, []any{id, &n}, func() error { counts[id.String()] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return counts
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
	acknowledged      map[string]bool // ids of invites that were answered 2xx
}

// startLoad alternates creating invites and reading lists.
func startLoad(t *testing.T, base, key string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &load{t: t, acknowledged: map[string]bool{}}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var wg sync.WaitGroup
	l.stop = sync.OnceFunc(func() { cancel(); wg.Wait(); client.CloseIdleConnections() })
	t.Cleanup(l.stop)
	wg.Go(func() {
		tick := time.NewTicker(time.Second / requestsPerSecond())
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
		method, body = http.MethodPost, fmt.Sprintf(`{"external_user_id":"user-%d","app":"slack","channel":"email","recipient":{"email":"delivered@connectlink.test"}}`, n)
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
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		l.fail(err.Error())
		return
	}
	if resp.StatusCode >= 300 {
		l.fail(fmt.Sprintf("%s %d %.200s", method, resp.StatusCode, text))
		return
	}
	if method == http.MethodPost {
		var made struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(text, &made); err != nil {
			l.fail(fmt.Sprintf("%s %d %v", method, resp.StatusCode, err))
			return
		}
		l.mu.Lock()
		l.acknowledged[made.ID] = true
		l.mu.Unlock()
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

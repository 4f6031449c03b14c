package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/postgrestest"
)

// service is a running `connectlink serve`.
type service struct {
	*process
	url string
}

// startServe waits until the service says that it serves. Its port is its own.
func startServe(t *testing.T, v vars, args ...string) *service {
	t.Helper()
	s := &service{process: start(t, v.with(vars{"CONNECTLINK_LISTEN": "127.0.0.1:0"}), append([]string{"serve"}, args...)...)}
	s.says(&s.err, `"msg":"serving"`)
	s.url = regexp.MustCompile(`"msg":"serving".*"url":"([^"]+)"`).FindStringSubmatch(s.err.String())[1]
	return s
}

// deployment is a configuration for serve, on a migrated database unless it is given one.
func deployment(t *testing.T, db string) vars {
	t.Helper()
	if db == "" {
		db = postgrestest.New(t)
	}
	return vars{"CONNECTLINK_DATABASE_URL": db, "CONNECTLINK_KEYSET": newKeyset(t), "CONNECTLINK_BRAND_NAME": "Acme", "CONNECTLINK_DRAIN_FOR": "0s"}
}

func newKeyset(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(mustRun(t, nil, "keyset", "create"))
}

// newKey makes an API key.
func newKey(t *testing.T, v vars, args ...string) object {
	t.Helper()
	return parse(t, mustRun(t, v, append([]string{"keys", "create", "--json", "--name", t.Name()}, args...)...))
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	keyset := newKeyset(t)
	good := deployment(t, postgrestest.NewEmpty(t))
	for name, c := range map[string]struct {
		env  vars
		args []string
		code int
		says []string
	}{
		"nothing at all": {vars{}, nil, 2, []string{"2 faults", "CONNECTLINK_DATABASE_URL: is needed", "CONNECTLINK_KEYSET: is needed"}},
		"every fault at once": {
			vars{
				"CONNECTLINK_DATABASE_URL": "mysql://u:hidden-word@h/d", "CONNECTLINK_KEYSET": "hidden-word", "CONNECTLINK_PUBLIC_URL": "hidden-word",
				"CONNECTLINK_ROLE": "boss", "SENDGRID_API_KEY": "SG.hidden-word", "PIPEDREAM_CLIENT_SECRET": "hidden-word",
			}, nil, 2,
			[]string{
				"6 faults", "CONNECTLINK_DATABASE_URL: ", "CONNECTLINK_KEYSET: the keyset is not readable", "CONNECTLINK_PUBLIC_URL: ", "CONNECTLINK_ROLE: ",
				"SENDGRID_FROM: ", "PIPEDREAM_CLIENT_ID: ",
			},
		},
		"a secret's file that is not there": {good.with(vars{"CONNECTLINK_KEYSET": "", "CONNECTLINK_KEYSET_FILE": "/nowhere/keyset"}), nil, 2, []string{"CONNECTLINK_KEYSET_FILE: there is no such file"}},
		"a file that is none":               {good, []string{"--config", "/nowhere/connectlink.yaml"}, 2, []string{"connectlink.yaml"}},
		"a role that is none":               {good, []string{"--role=boss"}, 2, []string{"--role", "api"}},
		"pending migrations":                {good, nil, 1, []string{"migrations are pending", "`connectlink migrate`"}},
		"vendors that cannot call back": {
			good.with(vars{
				"PIPEDREAM_CLIENT_ID": "id", "PIPEDREAM_CLIENT_SECRET": "hidden-word", "PIPEDREAM_PROJECT_ID": "proj_1",
				"SENDGRID_API_KEY": "SG.hidden-word", "SENDGRID_FROM": "a@acme.example", "CONNECTLINK_PUBLIC_URL": "https://go.acme.internal",
			}), nil, 2,
			[]string{"project default is not ready for live keys", "Pipedream, SendGrid cannot call back", "CONNECTLINK_ALLOW_NO_CALLBACKS"},
		},
		"a primary for lists": {
			deployment(t, "").with(vars{"CONNECTLINK_DATABASE_READ_URL": postgrestest.NewEmpty(t)}), nil, 1,
			[]string{"CONNECTLINK_DATABASE_READ_URL names a primary, not a standby", "name a standby of the database of CONNECTLINK_DATABASE_URL, or leave the setting out"},
		},
		"a database that does not answer": {
			vars{"CONNECTLINK_DATABASE_URL": "postgres://me:hidden-word@127.0.0.1:1/none", "CONNECTLINK_KEYSET": keyset, "CONNECTLINK_DATABASE_WAIT": "300ms"}, nil, 1,
			[]string{"waiting for the database", "database unavailable"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runCommand(t, c.env, append([]string{"serve"}, c.args...)...)
			r.want(t, c.code, c.says...)
			r.hides(t, "hidden-word", keyset, "goroutine")
		})
	}
	t.Run("a port that is taken", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		runCommand(t, deployment(t, "").with(vars{"CONNECTLINK_LISTEN": l.Addr().String()}), "serve").want(t, 1, "listen on "+l.Addr().String(), "in use")
	})
}

// TestServeFromAnEmptyDatabase walks the way of an operator, with secrets in files.
func TestServeFromAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	public := newFront(t)
	keyset := newKeyset(t)
	file := filepath.Join(t.TempDir(), "keyset")
	if err := os.WriteFile(file, []byte(keyset+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := vars{
		"CONNECTLINK_DATABASE_URL": postgrestest.NewEmpty(t), "CONNECTLINK_KEYSET_FILE": file, "CONNECTLINK_PUBLIC_URL": public.URL,
		"CONNECTLINK_BRAND_NAME": "Acme", "CONNECTLINK_LOG_LEVL": "debug",
	}
	runCommand(t, v, "serve").want(t, 1, "`connectlink migrate`")
	runCommand(t, v, "migrate").want(t, 0, "Migrations applied: ", "up to date")
	runCommand(t, v, "migrate").want(t, 0, "Nothing to do")

	key := newKey(t, v)
	s := startServe(t, v)
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	public.target.Store(target)
	if !strings.Contains(s.err.String(), "did you mean CONNECTLINK_LOG_LEVEL?") {
		t.Error("a misspelt variable goes unnoticed")
	}
	api := vars{"CONNECTLINK_API_URL": public.URL, "CONNECTLINK_API_KEY": key.text("api_key")}
	s.until("is ready", func() bool { return runCommand(t, nil, "healthcheck", "--url", s.url).code == 0 })
	made := parse(t, mustRun(t, api, "invites", "create", "--user=user-1", "--app=slack", "--email=delivered+connect@connectlink.test", "--name=Pat", "--inviter=Sam"))
	if link, _ := made["invite_link"].(map[string]any); !strings.HasPrefix(object(link).text("url"), public.URL+"/c/") {
		t.Errorf("the invite link: %v", made["invite_link"])
	}
	s.until("connects the account", func() bool { return fetch(t, api, made.text("id")).text("status") == "connected" })
	if status, _, _ := call(t, http.MethodGet, s.url+"/sandbox/inbox", "", ""); status != http.StatusNotFound {
		t.Errorf("the inbox page of a served sandbox answers %d: it shows messages to anybody", status)
	}
	for _, secret := range []string{keyset, key.text("api_key"), "delivered+connect", "ctok_"} {
		if strings.Contains(s.err.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	drains(t, s, key.text("api_key"))
}

// drains stops a service with a request half-way in, which is still answered.
func drains(t *testing.T, s *service, key string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	body := `{"external_user_id":"user-2","app":"slack","channel":"link"}`
	if _, err := fmt.Fprintf(conn, "POST /v1/invites HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", key, len(body)); err != nil {
		t.Fatal(err)
	}
	// The server asks for the body once its handler reads it: the request is under way.
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGTERM)
	s.says(&s.err, "requests under way may finish")
	s.until("refuses newcomers", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("the request under way: %v", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("the request under way is answered %d", resp.StatusCode)
	}
	_ = conn.Close()
	s.ends(0)
	if !strings.Contains(s.err.String(), `"msg":"stopped"`) {
		t.Error("the end is not logged")
	}
}

// A stop takes as long as the drain, or until the next signal.
func TestReliabilityF8ASecondSignalEndsTheDrain(t *testing.T) {
	t.Parallel()
	s := startServe(t, deployment(t, "").with(vars{"CONNECTLINK_DRAIN_FOR": "1m"}))
	s.until("is ready", func() bool { return runCommand(t, nil, "healthcheck", "--url", s.url).code == 0 })
	s.signal(syscall.SIGTERM)
	s.says(&s.err, "requests under way may finish")
	s.until("is not ready", func() bool {
		status, _, _ := call(t, http.MethodGet, s.url+"/readyz", "", "")
		return status == http.StatusServiceUnavailable
	})
	if status, _, body := call(t, http.MethodGet, s.url+"/livez", "", ""); status != http.StatusOK {
		t.Errorf("/livez answers %d during the drain: %s", status, body)
	}
	for ended := false; !ended; {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // again: the first may still be taken as one that asks for a stop
		select {
		case <-s.done:
			ended = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	if got := s.code(); got != -1 {
		t.Errorf("ended with %d, want the signal", got)
	}
}

// TestAPIAndWorkerAsTwoProcesses: what one accepts the other sends, and test
// mode's vendors call back where recipients come in, at the public URL.
func TestAPIAndWorkerAsTwoProcesses(t *testing.T) {
	t.Parallel()
	public := newFront(t)
	v := deployment(t, "").with(vars{"CONNECTLINK_PUBLIC_URL": public.URL})
	key := newKey(t, v).text("api_key")
	api := startServe(t, v, "--role=api")
	target, err := url.Parse(api.url)
	if err != nil {
		t.Fatal(err)
	}
	public.target.Store(target)
	client := vars{"CONNECTLINK_API_URL": public.URL, "CONNECTLINK_API_KEY": key}
	made := parse(t, mustRun(t, client, "invites", "create", "--user=user-1", "--app=slack", "--email=delivered+connect@connectlink.test"))
	if got := fetch(t, client, made.text("id")).delivery(); got != "queued" {
		t.Errorf("without a worker the delivery is %s", got)
	}
	worker := startServe(t, v.with(vars{"CONNECTLINK_ROLE": "worker"}))
	worker.until("sends, and the account connects", func() bool {
		return fetch(t, client, made.text("id")).text("status") == "connected"
	})
	if public.callbacks.Load() == 0 {
		t.Error("no vendor called the public URL")
	}
	sms := parse(t, mustRun(t, client, "invites", "create", "--user=user-2", "--app=slack", "--phone=+12025550100"))
	began := time.Now()
	worker.until("sends the text message", func() bool { return fetch(t, client, sms.text("id")).delivery() == "delivered" })
	t.Logf("accepted by one process, delivered by the other: %d ms", time.Since(began).Milliseconds())
	// A worker serves no requests; it is as healthy as its database.
	mustRun(t, v.with(vars{"CONNECTLINK_ROLE": "worker"}), "healthcheck")
	for _, p := range []*service{worker, api} {
		p.signal(syscall.SIGTERM)
		p.ends(0)
	}
}

// A worker needs no public URL: without one links are Pipedream's own, and
// what happens is learnt by polling.
func TestWorkerWithoutAPublicURL(t *testing.T) {
	t.Parallel()
	s := startServe(t, deployment(t, ""), "--role=worker")
	s.interrupt()
}

// What a worker does can be seen from beside it, and nothing else of it.
func TestWorkerAnswersOrchestratorsAndScrapers(t *testing.T) {
	t.Parallel()
	v := deployment(t, "").with(vars{"CONNECTLINK_METRICS_LISTEN": "127.0.0.1:0"})
	s := startServe(t, v, "--role=worker")
	base := regexp.MustCompile(`"metrics":"([^"]+)"`).FindStringSubmatch(s.err.String())[1]
	listen := strings.TrimPrefix(base, "http://")
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if runCommand(t, v.with(vars{"CONNECTLINK_ROLE": "worker", "CONNECTLINK_METRICS_LISTEN": listen}), "healthcheck").code == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the worker never became ready")
		}
	}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 200, "/v1/reasons": 404, "/": 404} {
		resp, err := http.Get(base + path) //nolint:noctx // loopback, and the client's default is the test's
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
		if path == "/metrics" && !strings.Contains(string(body), "connectlink_dispatch_due") {
			t.Error("a worker's metrics say nothing of its queue")
		}
	}
	s.interrupt()
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(http.StatusOK)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: patience}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, listen := range []string{"127.0.0.1:" + port, ":" + port, "0.0.0.0:" + port, "localhost:" + port} {
		runCommand(t, vars{"CONNECTLINK_LISTEN": listen}, "healthcheck").want(t, 0)
	}
	status.Store(http.StatusServiceUnavailable)
	runCommand(t, vars{"CONNECTLINK_LISTEN": l.Addr().String()}, "healthcheck").want(t, 1, "not ready: it answers 503")
	_ = srv.Close()
	runCommand(t, nil, "healthcheck", "--url", "http://"+l.Addr().String()+"/").want(t, 1, "not ready", "refused")
	runCommand(t, nil, "healthcheck", "--url", "::").want(t, 1, "not a URL")
	runCommand(t, vars{"CONNECTLINK_LISTEN": "nonsense"}, "healthcheck").want(t, 2, "CONNECTLINK_LISTEN")
}

package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/seal"
)

// benchRig is a durable Postgres, the real program and stub vendors on one
// machine. The results are ratios to that Postgres under pgbench in the same
// minute: absolute numbers depend more on the machine.
type benchRig struct {
	b       *testing.B
	dir     string
	bin     string // the program
	pg      *devpg.Server
	pgbench string
	vendors *stubVendors
	env     []string
	key     string
	next    int // number of the next recipient
}

// yardstick is the transaction that everything is measured by: one row each
// like an invite, a delivery and an event, with the indexes such tables have.
const yardstick = `
CREATE SCHEMA yard;
CREATE TABLE yard.invites (id uuid PRIMARY KEY, project_id text NOT NULL, status text NOT NULL, channel text NOT NULL,
	external_user_id text NOT NULL, app_slug text NOT NULL, content bytea, expires_at timestamptz, created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON yard.invites (project_id, id);
CREATE TABLE yard.deliveries (id uuid PRIMARY KEY, invite_id uuid NOT NULL REFERENCES yard.invites, status text NOT NULL, lane text NOT NULL,
	next_at timestamptz, created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON yard.deliveries (lane, next_at) WHERE next_at IS NOT NULL;
CREATE TABLE yard.events (invite_id uuid NOT NULL REFERENCES yard.invites, seq integer NOT NULL, type text NOT NULL, data jsonb NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (invite_id, seq));`

const yardScript = `\set n random(1, 9000000000000000000)
BEGIN;
INSERT INTO yard.invites (id, project_id, status, channel, external_user_id, app_slug, content, expires_at) VALUES (lpad(to_hex(:n::bigint), 32, '0')::uuid, 'default', 'active', 'email', 'user-1', 'slack', decode(repeat('5a', 300), 'hex'), now() + interval '4 hours');
INSERT INTO yard.deliveries (id, invite_id, status, lane, next_at) VALUES (lpad(to_hex(:n::bigint), 32, '0')::uuid, lpad(to_hex(:n::bigint), 32, '0')::uuid, 'queued', 'default/email/live', now());
INSERT INTO yard.events (invite_id, seq, type, data) VALUES (lpad(to_hex(:n::bigint), 32, '0')::uuid, 1, 'created', '{"channel": "email", "has_link": true}');
COMMIT;
`

func newBenchRig(b *testing.B) *benchRig {
	b.Helper()
	dir, err := os.MkdirTemp("", "connectlink-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	// Postgres runs as another user when we are root.
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // only entering is allowed
		b.Fatal(err)
	}
	r := &benchRig{b: b, dir: dir, bin: filepath.Join(dir, "connectlink"), vendors: startVendors(b)}
	r.mustRun(exec.Command("go", append(append([]string{"build"}, strings.Fields(os.Getenv("CONNECTLINK_BENCH_BUILD"))...), "-o", r.bin, "../../cmd/connectlink")...))
	if r.pg, err = devpg.Start(b.Context(), devpg.Params{
		Dir: filepath.Join(dir, "pg"), Settings: map[string]string{"shared_buffers": "256MB", "max_wal_size": "4GB", "max_connections": "200"},
	}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.pg.Stop(context.Background()) })
	found, err := devpg.Find(b.Context(), os.LookupEnv, "", 0)
	if err != nil {
		b.Fatal(err)
	}
	r.pgbench = filepath.Join(found.Dir, "pgbench")
	keyset, err := seal.NewKeyset()
	if err != nil {
		b.Fatal(err)
	}
	r.env = append(os.Environ(),
		"CONNECTLINK_DATABASE_URL="+r.pg.URL(), "CONNECTLINK_KEYSET="+keyset.Encode().Reveal(), "CONNECTLINK_BRAND_NAME=Acme",
		"CONNECTLINK_SANDBOX=false", "CONNECTLINK_ALLOW_NO_CALLBACKS=true", "CONNECTLINK_PUBLIC_URL=http://127.0.0.1:1",
		"PIPEDREAM_API_URL="+r.vendors.url(), "PIPEDREAM_CLIENT_ID=id", "PIPEDREAM_CLIENT_SECRET=secret",
		"PIPEDREAM_PROJECT_ID=proj_1", "PIPEDREAM_PROJECT_ENVIRONMENT=production",
		"SENDGRID_API_URL="+r.vendors.url(), "SENDGRID_API_KEY=SG.bench", "SENDGRID_FROM=connect@acme.example",
	)
	r.mustRun(r.command("migrate"))
	var made struct {
		Key string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(r.mustRun(r.command("keys", "create", "--name", "bench", "--live", "--json"))), &made); err != nil {
		b.Fatal(err)
	}
	r.key = made.Key
	r.mustRun(exec.Command(filepath.Join(found.Dir, "psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-c", yardstick, r.pg.URL()))
	if err := os.WriteFile(filepath.Join(dir, "yard.sql"), []byte(yardScript), 0o600); err != nil {
		b.Fatal(err)
	}
	return r
}

func (r *benchRig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(r.bin, args...)
	cmd.Env = r.env
	return cmd
}

func (r *benchRig) mustRun(cmd *exec.Cmd) string {
	r.b.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.b.Fatalf("%s: %v\n%s", cmd.Args, err, last(stderr.String(), 2000))
	}
	return string(out)
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

// plain is pgbench's rate of the yardstick, and its median latency.
func (r *benchRig) plain(clients int, length time.Duration) (rate float64, p50 time.Duration) {
	r.b.Helper()
	prefix := filepath.Join(r.dir, "pgbench-log")
	out := r.mustRun(exec.Command(r.pgbench, "-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", "1", "-T", strconv.Itoa(int(length.Seconds())),
		"-l", "--log-prefix="+prefix, "-f", filepath.Join(r.dir, "yard.sql"), r.pg.URL()))
	m := tps.FindStringSubmatch(out)
	if m == nil {
		r.b.Fatalf("pgbench says no rate:\n%s", out)
	}
	rate, _ = strconv.ParseFloat(m[1], 64)
	logs, _ := filepath.Glob(prefix + ".*")
	var all []time.Duration
	for _, name := range logs {
		raw, err := os.ReadFile(name)
		if err != nil {
			r.b.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) > 2 { // client, transaction, microseconds, …
				us, _ := strconv.Atoi(f[2])
				all = append(all, time.Duration(us)*time.Microsecond)
			}
		}
		_ = os.Remove(name)
	}
	return rate, quantile(all, 0.5)
}

// fsync is the median time in which the disk under the database makes 8 KB durable.
func (r *benchRig) fsync() time.Duration {
	r.b.Helper()
	f, err := os.Create(filepath.Join(r.dir, "fsync"))
	if err != nil {
		r.b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 8192)
	var all []time.Duration
	for range 200 {
		begun := time.Now()
		if _, err := f.WriteAt(page, 0); err != nil {
			r.b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			r.b.Fatal(err)
		}
		all = append(all, time.Since(begun))
	}
	return quantile(all, 0.5)
}

// service is the program running.
type service struct {
	cmd   *exec.Cmd
	base  string
	log   *os.File
	ready time.Duration // from exec to a 200 of /readyz
	peak  func() float64
}

// serve starts the program and waits until it is ready.
func (r *benchRig) serve(b *testing.B, args ...string) *service {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	log, err := os.OpenFile(filepath.Join(r.dir, "service.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	s := &service{cmd: r.command(append([]string{"serve"}, args...)...), base: "http://" + addr, log: log}
	s.cmd.Env = append(s.cmd.Env[:len(s.cmd.Env):len(s.cmd.Env)], "CONNECTLINK_LISTEN="+addr)
	s.cmd.Stderr, s.cmd.Stdout = log, log
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.stop)
	if !strings.Contains(strings.Join(args, " "), "worker") {
		for !s.isReady() {
			if time.Since(begun) > time.Minute {
				b.Fatal("the service never became ready")
			}
			time.Sleep(500 * time.Microsecond)
		}
		s.ready = time.Since(begun)
	}
	s.peak = s.watchMemory()
	return s
}

func (s *service) isReady() bool {
	resp, err := http.Get(s.base + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (s *service) stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(os.Interrupt)
		_ = s.cmd.Wait()
		_ = s.log.Close()
	}
}

// memory is the process's anonymous resident memory in MiB.
func (s *service) memory() float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kb) / 1024
		}
	}
	return 0
}

// watchMemory gives the highest use so far.
func (s *service) watchMemory() func() float64 {
	var mu sync.Mutex
	var peak float64
	go func() {
		for {
			m := s.memory()
			if m == 0 {
				return // it ended
			}
			mu.Lock()
			peak = max(peak, m)
			mu.Unlock()
			time.Sleep(50 * time.Millisecond)
		}
	}()
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return peak
	}
}

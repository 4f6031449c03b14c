package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// Issue 14: something runs out under load. Requests are answered 503
// with Retry-After, nothing waits longer than a request may take, the service goes on
// within recoveryLimit without help, and nothing is lost or sent twice.

// recoveryLimit is how long the service may take until it serves as before.
const recoveryLimit = 10 * time.Second

// requestLimit is how long any answer may take: a request's own limit, and a moment.
const requestLimit = 25 * time.Second

// exhaustedFor is how long the load goes on while something is exhausted.
func exhaustedFor() time.Duration {
	if longtest.Wanted() {
		return 5 * time.Second
	}
	return 1500 * time.Millisecond
}

// TestTwoConnectionsAndASlowProviderRefuseAndRecover: a process with two connections to
// the database for requests, both of which wait for a lock, while the email provider
// takes three seconds for each message.
func TestTwoConnectionsAndASlowProviderRefuseAndRecover(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("exhausts a process under load")
	}
	db := postgrestest.New(t)
	v := deployment(t, db).with(vars{"CONNECTLINK_DATABASE_POOL_SIZE": "2"})
	key := newKey(t, v).text("api_key")
	s := startServe(t, v)
	s.ready(s.url)
	faults := s.url + "/v1/test_helpers/faults"
	if status, _, body := call(t, http.MethodPost, faults, key, `{"vendor":"email","kind":"slow"}`); status != http.StatusOK {
		t.Fatalf("slow the provider down: %d %s", status, body)
	}
	p := startPressure(t, s, key, 64)
	s.until("accepts invites", func() bool { return p.count().accepted > 20 })
	blocker, err := pgx.Connect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blocker.Close(context.WithoutCancel(t.Context())) }()
	if _, err := blocker.Exec(t.Context(), `BEGIN; LOCK TABLE invites IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	s.until("refuses requests", func() bool { return p.count().refused > 50 })
	p.wait(exhaustedFor())
	if _, err := blocker.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	p.recovers()
	if status, _, body := call(t, http.MethodDelete, faults+"/email", key, ""); status != http.StatusNoContent {
		t.Fatalf("heal the provider: %d %s", status, body)
	}
	p.finish(db)
}

// TestSixtyFourDescriptorsRefuseAndRecover: connections from clients leave the database and
// the vendors their descriptors. Those beyond the room are told to come again, silent ones
// are closed, and the process does not spin.
func TestSixtyFourDescriptorsRefuseAndRecover(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("exhausts a process under load")
	}
	db := postgrestest.New(t)
	v := deployment(t, db)
	key := newKey(t, v).text("api_key")
	s := startServeBy(t, v, "ulimit -n 64")
	s.ready(s.url)
	p := startPressure(t, s, key, 32)
	s.until("refuses requests", func() bool { return p.count().refused > 50 })
	p.wait(exhaustedFor())
	for _, path := range []string{"/livez", "/readyz"} {
		if status, _, body := call(t, http.MethodGet, s.url+path, "", ""); status != http.StatusOK {
			t.Errorf("%s answers %d under load: %s", path, status, body)
		}
	}
	p.stop()
	// Clients that connect and send nothing.
	silent := make([]io.Closer, 0, 200)
	for range cap(silent) {
		silent = append(silent, dial(t, s.url))
	}
	before := cpuSeconds(t, s)
	p.wait(exhaustedFor())
	spent := cpuSeconds(t, s) - before
	if share := spent / exhaustedFor().Seconds(); share > 0.5 {
		t.Errorf("with 200 silent connections the process takes %.0f %% of a processor", 100*share)
	}
	for _, c := range silent {
		_ = c.Close()
	}
	p.start(4)
	p.recovers()
	p.finish(db)
	t.Logf("200 silent connections: %.2f s of processor time in %s", spent, exhaustedFor())
}

// TestMemoryLimitOfTheControlGroupIsKept: without GOMEMLIMIT, in a control group with
// 64 MiB; where none can be made, with GOMEMLIMIT alone.
func TestMemoryLimitOfTheControlGroupIsKept(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("exhausts a process under load")
	}
	const limit = 64 << 20
	db := postgrestest.New(t)
	v := deployment(t, db)
	key := newKey(t, v).text("api_key")
	group, err := newMemoryGroup(t, limit)
	var s *service
	if err != nil {
		t.Logf("no control group can be made (%v): GOMEMLIMIT alone", err)
		s = startServe(t, v.with(vars{"GOMEMLIMIT": "56MiB"}))
	} else {
		s = startServeBy(t, v, "echo $$ > "+filepath.Join(group, "cgroup.procs"))
		s.says(&s.err, `"memory is limited by the control group","heap_limit_bytes":58720256`)
	}
	s.ready(s.url)
	p := startPressure(t, s, key, 64)
	most := 0
	for range 30 {
		p.wait(exhaustedFor() / 30)
		most = max(most, anonymousKiB(t, s))
	}
	if most<<10 > limit {
		t.Errorf("the process had %d KiB of memory of its own", most)
	}
	p.recovers()
	p.finish(db)
	select {
	case <-s.done:
		t.Errorf("the process ended: %v", s.cmd.ProcessState)
	default:
	}
	t.Logf("at most %.1f MiB anonymous, limit 64 MiB, control group: %t", float64(most)/1024, group != "")
}

// TestAStarvedProcessLosesAndDoublesNothing: a process that gets five of each hundred
// milliseconds, as one with a quota of 5 % does, beside one that has all it needs and
// takes over what the other one cannot keep.
func TestAStarvedProcessLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("exhausts a process under load")
	}
	db := postgrestest.New(t)
	v := deployment(t, db)
	key := newKey(t, v).text("api_key")
	s := startServe(t, v)
	s.ready(s.url)
	other := startServe(t, v)
	other.ready(other.url)
	p := startPressure(t, s, key, 32)
	s.until("accepts invites", func() bool { return p.count().accepted > 20 })
	before := cpuSeconds(t, s)
	begun := time.Now()
	starving, fed := context.WithTimeout(t.Context(), 2*exhaustedFor())
	defer fed()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for run := time.NewTimer(0); starving.Err() == nil; {
		s.signal(syscall.SIGSTOP)
		<-tick.C
		s.signal(syscall.SIGCONT)
		run.Reset(5 * time.Millisecond)
		<-run.C
	}
	spent := (cpuSeconds(t, s) - before) / time.Since(begun).Seconds()
	p.recovers()
	p.finish(db)
	t.Logf("the starved process had %.0f %% of a processor", 100*spent)
}

// pressure is a load beyond what a process can take: clients that send the next request
// as soon as the last one is answered. Each creates an invite with an Idempotency-Key of
// its own; refused ones are repeated in the end.
type pressure struct {
	t       *testing.T
	s       *service
	key     string
	texts   bool // text messages in place of mail: a provider can be asked about those
	client  *http.Client
	clients sync.WaitGroup
	stop    func()

	mu           sync.Mutex
	next         int
	refused      []int           // creates without an acknowledgement so far
	acknowledged map[string]bool // ids of invites
	counts       pressureCounts
	faults       map[string]int
	recovery     time.Duration
}

type pressureCounts struct {
	accepted, refused int
	slowest           time.Duration
}

func startPressure(t *testing.T, s *service, key string, clients int) *pressure {
	t.Helper()
	p := newPressure(t, s, key)
	p.start(clients)
	return p
}

func newPressure(t *testing.T, s *service, key string) *pressure {
	t.Helper()
	p := &pressure{t: t, s: s, key: key, acknowledged: map[string]bool{}, faults: map[string]int{}}
	p.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	p.stop = func() {}
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *pressure) start(clients int) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	p.stop = sync.OnceFunc(func() { cancel(); p.clients.Wait(); p.client.CloseIdleConnections() })
	for range clients {
		p.clients.Go(func() {
			for ctx.Err() == nil {
				p.mu.Lock()
				n := p.next
				p.next++
				p.mu.Unlock()
				if !p.create(n) {
					p.mu.Lock()
					p.refused = append(p.refused, n)
					p.mu.Unlock()
					pauseFor(ctx, 300*time.Millisecond)
				}
			}
		})
	}
}

func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// wait lets the load go on.
func (p *pressure) wait(d time.Duration) { pauseFor(p.t.Context(), d) }

// create makes one request, and reports whether it was acknowledged.
func (p *pressure) create(n int) bool {
	body := fmt.Sprintf(`{"external_user_id":"user-%d","app":"slack","channel":"email","recipient":{"email":"delivered@connectlink.test"}}`, n)
	if p.texts {
		body = fmt.Sprintf(`{"external_user_id":"user-%d","app":"slack","channel":"sms","recipient":{"phone":"+1212%07d"}}`, n, 2_000_000+n)
	}
	// Not the test's context: a request that began is finished.
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.s.url+"/v1/invites", strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return false
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("create-%d", n))
	began := time.Now()
	id, fault := p.answer(req)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.slowest = max(p.counts.slowest, time.Since(began))
	switch {
	case errors.Is(fault, errRefused):
		p.counts.refused++
	case fault != nil:
		p.faults[fault.Error()]++
	default:
		p.counts.accepted++
		p.acknowledged[id] = true
	}
	return fault == nil
}

// errRefused is a refusal with the time to come again.
var errRefused = errors.New("503 with Retry-After")

func (p *pressure) answer(req *http.Request) (id string, err error) {
	resp, err := p.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return "", fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("half an answer: %w", err)
	}
	if wait, _ := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode == http.StatusServiceUnavailable && wait > 0 {
		return "", errRefused
	}
	if resp.StatusCode >= 300 {
		return "", fmt.Errorf("%d %.300s", resp.StatusCode, text)
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(text, &made); err != nil {
		return "", err
	}
	return made.ID, nil
}

func (p *pressure) count() pressureCounts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// recovers measures, from now on, how long it takes until the process is ready and accepts
// invites, and fails where that is too long.
func (p *pressure) recovers() {
	p.t.Helper()
	began, before := time.Now(), p.count().accepted
	waittest.Until(p.t, "accepts invites again", func() bool { return p.count().accepted >= before+20 })
	waittest.Until(p.t, "is ready again", func() bool {
		status, _, _ := call(p.t, http.MethodGet, p.s.url+"/readyz", "", "")
		return status == http.StatusOK
	})
	if p.recovery = time.Since(began); p.recovery > recoveryLimit {
		p.t.Errorf("the service took %s to recover", p.recovery)
	}
}

// finish ends the load, repeats the refused requests, and compares those acknowledged with
// the invites and the messages that there are.
func (p *pressure) finish(db string) {
	p.t.Helper()
	p.stop()
	counts, faults := p.count(), p.faults
	if len(faults) > 0 {
		p.t.Errorf("answers that are neither an invite nor a refusal: %v", faults)
	}
	if counts.slowest > requestLimit {
		p.t.Errorf("the slowest answer took %s", counts.slowest)
	}
	var all sync.WaitGroup
	for some := range slices.Chunk(p.refused, len(p.refused)/8+1) {
		all.Go(func() {
			for _, n := range some {
				for deadline := time.Now().Add(patience); !p.create(n); {
					if time.Now().After(deadline) {
						p.t.Errorf("create %d is never acknowledged: %v", n, p.faults)
						return
					}
				}
			}
		})
	}
	all.Wait()
	lost, extra := compareStored(p.t, db, p.acknowledged)
	if lost > 0 || extra > 0 {
		p.t.Errorf("%d invites or messages are lost, %d are extra", lost, extra)
	}
	wholeInvites(p.t, db, p.acknowledged)
	p.t.Logf("%d accepted, %d refused, slowest answer %.1f s, recovered in %.1f s; with the refused ones repeated %d invites, %d lost, %d extra",
		counts.accepted, counts.refused, counts.slowest.Seconds(), p.recovery.Seconds(), len(p.acknowledged), lost, extra)
}

// startServeBy runs `serve` from a shell, after a command that limits it.
func startServeBy(t *testing.T, v vars, command string) *service {
	t.Helper()
	s := &service{process: startProgram(t, v.with(vars{"CONNECTLINK_LISTEN": "127.0.0.1:0"}), "/bin/sh", "-c", command+`; exec "$0" serve`, binary)}
	s.says(&s.err, `"msg":"serving"`)
	s.url = regexp.MustCompile(`"msg":"serving".*"url":"([^"]+)"`).FindStringSubmatch(s.err.String())[1]
	return s
}

// cpuSeconds is the processor time that a process has used; see proc_pid_stat(5).
func cpuSeconds(t *testing.T, s *service) float64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		t.Skipf("processor times are read from Linux's /proc: %v", err)
	}
	fields := strings.Fields(string(raw)[strings.LastIndexByte(string(raw), ')')+1:])
	user, uerr := strconv.Atoi(fields[11])
	system, serr := strconv.Atoi(fields[12])
	if err := errors.Join(uerr, serr); err != nil {
		t.Fatal(err)
	}
	return float64(user+system) / 100
}

// anonymousKiB is the memory of a process that is no file's, which a control group counts in full.
func anonymousKiB(t *testing.T, s *service) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Skipf("memory is read from Linux's /proc: %v", err)
	}
	found := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(raw)
	if found == nil {
		t.Fatalf("the process is gone: %s", raw)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// newMemoryGroup makes a control group with a memory limit, which needs root: below the
// test's own group in version 1, at the top in version 2, where a group with processes
// cannot limit others below it.
func newMemoryGroup(t *testing.T, limit int64) (dir string, err error) {
	t.Helper()
	name, file := fmt.Sprintf("connectlink-test-%d", os.Getpid()), "memory.max"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+memory"), 0); err != nil {
			return "", err
		}
		dir = filepath.Join("/sys/fs/cgroup", name)
	} else {
		own, err := os.ReadFile("/proc/self/cgroup")
		if err != nil {
			return "", err
		}
		found := regexp.MustCompile(`(?m)^\d+:memory:(.*)$`).FindSubmatch(own)
		if found == nil {
			return "", errors.New("no hierarchy for memory")
		}
		dir, file = filepath.Join("/sys/fs/cgroup/memory", string(found[1]), name), "memory.limit_in_bytes"
	}
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // as the kernel makes them
		return "", err
	}
	t.Cleanup(func() {
		waittest.Until(t, "the control group is empty", func() bool { return os.Remove(dir) == nil })
	})
	return dir, os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(limit, 10)), 0)
}

func dial(t *testing.T, base string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

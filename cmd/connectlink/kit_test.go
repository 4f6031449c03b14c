package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/waittest"
)

// patience bounds every wait for another process; it is far above what a busy
// machine needs.
const patience = waittest.Limit

// binary is the command, built once and called connectlink.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "connectlink-cmd-")
	if err == nil {
		binary = filepath.Join(dir, "connectlink")
		out, berr := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
		if err = berr; err != nil {
			err = fmt.Errorf("%w\n%s", berr, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the command:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// vars are environment variables.
type vars map[string]string

func (v vars) with(more vars) vars {
	out := maps.Clone(v)
	if out == nil {
		out = vars{}
	}
	maps.Copy(out, more)
	return out
}

// environ is an environment of its own: what the tester has set does not reach
// the commands under test.
func environ(t *testing.T, v vars) []string {
	t.Helper()
	all := vars{"PATH": os.Getenv("PATH"), "HOME": t.TempDir(), "TMPDIR": os.TempDir()}.with(v)
	out := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, name+"="+all[name])
	}
	return out
}

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a command that runs.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	stdout, err output
	done        chan struct{} // closed when it has ended
	began       time.Time
}

// start runs the command; it is killed at the test's end if it still runs.
func start(t *testing.T, v vars, args ...string) *process {
	t.Helper()
	return startProgram(t, v, binary, args...)
}

func startProgram(t *testing.T, v vars, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(program, args...), done: make(chan struct{}), began: time.Now()}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = environ(t, v), &p.stdout, &p.err
	p.cmd.WaitDelay = 5 * time.Second // should a grandchild hold the pipes
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s %s\nstdout:\n%s\nfaults:\n%s\nstderr:\n%s", filepath.Base(program), strings.Join(args, " "),
				last(p.stdout.String()), last(faultLines(p.err.String())), last(p.err.String()))
		}
	})
	return p
}

// faultLines returns the lines of a log that warn, and those of attempts that were not
// accepted: the end of a log often no longer has the one that explains a failure.
func faultLines(log string) string {
	var faults strings.Builder
	for line := range strings.Lines(log) {
		attempt := strings.Contains(line, `"msg":"attempt"`) && !strings.Contains(line, `"outcome":"accepted"`)
		if attempt || strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
			faults.WriteString(line)
		}
	}
	return faults.String()
}

func last(s string) string { return s[max(0, len(s)-3000):] }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %v: %v", s, err)
	}
}

// code waits for the end and returns the exit code; -1 after a signal.
func (p *process) code() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%v goes on", p.cmd.Args)
	}
	return p.cmd.ProcessState.ExitCode()
}

// ends waits for the end and wants that exit code.
func (p *process) ends(want int) {
	p.t.Helper()
	if got := p.code(); got != want {
		p.t.Errorf("%v ended with %d, want %d", p.cmd.Args[1:], got, want)
	}
}

// interrupt is Ctrl-C, and the orderly end that it should have.
func (p *process) interrupt() {
	p.t.Helper()
	p.signal(syscall.SIGINT)
	p.ends(0)
}

// says waits until the process has written something.
func (p *process) says(o *output, what string) {
	p.t.Helper()
	p.until("says "+what, func() bool { return strings.Contains(o.String(), what) })
}

// until waits for something that a running process brings about.
func (p *process) until(what string, cond func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.done:
			if cond() {
				return
			}
			p.t.Fatalf("the process ended before it %s", what)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("never: %s", what)
		}
	}
}

// result is what a command that has ended left.
type result struct {
	code           int
	stdout, stderr string
}

// runCommand carries a command out to its end.
func runCommand(t *testing.T, v vars, args ...string) result {
	t.Helper()
	p := start(t, v, args...)
	return result{p.code(), p.stdout.String(), p.err.String()}
}

// mustRun expects exit code 0 and returns the output.
func mustRun(t *testing.T, v vars, args ...string) string {
	t.Helper()
	r := runCommand(t, v, args...)
	if r.code != 0 {
		t.Fatalf("%v ended with %d", args, r.code)
	}
	return r.stdout
}

// want checks a result: its code, and what it says and does not say.
func (r result) want(t *testing.T, code int, says ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	for _, s := range says {
		if !strings.Contains(r.stdout+r.stderr, s) {
			t.Errorf("does not say %q:\n%s%s", s, r.stdout, r.stderr)
		}
	}
}

func (r result) hides(t *testing.T, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(r.stdout+r.stderr, s) {
			t.Errorf("prints %q:\n%s%s", s, r.stdout, r.stderr)
		}
	}
}

// folder returns a folder that PostgreSQL's user can enter, in memory if
// possible.
func folder(t *testing.T) string {
	t.Helper()
	base := ""
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, "connectlink-cmd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "state")
}

// object is a JSON object as a caller without our types sees it.
type object map[string]any

func parse(t *testing.T, text string) object {
	t.Helper()
	var o object
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&o); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one JSON object: %q", text)
	}
	return o
}

func (o object) text(name string) string {
	s, _ := o[name].(string)
	return s
}

// call sends a request to the API; its status is 0 if there is no answer.
func call(t *testing.T, method, address, key, body string) (status int, header http.Header, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Close = true // a stopping server need not wait for us
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return resp.StatusCode, resp.Header, string(raw)
}

// fetch reads an invite through the API.
func fetch(t *testing.T, api vars, id string) object {
	t.Helper()
	status, _, body := call(t, http.MethodGet, api["CONNECTLINK_API_URL"]+"/v1/invites/"+id, api["CONNECTLINK_API_KEY"], "")
	if status != http.StatusOK {
		t.Fatalf("invite %s: %d %s", id, status, body)
	}
	return parse(t, body)
}

// delivery is how an invite's message stands.
func (o object) delivery() string {
	d, _ := o["delivery"].(map[string]any)
	return object(d).text("status")
}

// front is the public URL of processes whose port is not known before they
// run: it passes requests on, and counts those of vendors.
type front struct {
	*httptest.Server
	target    atomic.Pointer[url.URL]
	callbacks atomic.Int64
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(f.target.Load()) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hooks/") {
			f.callbacks.Add(1)
		}
		if f.target.Load() == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

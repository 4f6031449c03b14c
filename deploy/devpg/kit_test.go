//go:build unix

package devpg_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/connectlink/connectlink/deploy/devpg"
)

// patience is how long things may take on a busy machine.
const patience = 3 * time.Minute

// childEnv makes this test program a parent of a server, to be killed.
const childEnv = "DEVPG_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if dir, err := pattern(); err == nil {
			_ = os.RemoveAll(filepath.Dir(dir))
		}
		os.Exit(code)
	}))
}

// pattern is a cluster that was stopped in order, to be copied: making one
// takes a second of processor time, which most of these tests are not about.
//
//nolint:gochecknoglobals // made once for all tests, by the first that needs it
var pattern = sync.OnceValues(func() (string, error) {
	dir, err := memoryFolder()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "pattern")
	s, err := devpg.Start(context.Background(), devpg.Params{Dir: dir, NoSync: true})
	if err != nil {
		return "", err
	}
	return dir, s.Stop(context.Background())
})

// cluster is a state folder with a cluster in it.
func cluster(t *testing.T) string {
	t.Helper()
	from, err := pattern()
	if err != nil {
		t.Fatal(err)
	}
	to := folder(t)
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy the cluster: %v\n%s", err, out)
	}
	return to
}

// memoryFolder is one that the server's user can enter, in memory where that
// is possible.
func memoryFolder() (string, error) {
	base := ""
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, "devpg-test-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

// child starts a server, says so, and stops it when its input ends.
func child(dir string) error {
	s, err := devpg.Start(context.Background(), devpg.Params{Dir: dir, NoSync: true})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"pid": s.PID(), "url": s.URL()}); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return s.Stop(context.Background())
}

type parent struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	PID   int // of the server
	URL   string
}

func startParent(t *testing.T, dir string) *parent {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &parent{cmd: cmd, stdin: in}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the child said nothing: %v", err)
	}
	if err := json.Unmarshal(line, p); err != nil {
		t.Fatalf("the child said %q: %v", line, err)
	}
	return p
}

// folder is a place for a state folder.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := memoryFolder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "state")
}

// startServer starts a server that is stopped when the test ends.
func startServer(t *testing.T, p devpg.Params) *devpg.Server {
	t.Helper()
	p.NoSync = true
	s, err := devpg.Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *devpg.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var out string
	if err := conn.QueryRow(t.Context(), sql).Scan(&out); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

const (
	write = "CREATE TABLE kept AS SELECT 'what was written' AS v"
	read  = "SELECT v FROM kept"
	words = "what was written"
)

func wantKept(t *testing.T, s *devpg.Server) {
	t.Helper()
	if got := query(t, s.URL(), read); got != words {
		t.Errorf("read %q, want %q", got, words)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// gone is also true for a zombie whose reaper is slow.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

func environment(set map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if v, ok := set[name]; ok {
			return v, true
		}
		return os.LookupEnv(name)
	}
}

// bystander is a running process of the server's user.
func bystander(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("/bin/sleep", "600")
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			u, err = user.Lookup("nobody")
		}
		if err != nil {
			t.Fatal(err)
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid)}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

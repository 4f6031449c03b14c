//go:build unix

package devpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How a postmaster is told to stop.
const (
	fastShutdown      = syscall.SIGINT
	immediateShutdown = syscall.SIGQUIT
)

// pidFile is what postmaster.pid says.
type pidFile struct {
	pid    int
	status string // "starting", "ready", "stopping", "standby"; empty at first
}

func (c cluster) pidPath() string { return filepath.Join(c.data, "postmaster.pid") }

func (c cluster) readPID() (pidFile, bool) {
	b, err := os.ReadFile(c.pidPath())
	if err != nil {
		return pidFile{}, false
	}
	lines := strings.Split(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 0 {
		return pidFile{}, false
	}
	f := pidFile{pid: pid}
	if len(lines) > 7 {
		f.status = strings.TrimSpace(lines[7])
	}
	return f, true
}

// settlePrevious deals with what an earlier server left. It returns the pid of
// a running one to join (shared only), or 0 when a new one may be launched.
func (c cluster) settlePrevious(ctx context.Context) (int, error) {
	for {
		f, ok := c.readPID()
		if !ok {
			return 0, nil
		}
		if !isAlive(f.pid) {
			return 0, nil // PostgreSQL removes the file itself
		}
		if !servesFolder(f.pid, c.data) {
			// The pid was given to another process since. PostgreSQL would
			// refuse to start for fear of it.
			c.params.Log.Warn("removing the pid file of a server that is gone", "dir", c.home, "pid", f.pid)
			return 0, c.removePIDFiles()
		}
		if c.params.Shared && f.status == "ready" {
			return f.pid, nil
		}
		if !c.params.Shared {
			return 0, c.stopOrphan(ctx, f.pid)
		}
		// A shared server is starting or stopping.
		if err := waitFor(ctx, 5*time.Millisecond); err != nil {
			return 0, fmt.Errorf("devpg: wait for the shared server (pid %d, %s): %w", f.pid, f.status, err)
		}
	}
}

func (c cluster) removePIDFiles() error {
	for _, path := range []string{c.pidPath(), filepath.Join(c.socket, ".s.PGSQL."+port+".lock")} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("devpg: remove a stale pid file: %w", err)
		}
	}
	return nil
}

// stopOrphan ends a server whose parent died. We hold the folder's lock, so
// no other process uses it on purpose.
func (c cluster) stopOrphan(ctx context.Context, pid int) error {
	began := time.Now()
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{fastShutdown, 15 * time.Second}, {immediateShutdown, 10 * time.Second}} {
		_ = signalPID(pid, step.signal)
		for deadline := time.Now().Add(step.wait); time.Now().Before(deadline); {
			if !isAlive(pid) || !servesFolder(pid, c.data) {
				c.params.Log.Info("stopped the server an earlier process had left", "pid", pid,
					"took", time.Since(began).Round(time.Millisecond))
				return nil
			}
			if err := waitFor(ctx, 5*time.Millisecond); err != nil {
				return fmt.Errorf("devpg: stop the orphaned server (pid %d): %w", pid, err)
			}
		}
	}
	return fmt.Errorf("devpg: a server that an earlier process left (pid %d) does not stop; end it by hand", pid)
}

// launch starts the server and waits until it accepts connections.
func (c cluster) launch(ctx context.Context, s *Server) error {
	logFile, logStart, err := c.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }()

	// A server killed hard may leave children that keep its shared memory for a
	// moment; PostgreSQL rightly refuses to start beside them.
	for deadline := time.Now().Add(5 * time.Second); ; {
		err := c.launchOnce(ctx, s, logFile)
		if err == nil {
			return nil
		}
		said := readFrom(logFile.Name(), logStart)
		if bytes.Contains(said, []byte("pre-existing shared memory block")) && time.Now().Before(deadline) && ctx.Err() == nil {
			if waitFor(ctx, 50*time.Millisecond) == nil {
				continue
			}
		}
		return fmt.Errorf("devpg: start PostgreSQL %s in %s: %w\n%s", c.bin.Version, c.home, err, lastLines(said))
	}
}

func (c cluster) launchOnce(ctx context.Context, s *Server, logFile *os.File) error {
	if c.params.Shared {
		return c.launchShared(ctx, s, logFile)
	}
	cmd := exec.Command(filepath.Join(c.bin.Dir, "postgres"), c.settings()...)
	cmd.SysProcAttr, cmd.Dir, cmd.Env = c.who.attr(), c.home, c.environ()
	cmd.SysProcAttr.Setpgid = true // Ctrl-C is for the parent alone
	dieWithThread(cmd.SysProcAttr, false)
	cmd.Stdout, cmd.Stderr = logFile, logFile

	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		// The kernel sends the death signal when this thread ends, so the
		// thread must live as long as the server.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in the server's log
		}
		close(done)
	}()
	if err := <-started; err != nil {
		return err
	}
	s.pid, s.done = cmd.Process.Pid, done
	guard, err := watchParent(s.pid, c.who)
	if err != nil {
		guard = func() {}
		c.params.Log.Warn("nobody watches over the server if this process is killed", "error", err)
	}
	s.guard = guard
	if err := c.awaitReady(ctx, s.pid, done); err != nil {
		_ = signalPID(s.pid, immediateShutdown)
		<-done
		guard()
		return err
	}
	return nil
}

// launchShared lets a shell start the server in the background and exit, so
// that the server is no child of this process and leaves no zombie or
// goroutine.
func (c cluster) launchShared(ctx context.Context, s *Server, logFile *os.File) error {
	args := append([]string{"-c", `"$@" </dev/null >&2 & echo $!`, "sh", filepath.Join(c.bin.Dir, "postgres")}, c.settings()...)
	cmd := exec.Command("/bin/sh", args...)
	cmd.SysProcAttr, cmd.Dir, cmd.Env = c.who.attr(), c.home, c.environ()
	cmd.SysProcAttr.Setsid = true
	cmd.Stderr = logFile
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return fmt.Errorf("the shell said %q: %w", out, err)
	}
	s.pid = pid
	return c.awaitReady(ctx, pid, nil)
}

var errEnded = errors.New("the server ended")

// awaitReady watches the pid file, in which the server records that it
// accepts connections: cheaper and sooner than trying to connect.
func (c cluster) awaitReady(ctx context.Context, pid int, done <-chan struct{}) error {
	for {
		if f, ok := c.readPID(); ok && f.pid == pid && f.status == "ready" {
			return nil
		}
		select {
		case <-done:
			return errEnded
		default:
		}
		if done == nil && !isAlive(pid) {
			return errEnded
		}
		if err := waitFor(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// maxLog is when the server's log is begun anew.
const maxLog = 4 << 20

func (c cluster) openLog() (*os.File, int64, error) {
	path := filepath.Join(c.home, "postgres.log")
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	st, err := os.Stat(path)
	var size int64
	if err == nil {
		size = st.Size()
	}
	if size > maxLog {
		flags |= os.O_TRUNC
		size = 0
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("devpg: open the server's log: %w", err)
	}
	return f, size, nil
}

func readFrom(path string, offset int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	b, _ := io.ReadAll(io.NewSectionReader(f, offset, 64<<10))
	return b
}

func isAlive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func signalPID(pid int, sig syscall.Signal) error { return syscall.Kill(pid, sig) }

//go:build unix

package devpg

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// brief is how long a lock may be held by accident: a program that is just
// being started holds its parent's open files until it runs.
const brief = 200 * time.Millisecond

// takeLock takes the folder's flock, which the kernel releases with its
// holder, however that dies. wait is for shared clusters, where everybody gets
// a turn; otherwise a held lock is an *InUseError.
func takeLock(ctx context.Context, dir string, wait bool) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("devpg: open the lock file: %w", err)
	}
	for began := time.Now(); ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case err == unix.EINTR:
			continue
		case err != unix.EWOULDBLOCK:
			_ = f.Close()
			return nil, fmt.Errorf("devpg: lock %s: %w", f.Name(), err)
		case !wait && time.Since(began) > brief:
			defer func() { _ = f.Close() }()
			return nil, inUse(dir, f)
		}
		if err := waitFor(ctx, 5*time.Millisecond); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("devpg: wait for %s: %w", f.Name(), err)
		}
	}
}

// Owner returns the process that runs the cluster in a folder, and false if
// none does or there is no cluster.
func Owner(dir string) (*InUseError, bool) {
	f, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, false
	}
	defer releaseLock(f)
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != unix.EWOULDBLOCK {
		return nil, false
	}
	return inUse(dir, f), true
}

// releaseLock unlocks before it closes: closing alone leaves the lock to a
// child process that was forked and does not run its program yet.
func releaseLock(f *os.File) {
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN) // fails only if it was closed before
	_ = f.Close()
}

// writeOwner leaves word for a second Start. Failing to is no reason to fail:
// the flock decides, the text only explains.
func writeOwner(f *os.File, url string) {
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"+url+"\n"), 0)
}

func inUse(dir string, f *os.File) *InUseError {
	e := &InUseError{Dir: dir}
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return e
	}
	lines := strings.Split(string(b), "\n")
	if pid, err := strconv.Atoi(lines[0]); err == nil && len(lines) > 1 {
		e.PID, e.URL = pid, lines[1]
	}
	return e
}

// waitFor waits d or until ctx ends.
func waitFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

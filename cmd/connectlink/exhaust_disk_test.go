package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/longtest"
)

// TestAFullDiskLosesAndDoublesNothing fills the disk of a real server under load, first the
// one with its data, and in the long form the one with its log, at which PostgreSQL ends. The
// program is not restarted.
func TestAFullDiskLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a database server and fills its disks")
	}
	data, log := newDisk(t, "160m"), newDisk(t, "96m")
	pg := startOn(t, data)
	if err := pg.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	moveLog(t, pg.Home(), log)
	pg = startOn(t, data)
	v := deployment(t, pg.URL()).with(vars{"CONNECTLINK_SETTLE_TWILIO": "1s"})
	mustRun(t, v, "migrate")
	key := newKey(t, v).text("api_key")
	s := startServe(t, v)
	s.ready(s.url)
	p := newPressure(t, s, key)
	p.texts = true
	p.start(8)
	s.until("accepts invites", func() bool { return p.count().accepted > 20 })

	empty := fill(t, data)
	p.refuses()
	if status, _, _ := call(t, http.MethodGet, s.url+"/livez", "", ""); status != http.StatusOK {
		t.Errorf("/livez answers %d: a restart would not make room", status)
	}
	p.wait(exhaustedFor())
	empty()
	p.recovers()
	if !longtest.Wanted() {
		p.finish(pg.URL())
		return
	}
	first := p.recovery

	empty = fill(t, log)
	useUpLog(t, pg.URL())
	p.refuses()
	p.wait(exhaustedFor())
	empty()
	// The server ends while it recovers without room, as an operator finds it, or it
	// has come to wait for room by itself.
	select {
	case <-pg.Done():
		if err := pg.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		pg = startOn(t, data)
		t.Log("the server with a full log had ended")
	default:
	}
	p.recovers()
	t.Logf("recovered in %.1f s from a full disk, and in %.1f s from a full log", first.Seconds(), p.recovery.Seconds())
	p.finish(pg.URL())
}

// refuses waits until requests are refused and the process is not ready.
func (p *pressure) refuses() {
	p.t.Helper()
	before := p.count().refused
	p.s.until("refuses requests", func() bool { return p.count().refused > before+20 })
	p.s.until("is not ready", func() bool {
		status, _, _ := call(p.t, http.MethodGet, p.s.url+"/readyz", "", "")
		return status == http.StatusServiceUnavailable
	})
}

// newDisk mounts a file system of a size, in memory, which needs root, or sudo without a
// password. Like a missing server, a machine where that is not possible skips the test,
// and CI fails, unless it runs as root in a container that may not mount: no package
// changes that.
func newDisk(t *testing.T, size string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "connectlink-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	options := fmt.Sprintf("mode=0711,uid=%d,size=%s", os.Geteuid(), size)
	if err := runAsRoot(t, "mount", "-t", "tmpfs", "-o", options, "tmpfs", dir); err != nil {
		missing := fmt.Sprintf("a small file system cannot be mounted (root on Linux can): %v", err)
		if os.Getenv("CI") != "" && !isConfinedRoot(t) {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	t.Cleanup(func() {
		// Lazily: a process that was killed may still hold a file.
		if err := runAsRoot(t, "umount", "--lazy", dir); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// capSysAdmin is the capability to mount (linux/capability.h).
const capSysAdmin = 21

// isConfinedRoot reports whether the process is root without the capability to mount.
func isConfinedRoot(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return false
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^CapEff:\s+([0-9a-f]+)$`).FindSubmatch(status)
	if found == nil {
		t.Fatal("/proc/self/status names no capabilities")
	}
	effective, err := strconv.ParseUint(string(found[1]), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return effective&(1<<capSysAdmin) == 0
}

func runAsRoot(t *testing.T, command ...string) error {
	t.Helper()
	if os.Geteuid() != 0 {
		command = append([]string{"sudo", "-n"}, command...)
	}
	// Not the test's context: it has ended when the test cleans up.
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// startOn starts a server with its data on a disk. Its log gets a new file soon: it recycles few.
func startOn(t *testing.T, disk string) *devpg.Server {
	t.Helper()
	pg, err := devpg.Start(t.Context(), devpg.Params{
		Dir: filepath.Join(disk, "state"), NoSync: true, Settings: map[string]string{"min_wal_size": "32MB", "max_wal_size": "48MB"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Stop(context.WithoutCancel(t.Context())) })
	return pg
}

// moveLog moves the write-ahead log of a stopped server to another disk.
func moveLog(t *testing.T, home, disk string) {
	t.Helper()
	from, to := filepath.Join(home, "data", "pg_wal"), filepath.Join(disk, "pg_wal")
	// Across file systems, and with its owner.
	if out, err := exec.CommandContext(t.Context(), "mv", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Symlink(to, from); err != nil {
		t.Fatal(err)
	}
}

// fill takes all room of a disk; empty gives it back.
func fill(t *testing.T, disk string) (empty func()) {
	t.Helper()
	ballast, err := os.CreateTemp(disk, "ballast-")
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for {
		if _, err = ballast.Write(block); err != nil {
			break
		}
	}
	if !isFull(err) {
		t.Fatal(err)
	}
	return func() {
		if err := ballast.Close(); err != nil {
			t.Error(err)
		}
		if err := os.Remove(ballast.Name()); err != nil {
			t.Error(err)
		}
	}
}

// useUpLog makes a server go on to new files of its log until there is none.
func useUpLog(t *testing.T, db string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db)
	if err != nil {
		return // the load was faster
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for range 20 {
		if _, err := conn.Exec(t.Context(), `SELECT pg_switch_wal(); SELECT pg_logical_emit_message(true, 'connectlink', '')`); err != nil {
			return
		}
	}
	t.Fatal("the log does not come to its end")
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }

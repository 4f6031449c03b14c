//go:build unix

package devpg_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
)

func TestDataOutlivesTheServer(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	began := time.Now()
	s := startServer(t, devpg.Params{Dir: dir})
	t.Logf("cold start: %v", time.Since(began))
	query(t, s.URL(), write)
	if got := query(t, s.URL(), "SHOW fsync"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	pgid, err := syscall.Getpgid(s.PID())
	if err != nil || pgid == syscall.Getpgrp() {
		t.Errorf("the server shares our process group (%d, %v): Ctrl-C would end it before us", pgid, err)
	}
	stop(t, s)
	if !gone(s.PID()) {
		t.Error("the server runs after Stop")
	}
	stop(t, s) // once more is harmless

	began = time.Now()
	s = startServer(t, devpg.Params{Dir: dir})
	t.Logf("warm start: %v", time.Since(began))
	wantKept(t, s)
}

func TestSecondStartSaysHowToAttach(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	s := startServer(t, devpg.Params{Dir: dir})
	_, err := devpg.Start(t.Context(), devpg.Params{Dir: dir})
	var inUse *devpg.InUseError
	if !errors.Is(err, devpg.ErrInUse) || !errors.As(err, &inUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
	if inUse.URL != s.URL() || inUse.PID != os.Getpid() || !strings.Contains(err.Error(), s.URL()) {
		t.Errorf("got %+v: %v", inUse, err)
	}
	if got := query(t, inUse.URL, "SELECT 'attached'"); got != "attached" {
		t.Errorf("got %q", got)
	}
	stop(t, s)
	startServer(t, devpg.Params{Dir: dir}) // free again
}

func TestServerEndsWithItsKilledParent(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	p := startParent(t, dir)
	query(t, p.URL, write)
	if err := p.cmd.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	began := time.Now()
	eventually(t, "the server ends", func() bool { return gone(p.PID) })
	t.Logf("the server ended %v after its parent", time.Since(began))
	wantKept(t, startServer(t, devpg.Params{Dir: dir}))
}

// No waiting in between: the old server is still shutting down.
func TestStartRightAfterTheParentWasKilled(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	for range 3 {
		p := startParent(t, dir)
		query(t, p.URL, "CREATE TABLE IF NOT EXISTS kept AS SELECT '"+words+"' AS v")
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Wait()
	}
	wantKept(t, startServer(t, devpg.Params{Dir: dir}))
}

func TestOrphanIsStopped(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	// A detached server is what a parent leaves when even the death signal
	// failed.
	orphan, err := devpg.Start(t.Context(), devpg.Params{Dir: dir, NoSync: true, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	query(t, orphan.URL(), write)
	s := startServer(t, devpg.Params{Dir: dir})
	if s.PID() == orphan.PID() || !gone(orphan.PID()) {
		t.Errorf("the orphan %d still runs beside %d", orphan.PID(), s.PID())
	}
	wantKept(t, s)
}

func TestSharedServerIsJoined(t *testing.T) {
	t.Parallel()
	p := devpg.Params{Dir: cluster(t), NoSync: true, Shared: true}
	first, err := devpg.Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(first.PID(), syscall.SIGINT)
		eventually(t, "the shared server ends", func() bool { return gone(first.PID()) })
	})
	second, err := devpg.Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if first.Joined() || !second.Joined() || second.PID() != first.PID() || second.URL() != first.URL() {
		t.Errorf("first %+v, second %+v", first, second)
	}
	stop(t, second) // leaves it alone
	query(t, first.URL(), "SELECT 'here'")
}

func TestSharedServerIsStartedOnce(t *testing.T) {
	t.Parallel()
	p := devpg.Params{Dir: cluster(t), NoSync: true, Shared: true}
	pids := make(chan int, 5)
	var all sync.WaitGroup
	for range cap(pids) {
		all.Go(func() {
			s, err := devpg.Start(t.Context(), p)
			if err != nil {
				t.Error(err)
				return
			}
			pids <- s.PID()
		})
	}
	all.Wait()
	close(pids)
	first := <-pids
	for pid := range pids {
		if pid != first {
			t.Errorf("servers %d and %d", first, pid)
		}
	}
	_ = syscall.Kill(first, syscall.SIGINT)
	eventually(t, "the shared server ends", func() bool { return gone(first) })
}

func TestKilledServerRecovers(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	s := startServer(t, devpg.Params{Dir: dir})
	query(t, s.URL(), write)
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("Done stays open after the server's end")
	}
	stop(t, s)
	// Its children may still hold the shared memory: Start waits for them.
	wantKept(t, startServer(t, devpg.Params{Dir: dir}))
}

func TestStalePIDFileOfAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	s := startServer(t, devpg.Params{Dir: dir})
	query(t, s.URL(), write)
	file := filepath.Join(s.Home(), "data", "postmaster.pid")
	saved, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	// After a crash the pid can belong to anybody, here to a process of the same
	// user as the server, which PostgreSQL by itself takes for its twin.
	_, rest, _ := strings.Cut(string(saved), "\n")
	other := bystander(t)
	if err := os.WriteFile(file, []byte(strconv.Itoa(other)+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	wantKept(t, startServer(t, devpg.Params{Dir: dir}))
	if gone(other) {
		t.Error("the bystander was ended")
	}
}

func TestStopWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	dir := cluster(t)
	s := startServer(t, devpg.Params{Dir: dir})
	query(t, s.URL(), write)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if !gone(s.PID()) {
		t.Error("the server still runs")
	}
	wantKept(t, startServer(t, devpg.Params{Dir: dir}))
}

func TestForeignDataIsLeftAlone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file, content string
		want          error
	}{
		"another version":       {"PG_VERSION", "9\n", devpg.ErrVersion},
		"not a cluster":         {"thesis.txt", "years of work", nil},
		"an unreadable version": {"PG_VERSION", "?", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			file := filepath.Join(dir, "data", test.file)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := devpg.Start(t.Context(), devpg.Params{Dir: dir})
			if err == nil || (test.want != nil && !errors.Is(err, test.want)) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if b, err := os.ReadFile(file); err != nil || string(b) != test.content {
				t.Errorf("the file now holds %q, %v", b, err)
			}
			if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
				t.Errorf("the folder now holds %v, %v", entries, err)
			}
		})
	}
}

func TestInterruptedInitialisationIsRepeated(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	watch := make(chan struct{})
	go func() {
		defer close(watch)
		defer cancel()
		for ctx.Err() == nil { // until initdb has begun to write
			if files, _ := filepath.Glob(filepath.Join(dir, "init-*", "*")); len(files) > 3 {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := devpg.Start(ctx, devpg.Params{Dir: dir, NoSync: true})
	cancel()
	<-watch
	if err == nil {
		t.Fatal("Start did not notice its context's end")
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a half-made data folder is in place: %v", err)
	}
	startServer(t, devpg.Params{Dir: dir})
	if left, _ := filepath.Glob(filepath.Join(dir, "init-*")); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("a-long-name-", 10))
	s := startServer(t, devpg.Params{Dir: dir})
	cfg, err := pgx.ParseConfig(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(cfg.Host) })
	if strings.HasPrefix(cfg.Host, dir) {
		t.Errorf("the socket is in %s", cfg.Host)
	}
	query(t, s.URL(), write)
	stop(t, s)
	wantKept(t, startServer(t, devpg.Params{Dir: dir}))
}

// For root only: others' servers can enter what they can enter themselves.
func TestClosedStateFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as another user")
	}
	closed, elsewhere := folder(t), filepath.Join(folder(t), "lib")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	p := devpg.Params{Dir: filepath.Join(closed, "postgres"), Elsewhere: elsewhere}
	s := startServer(t, p)
	if filepath.Dir(s.Home()) != elsewhere {
		t.Errorf("the data is in %s, want it below %s", s.Home(), elsewhere)
	}
	query(t, s.URL(), write)
	stop(t, s)
	wantKept(t, startServer(t, p)) // found again
}

func TestLogAndEnvironmentHoldNoSecrets(t *testing.T) {
	dir := cluster(t)
	t.Setenv("CONNECTLINK_KEYSET", "canary-keyset")
	t.Setenv("TWILIO_AUTH_TOKEN", "canary-token")
	s := startServer(t, devpg.Params{Dir: dir})
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, sql := range []string{
		"CREATE TABLE p (email text UNIQUE)", "INSERT INTO p VALUES ('canary@example.com')", "INSERT INTO p VALUES ('canary@example.com')",
	} {
		_, err = conn.Exec(t.Context(), sql)
	}
	if err == nil {
		t.Fatal("the last statement was to fail")
	}
	log, err := os.ReadFile(filepath.Join(s.Home(), "postgres.log"))
	if err != nil || len(log) == 0 || strings.Contains(string(log), "canary") {
		t.Errorf("log (%v):\n%s", err, log)
	}
	if env, err := os.ReadFile("/proc/" + strconv.Itoa(s.PID()) + "/environ"); err == nil && strings.Contains(string(env), "canary") {
		t.Error("a secret is in the server's environment")
	}
}

package postgrestest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestServerStopsWhenUnusedAndNotBefore(t *testing.T) {
	t.Parallel()
	base, err := os.MkdirTemp(memoryOr(""), "postgrestest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	if err := os.Chmod(base, 0o711); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "server")
	const unused = 2 * time.Second
	first, err := openIn(t.Context(), dir, unused)
	if err != nil {
		t.Fatal(err)
	}
	second, err := openIn(t.Context(), dir, unused)
	if err != nil {
		t.Fatal(err)
	}
	if first.template != second.template {
		t.Errorf("templates %s and %s", first.template, second.template)
	}

	leave(first) // it had started the server and the watch
	deadline := time.Now().Add(2 * unused)
	for time.Now().Before(deadline) { // idle in all but the lock
		if err := second.keeper.Ping(t.Context()); err != nil {
			t.Fatalf("the server left while it was used: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}

	leave(second)
	awaitStop(t, dir)

	// And it comes again, with its template.
	third, err := openIn(t.Context(), dir, unused)
	if err != nil {
		t.Fatal(err)
	}
	if third.template != second.template {
		t.Errorf("template %s, before %s", third.template, second.template)
	}
	leave(third)
	awaitStop(t, dir)
}

func awaitStop(t *testing.T, dir string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")); errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the unused server does not stop")
		}
	}
}

// leave lets a process go as death does, without a word.
func leave(s *server) {
	for _, c := range []*pgx.Conn{s.keeper, s.watcher} {
		if c != nil {
			_ = c.PgConn().Conn().Close()
		}
	}
}

func TestFoldersOfEarlierBootsAreRemoved(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for _, name := range []string{"pg15-old", "pg15-now", "pg16-other"} {
		if err := os.MkdirAll(filepath.Join(base, name, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	got, err := currentFolder(base, "pg15", "now")
	if err != nil || got != filepath.Join(base, "pg15-now") {
		t.Errorf("got %s, %v", got, err)
	}
	for name, want := range map[string]bool{"pg15-old": false, "pg15-now": true, "pg16-other": true} {
		if _, err := os.Stat(filepath.Join(base, name)); (err == nil) != want {
			t.Errorf("%s: there is %v, want %v", name, err == nil, want)
		}
	}
}

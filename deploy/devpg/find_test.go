//go:build unix

package devpg_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/connectlink/connectlink/deploy/devpg"
)

// installation is a folder that looks like an installed server.
func installation(t *testing.T, version string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// A fork of a parallel test would inherit a file still open for writing, and
	// the kernel then refuses to run it.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for _, name := range []string{"postgres", "initdb"} {
		script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindConfigured(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		version string
		want    int // of existing data
		major   int
		err     error
	}{
		"release":              {"17.2", 0, 17, nil},
		"Debian's wording":     {"15.14 (Debian 15.14-0+deb12u1)", 0, 15, nil},
		"beta":                 {"19beta1", 0, 19, nil},
		"the data's version":   {"17.2", 17, 17, nil},
		"too old":              {"14.11", 0, 0, devpg.ErrNotFound},
		"newer than the data":  {"17.2", 16, 0, devpg.ErrVersion},
		"no PostgreSQL at all": {"", 0, 0, devpg.ErrNotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := installation(t, test.version)
			b, err := devpg.Find(t.Context(), environment(map[string]string{devpg.EnvBin: dir}), "", test.want)
			if !errors.Is(err, test.err) {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			if err == nil && (b.Major != test.major || b.Dir != dir) {
				t.Errorf("got %+v", b)
			}
			if err != nil && !strings.Contains(err.Error(), dir) {
				t.Errorf("%q does not say where it looked", err)
			}
		})
	}
}

func TestFindPrefersWhatFits(t *testing.T) {
	t.Parallel()
	newer, older := installation(t, "98.1"), installation(t, "97.3")
	env := environment(map[string]string{"PATH": newer + string(os.PathListSeparator) + older})
	for want, dir := range map[int]string{0: newer, 98: newer} {
		if b, err := devpg.Find(t.Context(), env, "", want); err != nil || b.Dir != dir {
			t.Errorf("for data of %d: got %+v, %v", want, b, err)
		}
	}
	// PATH gives its first only; a symbolic link is followed, as Debian and
	// Homebrew have them.
	link := t.TempDir()
	if err := os.Symlink(filepath.Join(older, "initdb"), filepath.Join(link, "initdb")); err != nil {
		t.Fatal(err)
	}
	if b, err := devpg.Find(t.Context(), environment(map[string]string{"PATH": link}), "", 97); err != nil || b.Dir != older {
		t.Errorf("through a link: got %+v, %v", b, err)
	}
	// The cache comes last and newest first.
	cache := t.TempDir()
	for _, v := range []string{"96.1", "95.12"} {
		to := filepath.Join(cache, v, "native")
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(installation(t, v), filepath.Join(to, "bin")); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := devpg.Find(t.Context(), env, cache, 95); err != nil || b.Version != "95.12" {
		t.Errorf("from the cache: got %+v, %v", b, err)
	}
}

func TestStartWithoutAServerSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := devpg.Start(t.Context(), devpg.Params{
		Dir: folder(t), Env: environment(map[string]string{devpg.EnvBin: t.TempDir()}),
		Ask: func(context.Context, devpg.Offer) bool { t.Error("asked in spite of an explicit choice"); return false },
	})
	if !errors.Is(err, devpg.ErrNotFound) || !strings.Contains(err.Error(), devpg.EnvBin) {
		t.Errorf("got %v", err)
	}
	if a := devpg.Advice(); !strings.Contains(a, devpg.EnvDownload+"=download") || !strings.Contains(a, "CONNECTLINK_DATABASE_URL") {
		t.Errorf("advice: %s", a)
	}
}

func TestInstallLine(t *testing.T) {
	t.Parallel()
	tests := []struct{ goos, program, want string }{
		{"darwin", "", "brew install postgresql@17"},
		{"linux", "/usr/bin/apt-get", "sudo apt-get install -y postgresql"},
		{"linux", "/usr/bin/dnf", "sudo dnf install -y postgresql-server"},
		{"linux", "/sbin/apk", "sudo apk add postgresql"},
		{"linux", "/usr/bin/pacman", "sudo pacman -S --noconfirm postgresql"},
	}
	for _, test := range tests {
		if got := devpg.InstallLine(test.goos, func(p string) bool { return p == test.program }); got != test.want {
			t.Errorf("%s with %s: got %q", test.goos, test.program, got)
		}
	}
	if got := devpg.InstallLine("linux", func(string) bool { return false }); !strings.Contains(got, "apt-get") || !strings.Contains(got, "apk") {
		t.Errorf("unknown system: got %q", got)
	}
}

//go:build unix

package devpg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Binaries is an installed server.
type Binaries struct {
	Dir     string // holds postgres and initdb
	Major   int
	Version string // as the server prints it, e.g. "15.14"
}

// EnvBin names the folder with postgres and initdb; it wins over any search.
const EnvBin = "CONNECTLINK_DEV_POSTGRES_BIN"

// Find returns the server to use: the configured one, else the first usable
// one of PATH, pg_config and the usual folders, newest first. want is the
// major version that existing data demands, 0 for a new cluster. cacheDir is
// searched last.
//
// Errors: ErrNotFound, ErrVersion.
func Find(ctx context.Context, env func(string) (string, bool), cacheDir string, want int) (Binaries, error) {
	if dir, ok := env(EnvBin); ok && dir != "" {
		b, err := inspectFolder(ctx, dir)
		if err != nil {
			return Binaries{}, fmt.Errorf("%w: %s=%s: %w", ErrNotFound, EnvBin, dir, err)
		}
		return b, b.suits(want)
	}
	var seen []string
	var found []Binaries
	for _, dir := range listCandidates(ctx, env, cacheDir) {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || slices.Contains(seen, real) {
			continue
		}
		seen = append(seen, real)
		b, err := inspectFolder(ctx, real)
		if err != nil {
			continue
		}
		if b.suits(want) == nil {
			return b, nil
		}
		found = append(found, b)
	}
	if len(found) > 0 {
		return Binaries{}, unsuitableError(found, want)
	}
	return Binaries{}, ErrNotFound
}

func (b Binaries) suits(want int) error {
	if b.Major < MinMajor || (want != 0 && b.Major != want) {
		return unsuitableError([]Binaries{b}, want)
	}
	return nil
}

func unsuitableError(found []Binaries, want int) error {
	var list []string
	for _, b := range found {
		list = append(list, b.Version+" in "+b.Dir)
	}
	have := strings.Join(list, ", ")
	if want == 0 {
		return fmt.Errorf("%w: version %d or newer is needed, found %s", ErrNotFound, MinMajor, have)
	}
	return fmt.Errorf("%w: it was made by PostgreSQL %d, found %s. Install PostgreSQL %d beside it (or point %s at it), "+
		"move the data with pg_upgrade or pg_dump, or choose another state folder; nothing was changed",
		ErrVersion, want, have, want, EnvBin)
}

// listCandidates lists folders, best first. They are not looked into yet: running
// pg_config and each server costs milliseconds that a warm start has not.
func listCandidates(ctx context.Context, env func(string) (string, bool), cacheDir string) []string {
	var dirs []string
	// Debian's wrappers and Homebrew's links on PATH point to the real folder,
	// where initdb has postgres and its libraries beside it.
	for _, name := range []string{"initdb", "postgres"} {
		if path, err := lookPath(env, name); err == nil {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
	}
	if path, err := lookPath(env, "pg_config"); err == nil {
		if out, err := exec.CommandContext(ctx, path, "--bindir").Output(); err == nil {
			dirs = append(dirs, strings.TrimSpace(string(out)))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",    // Debian, Ubuntu
		"/usr/pgsql-*/bin",             // PGDG for RHEL, Fedora
		"/usr/lib/postgresql*/bin",     // openSUSE, Alpine
		"/usr/libexec/postgresql*/bin", // Alpine
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/Library/PostgreSQL/*/bin", // EDB on macOS
		"/opt/postgresql/*/bin",
		"/usr/local/pgsql/bin", // from source
		"/usr/local/bin",       // FreeBSD
		"/usr/bin",             // Fedora, Arch
	} {
		dirs = append(dirs, newestFirst(pattern)...)
	}
	if cacheDir != "" {
		dirs = append(dirs, newestFirst(filepath.Join(cacheDir, "*", "native", "bin"))...)
	}
	return dirs
}

var digits = regexp.MustCompile(`\d+`)

func newestFirst(pattern string) []string {
	dirs, _ := filepath.Glob(pattern) // the patterns are constant and well formed
	fixed, _, _ := strings.Cut(pattern, "*")
	version := func(dir string) int {
		n, _ := strconv.Atoi(digits.FindString(strings.TrimPrefix(dir, fixed)))
		return n
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	return dirs
}

// lookPath is exec.LookPath over the injected environment.
func lookPath(env func(string) (string, bool), name string) (string, error) {
	path, _ := env("PATH")
	for _, dir := range filepath.SplitList(path) {
		if dir == "" || !filepath.IsAbs(dir) {
			continue // never run what lies in the current folder
		}
		file := filepath.Join(dir, name)
		if st, err := os.Stat(file); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", exec.ErrNotFound
}

// "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", "… 18beta1"
var versionLine = regexp.MustCompile(`PostgreSQL\) ((\d+)[^ \n]*)`)

func inspectFolder(ctx context.Context, dir string) (Binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return Binaries{}, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return Binaries{}, fmt.Errorf("run postgres --version: %w", err)
	}
	m := versionLine.FindStringSubmatch(string(out))
	if m == nil {
		return Binaries{}, fmt.Errorf("unreadable version %q", out)
	}
	major, err := strconv.Atoi(m[2])
	if err != nil {
		return Binaries{}, fmt.Errorf("unreadable version %q", out)
	}
	return Binaries{Dir: dir, Major: major, Version: m[1]}, nil
}

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFirstHalfHourKeysetIsItsOwnersOnly: the file is made with the mode, not
// narrowed afterwards, and one that exists is not written over.
func TestFirstHalfHourKeysetIsItsOwnersOnly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keyset")
	r := run(t, nil, "keyset", "create", "--out", file)
	r.want(t, 0)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 || r.stdout != "" {
		t.Fatalf("%v %v, printed %q", info, err, r.stdout)
	}
	run(t, vars{"CONNECTLINK_KEYSET_FILE": file}, "keyset", "rotate").want(t, 0)
	run(t, nil, "keyset", "create", "--out", file).want(t, 2, "--out")
}

func TestFirstHalfHourVersionFlag(t *testing.T) {
	t.Parallel()
	flag, command := run(t, nil, "--version"), run(t, nil, "version")
	flag.want(t, 0, "connectlink ")
	if strings.TrimSpace(flag.stdout) != strings.TrimSpace(command.stdout) {
		t.Errorf("%q and %q", flag.stdout, command.stdout)
	}
}

// TestFirstHalfHourDevListenIsRead: the variable of the README counts, a port
// alone is one of this machine, and another machine's address is refused.
func TestFirstHalfHourDevListenIsRead(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(state, nil, 0o600); err != nil { // no folder: dev ends there, once the address is read
		t.Fatal(err)
	}
	for _, at := range []string{"0.0.0.0:8130", "192.0.2.1:8130", "nowhere"} {
		run(t, vars{"CONNECTLINK_LISTEN": at}, "dev", "--state", state).want(t, 2, "--listen: ")
		run(t, nil, "dev", "--state", state, "--listen", at).want(t, 2, "--listen: ")
	}
	for _, at := range []string{"8130", ":8130", "127.0.0.1:8130", "localhost:8130"} {
		for _, r := range []result{
			run(t, vars{"CONNECTLINK_LISTEN": at}, "dev", "--state", state), run(t, nil, "dev", "--state", state, "--listen", at),
		} {
			if r.code == 0 || strings.Contains(r.stderr, "--listen") {
				t.Errorf("%s: %d %s", at, r.code, r.stderr)
			}
		}
	}
}

package main_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFirstHalfHourKeysetIsItsOwnersOnly: the file is made with the mode, not
// narrowed afterwards, and one that exists is not written over.
func TestFirstHalfHourKeysetIsItsOwnersOnly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keyset")
	r := runCommand(t, nil, "keyset", "create", "--out", file)
	r.want(t, 0)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 || r.stdout != "" {
		t.Fatalf("%v %v, printed %q", info, err, r.stdout)
	}
	runCommand(t, vars{"CONNECTLINK_KEYSET_FILE": file}, "keyset", "rotate").want(t, 0)
	runCommand(t, nil, "keyset", "create", "--out", file).want(t, 2, "--out")

	// A file of the shell's redirection has the shell's mode: that is said.
	for mode, warned := range map[os.FileMode]bool{0o644: true, 0o600: false} {
		to, err := os.OpenFile(filepath.Join(t.TempDir(), "redirected"), os.O_WRONLY|os.O_CREATE, mode)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(binary, "keyset", "create")
		var said strings.Builder
		cmd.Env, cmd.Stdout, cmd.Stderr = environ(t, nil), to, &said
		if err := errors.Join(to.Chmod(mode), cmd.Run(), to.Close()); err != nil || strings.Contains(said.String(), "chmod 600") != warned {
			t.Errorf("mode %o: %v, said %q", mode, err, said.String())
		}
	}
}

func TestFirstHalfHourVersionFlag(t *testing.T) {
	t.Parallel()
	flag, command := runCommand(t, nil, "--version"), runCommand(t, nil, "version")
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
		runCommand(t, vars{"CONNECTLINK_LISTEN": at}, "dev", "--state", state).want(t, 2, "--listen: ")
		runCommand(t, nil, "dev", "--state", state, "--listen", at).want(t, 2, "--listen: ")
	}
	for _, at := range []string{"8130", ":8130", "127.0.0.1:8130", "localhost:8130"} {
		for _, r := range []result{
			runCommand(t, vars{"CONNECTLINK_LISTEN": at}, "dev", "--state", state), runCommand(t, nil, "dev", "--state", state, "--listen", at),
		} {
			if r.code == 0 || strings.Contains(r.stderr, "--listen") {
				t.Errorf("%s: %d %s", at, r.code, r.stderr)
			}
		}
	}
}

// TestFirstHalfHourATakenPortIsFoundBeforeTheDatabaseStarts: the message names
// the flag, and the state folder holds no database afterwards.
func TestFirstHalfHourATakenPortIsFoundBeforeTheDatabaseStarts(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	state := folder(t)
	r := runCommand(t, nil, "dev", "--state", state, "--listen", l.Addr().String())
	r.want(t, 1, "listen on "+l.Addr().String()+": the address is in use by another program", "--listen")
	if strings.Contains(r.stderr, "PostgreSQL") {
		t.Errorf("a database was begun: %s", r.stderr)
	}
	if _, err := os.Stat(filepath.Join(state, "postgres")); !os.IsNotExist(err) {
		t.Errorf("the database's folder: %v", err)
	}
}

// TestFirstHalfHourASecondDevOnTheSameAddressSaysHowToAttach: the address is
// taken by the dev of the same folder, so the advice is about that one.
func TestFirstHalfHourASecondDevOnTheSameAddressSaysHowToAttach(t *testing.T) {
	t.Parallel()
	u := usedState(t)
	d := startDev(t, u.dir, nil, "--listen=127.0.0.1:0")
	second := runCommand(t, nil, "dev", "--state", u.dir, "--listen", strings.TrimPrefix(d.url, "http://"))
	second.want(t, 1, "runs with the state folder "+u.dir, "export CONNECTLINK_API_URL="+d.url)
	d.interrupt()
}

// TestFirstHalfHourAnEarlyInterruptIsNoFailure: Ctrl-C while a server is looked
// for, and while its data are being made.
func TestFirstHalfHourAnEarlyInterruptIsNoFailure(t *testing.T) {
	t.Parallel()
	for name, reached := range map[string]func(p *process, state string) bool{
		"before the server is found": func(p *process, _ string) bool {
			return strings.Contains(p.err.String(), "Starting a private PostgreSQL")
		},
		"while the data are made": func(_ *process, state string) bool {
			_, err := os.Stat(filepath.Join(state, "postgres", "data"))
			return err == nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := folder(t)
			p := start(t, nil, "dev", "--state", state, "--listen=127.0.0.1:0")
			p.until("gets there", func() bool { return reached(p, state) })
			p.signal(syscall.SIGINT)
			p.ends(0)
			if strings.Contains(p.stdout.String(), "is running") {
				t.Error("the interrupt came after the tour: too late to show anything")
			}
		})
	}
}

// TestFirstHalfHourTheKeyOfDevOpensWhatTheDocumentsShow: one key has all
// scopes, also where an earlier version left one with fewer.
func TestFirstHalfHourTheKeyOfDevOpensWhatTheDocumentsShow(t *testing.T) {
	t.Parallel()
	u := usedState(t)
	d := startDev(t, u.dir, nil, "--listen=127.0.0.1:0")
	for path, want := range map[string]int{
		"/v1/invites": http.StatusOK, "/v1/suppressions": http.StatusOK, "/v1/test_helpers/messages": http.StatusOK,
		"/v1/webhook_endpoints": http.StatusOK, "/v1/events": http.StatusOK,
	} {
		if status, _, body := call(t, http.MethodGet, d.url+path, d.key, ""); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	d.interrupt()
}

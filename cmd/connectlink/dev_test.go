package main_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// dev is a running `connectlink dev --json`.
type dev struct {
	*process
	state, url, key string
	hookSecret      string // empty unless dev created one
}

// api is how the other commands reach it.
func (d *dev) api() vars {
	return vars{"CONNECTLINK_API_URL": d.url, "CONNECTLINK_API_KEY": d.key}
}

func startDev(t *testing.T, state string, v vars, args ...string) *dev {
	t.Helper()
	d := &dev{process: start(t, v, append([]string{"dev", "--json", "--pace=50ms", "--state", state}, args...)...), state: state}
	d.says(&d.stdout, "}\n")
	said := parse(t, d.stdout.String())
	d.url, d.key = said.text("url"), said.text("api_key")
	d.hookSecret, _ = said["webhook_secret"].(string)
	delete(said, "webhook_secret")
	if len(said) != 4 || said.text("inbox_url") != d.url+"/sandbox/inbox" ||
		!strings.HasPrefix(said.text("console_url"), d.url+"/console/sign-in/link/") || !strings.HasPrefix(d.key, "cl_test_") {
		t.Fatalf("dev --json says %v", said)
	}
	d.ready(d.url)
	return d
}

// ready waits for /readyz and logs how long it took from the start.
func (p *process) ready(base string) {
	p.t.Helper()
	p.until("answers /readyz", func() bool {
		status, _, _ := call(p.t, http.MethodGet, base+"/readyz", "", "")
		return status == http.StatusOK
	})
	p.t.Logf("/readyz %d ms after the start", time.Since(p.began).Milliseconds())
}

// database is the pid of the server in a state folder.
func database(t *testing.T, state string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(state, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// running lists the processes that refer to a folder. A server's children do
// not name the folder, but they end with the server.
func running(t *testing.T, folder string) []string {
	t.Helper()
	out, err := exec.Command("ps", "-ww", "-A", "-o", "pid=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, folder) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// gone is also true for what only waits to be reaped: who kills dev makes its
// server an orphan, and not every container's first process is quick.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err != nil || strings.HasPrefix(string(out), "Z")
}

// used is a state folder that an earlier run has left, with one invite in it.
type used struct {
	dir, key, invite string
	err              error
}

// pattern is made once and copied: a first start is the slow one.
var pattern struct {
	sync.Once
	used
}

func usedState(t *testing.T) used {
	t.Helper()
	pattern.Do(func() {
		// It must outlive this test, so it lies beside the binary.
		dir := filepath.Join(filepath.Dir(binary), "pattern", "state")
		for _, d := range []string{filepath.Dir(dir), filepath.Dir(binary)} {
			if pattern.err = os.MkdirAll(d, 0o711); pattern.err == nil {
				pattern.err = os.Chmod(d, 0o711)
			}
		}
		d := startDev(t, dir, nil, "--listen=127.0.0.1:0")
		made := parse(t, mustRun(t, d.api(), "invites", "create", "--user=user-0", "--app=slack"))
		d.interrupt()
		pattern.dir, pattern.key, pattern.invite = dir, d.key, made.text("id")
	})
	u := pattern.used
	if u.err != nil || u.invite == "" {
		t.Fatalf("no state to copy: %v", u.err)
	}
	from := u.dir
	u.dir = folder(t)
	if out, err := exec.Command("cp", "-a", from, u.dir).CombinedOutput(); err != nil {
		t.Fatalf("copy the state: %v\n%s", err, out)
	}
	return u
}

// TestTourLeadsToAConnectedAccount follows what a newcomer reads, to the letter.
func TestTourLeadsToAConnectedAccount(t *testing.T) {
	t.Parallel()
	state := folder(t)
	p := start(t, nil, "dev", "--state", state, "--listen=127.0.0.1:0", "--pace=100ms")
	p.says(&p.err, "Starting a private PostgreSQL in "+state)
	p.says(&p.stdout, "Ctrl-C stops everything")
	tour := p.stdout.String()
	base := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(tour)
	p.ready(base)

	curls := regexp.MustCompile(`(?m)^ +(curl .*)$`).FindAllStringSubmatch(tour, -1)
	if len(curls) != 5 {
		t.Fatalf("%d curl lines", len(curls))
	}
	shell := func(i int) object {
		t.Helper()
		sh := exec.Command("/bin/sh", "-c", curls[i][1])
		sh.Env = environ(t, nil)
		out, err := sh.Output()
		if err != nil {
			t.Fatalf("%s: %v", curls[i][1], err)
		}
		return parse(t, string(out))
	}
	first := func(o object) object {
		list, _ := o["data"].([]any)
		if len(list) == 0 {
			return nil
		}
		m, _ := list[0].(map[string]any)
		return m
	}
	made := shell(0)
	if made.text("status") != "active" {
		t.Fatalf("1: %v", made)
	}
	p.until("shows the message", func() bool { return first(shell(1)) != nil })
	p.until("connects", func() bool {
		inv := first(shell(2))
		return inv.text("id") == made.text("id") && inv.text("status") == "connected"
	})
	for i, channel := range map[int]string{3: "sms", 4: "link"} {
		if got := shell(i); got.text("channel") != channel || got.text("status") != "active" {
			t.Errorf("the example for %s: %v", channel, got)
		}
	}
	for _, address := range regexp.MustCompile(`http://[^\s')]+`).FindAllString(tour[:strings.Index(tour, "curl")], -1) {
		if strings.HasSuffix(address, "/v1") {
			continue // where requests begin, no page
		}
		if status, _, _ := call(t, http.MethodGet, address, "", ""); status != http.StatusOK {
			t.Errorf("%s answers %d", address, status)
		}
	}
	for _, name := range []string{"keyset", "api_key"} {
		if st, err := os.Stat(filepath.Join(state, name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}

	server := database(t, state)
	p.interrupt()
	if !gone(server) {
		t.Errorf("the database server (%d) outlived Ctrl-C", server)
	}
	if left := running(t, state); len(left) > 0 {
		t.Errorf("Ctrl-C left %v", left)
	}
}

func TestDevGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	u := usedState(t)
	same := func(d *dev) {
		t.Helper()
		if d.key != u.key {
			t.Error("the API key is another")
		}
		if got := parse(t, mustRun(t, d.api(), "invites", "get", u.invite)); got.text("id") != u.invite || got.text("connect_link_url") == "" {
			t.Errorf("the invite: %v", got)
		}
	}
	d := startDev(t, u.dir, nil, "--listen=127.0.0.1:0")
	if strings.Contains(d.err.String(), "Starting a private") {
		t.Error("a second start is announced as the first")
	}
	same(d)

	// Twice, the second time with work under way.
	for range 2 {
		server := database(t, u.dir)
		d.signal(syscall.SIGKILL)
		d.ends(-1)
		d = startDev(t, u.dir, nil, "--listen=127.0.0.1:0")
		if !gone(server) {
			t.Errorf("the killed dev's database (%d) runs beside the new one", server)
		}
		same(d)
		mustRun(t, d.api(), "invites", "create", "--user=user-1", "--app=slack", "--email=delivered+connect@connectlink.test")
	}
	server := database(t, u.dir)
	d.signal(syscall.SIGTERM)
	d.ends(0)
	if !gone(server) {
		t.Errorf("the database server (%d) outlived SIGTERM", server)
	}
}

// TestSecondDevSaysHowToAttach and every way that it names works.
func TestSecondDevSaysHowToAttach(t *testing.T) {
	t.Parallel()
	u := usedState(t)
	d := startDev(t, u.dir, nil, "--listen=127.0.0.1:0")
	second := runCommand(t, nil, "dev", "--json", "--state", u.dir)
	second.want(t, 1, fmt.Sprintf("process %d", d.cmd.Process.Pid), d.url, u.dir)
	second.hides(t, d.key)
	if second.stdout != "" {
		t.Errorf("stdout: %s", second.stdout)
	}

	var advice []string
	for line := range strings.Lines(second.stderr) {
		if command, ok := strings.CutPrefix(line, "     "); ok {
			advice = append(advice, strings.TrimSpace(command))
		}
	}
	if len(advice) != 4 {
		t.Fatalf("advice: %q", advice)
	}
	path := vars{"PATH": filepath.Dir(binary) + ":" + os.Getenv("PATH")}
	list := startProgram(t, path, "/bin/sh", "-c", advice[0]+"\n"+advice[1])
	list.ends(0)
	if !strings.Contains(list.stdout.String(), u.invite) {
		t.Error("the list lacks the invite")
	}
	if _, err := exec.LookPath("psql"); err == nil {
		psql := startProgram(t, path, "/bin/sh", "-c", advice[2]+" -Atc 'SELECT count(*) > 0 FROM invites'")
		psql.ends(0)
		if got := strings.TrimSpace(psql.stdout.String()); got != "t" {
			t.Errorf("psql says %q", got)
		}
	}
	beside := &dev{process: startProgram(t, path, "/bin/sh", "-c", strings.Replace(advice[3], " connectlink ", " exec connectlink ", 1)+" --json --listen=127.0.0.1:0")}
	beside.says(&beside.stdout, "}\n")
	said := parse(t, beside.stdout.String())
	beside.url, beside.key = said.text("url"), said.text("api_key")
	if beside.key != d.key || beside.url == d.url {
		t.Errorf("beside %s with its own key: %v", d.url, said)
	}
	beside.ready(beside.url)
	made := parse(t, mustRun(t, beside.api(), "invites", "create", "--user=user-2", "--app=slack", "--email=delivered+connect@connectlink.test"))
	d.until("sees what the second one made connect", func() bool {
		return fetch(t, d.api(), made.text("id")).text("status") == "connected"
	})
	beside.interrupt()
	if gone(database(t, u.dir)) {
		t.Error("the second one stopped the first one's database")
	}
	d.interrupt()
}

func TestDevTakesTheNextFreePort(t *testing.T) {
	t.Parallel()
	u := usedState(t)
	// The port is taken, by us or by another program.
	if l, err := net.Listen("tcp", "127.0.0.1:8080"); err == nil {
		defer func() { _ = l.Close() }()
	}
	d := startDev(t, u.dir, nil)
	port := strings.TrimPrefix(d.url, "http://127.0.0.1:")
	if n, err := strconv.Atoi(port); err != nil || n <= 8080 || n > 8180 {
		t.Errorf("serves %s", d.url)
	}
	if want := "Port 8080 is in use; serving on " + port; !strings.Contains(d.err.String(), want) {
		t.Errorf("does not say %q", want)
	}
	runCommand(t, nil, "dev", "--state", folder(t), "--listen", "127.0.0.1:"+port).want(t, 1, "listen on 127.0.0.1:"+port, "in use")

	// An unrequested end of the database is reported.
	if err := syscall.Kill(database(t, u.dir), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	d.ends(1)
	if !strings.Contains(d.err.String(), "the database has ended; what it said is in "+u.dir) {
		t.Error("does not say that its database ended")
	}
}

func TestDevSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  vars
		args []string
		code int
		says []string
	}{
		"a state folder inside a file":    {nil, []string{"--state", file + "/state"}, 1, []string{"cannot keep state in " + file, "not a directory", "--state or CONNECTLINK_STATE_DIR"}},
		"a state folder by variable":      {vars{"CONNECTLINK_STATE_DIR": file}, nil, 1, []string{"cannot keep state in " + file}},
		"a folder nobody can write to":    {nil, []string{"--state", "/proc"}, 1, []string{"cannot keep state in /proc", "--state"}},
		"no home":                         {vars{"HOME": "", "XDG_CACHE_HOME": ""}, nil, 1, []string{"no folder to keep state in", "CONNECTLINK_STATE_DIR"}},
		"an address that is none":         {nil, []string{"--listen=localhost"}, 2, []string{"want host:port"}},
		"an address of the whole world":   {nil, []string{"--listen=0.0.0.0:0"}, 2, []string{"not a loopback address", "connectlink serve"}},
		"a name of the whole world":       {nil, []string{"--listen=example.com:0"}, 2, []string{"not a loopback address"}},
		"a faulty configuration":          {vars{"CONNECTLINK_PUBLIC_URL": "nonsense", "TWILIO_AUTH_TOKEN": "hidden-word"}, nil, 2, []string{"2 faults", "CONNECTLINK_PUBLIC_URL", "TWILIO_ACCOUNT_SID"}},
		"a database that does not answer": {vars{"DATABASE_URL": "postgres://me:hidden-word@127.0.0.1:1/none"}, nil, 1, []string{"database unavailable"}},
		"no PostgreSQL": {
			vars{"CONNECTLINK_DEV_POSTGRES_BIN": t.TempDir(), "PATH": ""}, nil, 1,
			[]string{"no PostgreSQL server found", "Install it with:  ", "CONNECTLINK_DEV_POSTGRES=download", "CONNECTLINK_DATABASE_URL"},
		},
		"a flag that is none": {nil, []string{"--port=1"}, 2, []string{"unknown flag --port"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"dev"}, c.args...)
			if len(c.args) == 0 && c.env["CONNECTLINK_STATE_DIR"] == "" && name != "no home" {
				args = append(args, "--state", folder(t))
			}
			r := runCommand(t, c.env, args...)
			r.want(t, c.code, c.says...)
			r.hides(t, "hidden-word", "panic", "goroutine")
			if r.stdout != "" {
				t.Errorf("stdout: %s", r.stdout)
			}
		})
	}
	t.Run("the keyset of a database is gone", func(t *testing.T) {
		t.Parallel()
		u := usedState(t)
		if err := os.Remove(filepath.Join(u.dir, "keyset")); err != nil {
			t.Fatal(err)
		}
		runCommand(t, nil, "dev", "--state", u.dir).want(t, 1, "keyset is missing", "restore it, or remove "+u.dir)
	})
	t.Run("PostgreSQL is installed after a first try", func(t *testing.T) {
		t.Parallel()
		state := folder(t)
		const announced = "Starting a private PostgreSQL"
		runCommand(t, vars{"CONNECTLINK_DEV_POSTGRES_BIN": t.TempDir()}, "dev", "--state", state).want(t, 1, announced, "Install it with")
		d := startDev(t, state, nil, "--listen=127.0.0.1:0")
		if !strings.Contains(d.err.String(), announced) {
			t.Error("the first start that works is not announced")
		}
		d.interrupt()
	})
	t.Run("a misspelt variable", func(t *testing.T) {
		t.Parallel()
		d := startDev(t, usedState(t).dir, vars{"CONNECTLINK_BRAND_NAM": "Acme"}, "--listen=127.0.0.1:0")
		if !strings.Contains(d.err.String(), "did you mean CONNECTLINK_BRAND_NAME?") {
			t.Error("no warning")
		}
		d.interrupt()
	})
}

// TestFirstStartsAtOnceAgree: the second process reports the first one and
// changes nothing.
func TestFirstStartsAtOnceAgree(t *testing.T) {
	t.Parallel()
	state := folder(t)
	a := start(t, nil, "dev", "--json", "--state", state, "--listen=127.0.0.1:0")
	b := start(t, nil, "dev", "--json", "--state", state, "--listen=127.0.0.1:0")
	winner, loser := a, b
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-a.done:
		winner, loser = b, a
	case <-b.done:
	case <-ctx.Done():
		t.Fatal("both run")
	}
	loser.ends(1)
	if !strings.Contains(loser.err.String(), "another `connectlink dev`") {
		t.Errorf("the loser says %s", loser.err.String())
	}
	winner.says(&winner.stdout, "}\n")
	said := parse(t, winner.stdout.String())
	api := vars{"CONNECTLINK_API_URL": said.text("url"), "CONNECTLINK_API_KEY": said.text("api_key")}
	made := parse(t, mustRun(t, api, "invites", "create", "--user=user-1", "--app=slack"))
	winner.interrupt()
	// Values sealed before still open with the kept keyset.
	d := startDev(t, state, nil, "--listen=127.0.0.1:0")
	mustRun(t, d.api(), "invites", "get", made.text("id"))
	d.interrupt()
}

// TestDevServesSeveralProjects: each has a key that works for it alone, also after the
// order of the projects changed.
func TestDevServesSeveralProjects(t *testing.T) {
	t.Parallel()
	state := folder(t)
	write := func(ids ...string) string {
		text := "projects:\n"
		for _, id := range ids {
			text += "  - {id: " + id + ", brand: {name: " + id + "}}\n"
		}
		file := filepath.Join(t.TempDir(), "dev.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	keys := func(p *process) (string, map[string]string) {
		p.says(&p.stdout, "}\n")
		said := parse(t, p.stdout.String())
		of := map[string]string{}
		listed, _ := said["projects"].([]any)
		for _, one := range listed {
			project, _ := one.(map[string]any)
			of[project["id"].(string)] = project["api_key"].(string)
		}
		p.ready(said.text("url"))
		return said.text("url"), of
	}
	d := start(t, nil, "dev", "--json", "--state", state, "--listen=127.0.0.1:0", "--config", write("default", "beta"))
	base, first := keys(d)
	if len(first) != 2 || first["default"] == first["beta"] {
		t.Fatalf("keys of %d projects", len(first))
	}
	made := parse(t, mustRun(t, vars{"CONNECTLINK_API_URL": base, "CONNECTLINK_API_KEY": first["beta"]},
		"invites", "create", "--user=user-1", "--app=slack", "--email=delivered+connect@connectlink.test"))
	other := runCommand(t, vars{"CONNECTLINK_API_URL": base, "CONNECTLINK_API_KEY": first["default"]}, "invites", "get", made.text("id"))
	if other.code == 0 {
		t.Error("the key of one project reads an invite of the other")
	}
	d.signal(syscall.SIGTERM)
	d.ends(0)

	d = start(t, nil, "dev", "--json", "--state", state, "--listen=127.0.0.1:0", "--config", write("beta", "default"))
	base, second := keys(d)
	if len(second) != 2 {
		t.Fatalf("keys of %d projects", len(second))
	}
	mustRun(t, vars{"CONNECTLINK_API_URL": base, "CONNECTLINK_API_KEY": second["beta"]}, "invites", "get", made.text("id"))
}

package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const (
	testKey = "cl_test_QmFzZTY0IGlzIG5vdCBhIGtleQ"
	liveKey = "cl_live_QmFzZTY0IGlzIG5vdCBhIGtleQ"
)

// login runs login with standard input.
func login(t *testing.T, v vars, input string, args ...string) result {
	t.Helper()
	c := exec.CommandContext(t.Context(), binary, append([]string{"login"}, args...)...)
	var out, failure output
	c.Env, c.Stdin, c.Stdout, c.Stderr = environ(t, v), strings.NewReader(input), &out, &failure
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return result{c.ProcessState.ExitCode(), out.String(), failure.String()}
}

// startKeyed starts a server that answers lists to the two keys, and keeps which keys were sent.
func startKeyed(t *testing.T) (url string, keys func() []string) {
	t.Helper()
	var mu sync.Mutex
	var sent []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		mu.Lock()
		sent = append(sent, key)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch key {
		case testKey, liveKey:
			_, _ = fmt.Fprint(w, `{"object":"list","data":[],"has_more":false,"next_cursor":null}`)
		case testKey + "x":
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, `{"code":"insufficient_scope","detail":"No.","request_id":"req_1"}`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, `{"code":"invalid_api_key","detail":"No such key.","request_id":"req_1"}`)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), sent...)
	}
}

func profilesFile(home vars) string {
	return filepath.Join(home["HOME"], ".config", "connectlink", "profiles.json")
}

func TestLoginStoresAKeyThatWorksForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	url, keys := startKeyed(t)
	home := vars{"HOME": t.TempDir()}
	runCommand(t, home, "invites", "list").want(t, 3, "connectlink login", "CONNECTLINK_API_KEY")
	r := login(t, home, testKey+"\n", "--url", url+"/")
	r.want(t, 0, "Logged in to "+url, "test mode", "profile default")
	r.hides(t, testKey)
	info, err := os.Stat(profilesFile(home))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file is %v, %v", info, err)
	}
	mustRun(t, home, "invites", "list")
	if sent := keys(); len(sent) != 2 || sent[0] != testKey || sent[1] != testKey {
		t.Errorf("sent %d keys", len(sent))
	}
	login(t, home, testKey+"x", "--url", url, "--profile=narrow").want(t, 0, "profile narrow")
	for name, c := range map[string]struct {
		input string
		args  []string
		code  int
		says  string
	}{
		"a revoked key":      {"cl_test_revoked", nil, 3, "invalid_api_key"},
		"no key":             {"", nil, 2, "begins with cl_test_ or cl_live_"},
		"another secret":     {"whsec_abc", nil, 2, "begins with cl_test_ or cl_live_"},
		"two lines":          {testKey + "\n" + testKey, nil, 2, "no white space"},
		"a profile's name":   {testKey, []string{"--profile=../x"}, 2, "--profile"},
		"no address":         {testKey, []string{"--url=acme.example"}, 2, "--url"},
		"a password":         {testKey, []string{"--url=https://u:p@acme.example"}, 2, "--url"},
		"nothing answers":    {testKey, []string{"--url=http://127.0.0.1:1"}, 1, "does not answer"},
		"not in the network": {testKey, []string{"--url=http://[::1]:1"}, 1, "does not answer"},
	} {
		got := login(t, home, c.input, append([]string{"--url", url, "--profile=other"}, c.args...)...)
		if got.want(t, c.code, c.says); t.Failed() {
			t.Fatalf("at %s", name)
		}
		got.hides(t, testKey)
	}
	if list := mustRun(t, home, "profiles", "list", "--json"); strings.Contains(list, "other") || strings.Contains(list, testKey) {
		t.Errorf("profiles %s", list)
	}
}

func TestLoginOnATerminalDoesNotShowTheKey(t *testing.T) {
	t.Parallel()
	url, _ := startKeyed(t)
	home := vars{"HOME": t.TempDir()}
	c := exec.CommandContext(t.Context(), "script", "-qec", binary+" login --url "+url, "/dev/null")
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: c, done: make(chan struct{})}
	c.Env, c.Stdout, c.Stderr = environ(t, home), &p.stdout, &p.err
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.Wait(); close(p.done) }()
	t.Cleanup(func() { _ = c.Process.Kill(); <-p.done })
	p.says(&p.stdout, "API key for "+url)
	if _, err := io.WriteString(stdin, testKey+"\n"); err != nil {
		t.Fatal(err)
	}
	p.ends(0)
	if said := p.stdout.String(); !strings.Contains(said, "Logged in") || strings.Contains(said, testKey) {
		t.Errorf("it says %q", said)
	}
}

func TestProfilesAreChosenByFlagVariableAndUse(t *testing.T) {
	t.Parallel()
	one, oneKeys := startKeyed(t)
	two, twoKeys := startKeyed(t)
	home := vars{"HOME": t.TempDir()}
	login(t, home, testKey, "--url", one, "--profile=one").want(t, 0)
	login(t, home, liveKey, "--url", two, "--profile=two").want(t, 0, "live mode")
	asked := func(v vars, args ...string) string {
		t.Helper()
		before := [2]int{len(oneKeys()), len(twoKeys())}
		mustRun(t, home.with(v), append([]string{"invites", "list"}, args...)...)
		switch {
		case len(oneKeys()) > before[0]:
			return "one " + oneKeys()[before[0]]
		case len(twoKeys()) > before[1]:
			return "two " + twoKeys()[before[1]]
		}
		return "none"
	}
	for _, c := range []struct {
		v    vars
		args []string
		want string
	}{
		{nil, nil, "two " + liveKey}, // the last login
		{nil, []string{"--profile=one"}, "one " + testKey},
		{vars{"CONNECTLINK_PROFILE": "one"}, nil, "one " + testKey},
		{vars{"CONNECTLINK_PROFILE": "one"}, []string{"--profile=two"}, "two " + liveKey},
		{vars{"CONNECTLINK_API_KEY": testKey, "CONNECTLINK_API_URL": two}, nil, "two " + testKey},
		{vars{"CONNECTLINK_API_KEY": testKey, "CONNECTLINK_API_URL": two, "CONNECTLINK_PROFILE": "one"}, nil, "two " + testKey},
		{vars{"CONNECTLINK_API_URL": two + "/"}, nil, "two " + liveKey},
	} {
		if got := asked(c.v, c.args...); got != c.want {
			t.Errorf("%v %v asks %s, want %s", c.v, c.args, got, c.want)
		}
	}
	runCommand(t, home, "profiles", "use", "one").want(t, 0, "test mode at "+one)
	if got := asked(nil); got != "one "+testKey {
		t.Errorf("after use: %s", got)
	}
	list := runCommand(t, home, "profiles", "list", "--table")
	list.want(t, 0, "one   test  "+one+"  true", "two   live  "+two+"  false")
	list.hides(t, testKey, liveKey)
	if got := mustRun(t, home, "complete-words", "--", "profiles", "use", "t"); got != "two\n" {
		t.Errorf("completed %q", got)
	}
	if got := mustRun(t, home, "complete-words", "--", "invites", "list", "--profile", ""); got != "one\ntwo\n" {
		t.Errorf("completed %q", got)
	}

	// One service's key is not sent to another.
	before := len(twoKeys())
	runCommand(t, home, "invites", "list", "--url", two).want(t, 2, "the profile one is for "+one)
	runCommand(t, home.with(vars{"CONNECTLINK_API_URL": two}), "invites", "list").want(t, 2, "CONNECTLINK_API_KEY")
	runCommand(t, home.with(vars{"CONNECTLINK_API_KEY": testKey}), "invites", "list", "--profile=two").want(t, 2, "--profile", "CONNECTLINK_API_KEY")
	runCommand(t, home, "invites", "list", "--profile=three").want(t, 2, `no profile "three"`, "profiles list")
	if len(twoKeys()) != before {
		t.Error("a key was sent")
	}

	runCommand(t, home, "logout").want(t, 0, "profile one is removed", "stays valid")
	runCommand(t, home, "logout").want(t, 4, "--profile")
	runCommand(t, home, "invites", "list").want(t, 3, "connectlink login")
	runCommand(t, home, "logout", "--profile=two").want(t, 0)
	runCommand(t, home, "profiles", "list").want(t, 0, "There are no profiles")
	raw, err := os.ReadFile(profilesFile(home))
	if err != nil || strings.Contains(string(raw), testKey) || strings.Contains(string(raw), liveKey) {
		t.Errorf("the file has %s, %v", raw, err)
	}
}

func TestAConfirmationWithALiveKeyNamesTheProfile(t *testing.T) {
	t.Parallel()
	url, keys := startKeyed(t)
	home := vars{"HOME": t.TempDir()}
	login(t, home, liveKey, "--url", url, "--profile=acme").want(t, 0)
	before := len(keys())
	c := exec.CommandContext(t.Context(), "script", "-qec", binary+" invites revoke inv_1", "/dev/null")
	c.Env, c.Stdin = environ(t, home), strings.NewReader("n\n")
	out, _ := c.CombinedOutput()
	if want := "LIVE (profile acme, " + url + "): Revoke inv_1?"; !strings.Contains(string(out), want) || !strings.Contains(string(out), "nothing was done") {
		t.Errorf("it says %q", out)
	}
	if len(keys()) != before {
		t.Error("the invite was revoked")
	}
}

func TestProfilesThatOthersCanReadAreRefused(t *testing.T) {
	t.Parallel()
	url, _ := startKeyed(t)
	home := vars{"HOME": t.TempDir()}
	login(t, home, testKey, "--url", url).want(t, 0)
	file := profilesFile(home)
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"invites", "list"}, {"profiles", "list"}, {"logout"}, {"login"}} {
		r := runCommand(t, home, args...)
		r.want(t, 3, "chmod 600 '"+file+"'", "0640")
		r.hides(t, testKey)
	}
	runCommand(t, home.with(vars{"CONNECTLINK_API_KEY": testKey, "CONNECTLINK_API_URL": url}), "invites", "list").want(t, 0)
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, home, "invites", "list")
	if err := os.WriteFile(file, []byte(`{"profiles": {"default": {"api_key": "`+testKey+`"`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := runCommand(t, home, "invites", "list")
	r.want(t, 1, "is not a file of profiles", file)
	r.hides(t, testKey)
}

func TestLoginsAtOnceAreAllStored(t *testing.T) {
	t.Parallel()
	url, _ := startKeyed(t)
	home := vars{"HOME": t.TempDir()}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() { login(t, home, testKey, "--url", url, fmt.Sprintf("--profile=p%d", n)).want(t, 0) })
	}
	all.Wait()
	var list struct{ Data []json.RawMessage }
	if err := json.Unmarshal([]byte(mustRun(t, home, "profiles", "list", "--json")), &list); err != nil || len(list.Data) != 8 {
		t.Errorf("%d profiles, %v", len(list.Data), err)
	}
}

func TestPausesAreMadeAndListed(t *testing.T) {
	t.Parallel()
	_, api := startScripted(t, func(w http.ResponseWriter, _ int) {
		_, _ = fmt.Fprint(w, `{"object":"list","data":[{"object":"pause","scope":"sms_country","channel":"sms","country":"GB","prefix":null,"key":null,"source":"person",
			"reason":"pumping","figures":null,"paused_at":"2026-11-28T09:30:00Z"}],"has_more":false,"next_cursor":null}`)
	})
	for _, args := range [][]string{
		{"list"}, {"add", "--channel=sms", "--country=GB", "--reason=pumping"}, {"resume", "--channel=sms", "--country=GB"},
	} {
		runCommand(t, api, append(append([]string{"pauses"}, args...), "--table")...).want(t, 0, "SCOPE", "sms_country  sms      GB")
	}
	runCommand(t, api, "pauses", "add", "--channel=sms", "--country=GB", "--prefix=+447", "--reason=pumping").want(t, 2, "--country")
	runCommand(t, api, "pauses", "add", "--channel=sms").want(t, 2, "--reason")
}

func TestSuppressionsAreATableOnATerminal(t *testing.T) {
	t.Parallel()
	_, api := startScripted(t, func(w http.ResponseWriter, _ int) {
		_, _ = fmt.Fprint(w, `{"object":"list","data":[{"id":"sup_1","channel":"email","recipient":"a@b.example","kind":"hard_bounce","source":"provider","note":null,
			"created_at":"2026-11-28T09:30:00Z","lifted_at":null}],"has_more":false,"next_cursor":null}`)
	})
	runCommand(t, api, "suppressions", "list", "--table").want(t, 0, "ID     CHANNEL  RECIPIENT", "sup_1  email    a@b.example  hard_bounce  provider  -     2026-11-28 09:30:00Z  -")
	if got := parse(t, mustRun(t, api, "suppressions", "list")); got.text("object") != "list" {
		t.Errorf("%v", got)
	}
	runCommand(t, api, "suppressions", "list", "--json", "--table").want(t, 2, "--json")
}

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/postgrestest"
)

// previousRelease is the file that names the commit or tag of the release before this
// one. After a release its tag is written there.
const previousRelease = "../../migrations/testdata/previous_release.txt"

// previousVariable asks for the test, which CI runs daily.
const previousVariable = "CONNECTLINK_TEST_PREVIOUS"

// TestThePreviousReleaseWorksOnTheNewSchema runs the program of the previous release on
// a database that this release migrated: during an update its processes go on. An invite
// gets from create to connected.
func TestThePreviousReleaseWorksOnTheNewSchema(t *testing.T) {
	t.Parallel()
	if os.Getenv(previousVariable) == "" {
		t.Skip("builds the previous release, which costs a minute of CPU without a cache: set " + previousVariable + "=1")
	}
	old := buildPrevious(t)
	v := deployment(t, postgrestest.New(t))
	runCommand(t, v, "migrate").want(t, 0, "Nothing to do") // this release's schema
	key := newKey(t, v).text("api_key")

	s := startOld(t, old, v)
	api := vars{"CONNECTLINK_API_URL": s.url, "CONNECTLINK_API_KEY": key}
	made := parse(t, mustRun(t, api, "invites", "create", "--user=user-1", "--app=slack", "--email=delivered+connect@connectlink.test"))
	s.until("delivers the message", func() bool { return fetch(t, api, made.text("id")).delivery() == "delivered" })
	s.until("connects the account", func() bool { return fetch(t, api, made.text("id")).text("status") == "connected" })
	s.interrupt()
}

// startOld is startServe with another build of the program.
func startOld(t *testing.T, program string, v vars, args ...string) *service {
	t.Helper()
	s := &service{process: startProgram(t, v.with(vars{"CONNECTLINK_LISTEN": "127.0.0.1:0"}), program, append([]string{"serve"}, args...)...)}
	s.says(&s.err, `"msg":"serving"`)
	s.url = regexp.MustCompile(`"msg":"serving".*"url":"([^"]+)"`).FindStringSubmatch(s.err.String())[1]
	return s
}

// buildPrevious builds the program of the previous release from the history of the
// repository. A copy without history skips the test; CI fails.
func buildPrevious(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile(previousRelease)
	if err != nil {
		t.Fatal(err)
	}
	revision := strings.TrimSpace(string(name))
	if out, err := exec.CommandContext(t.Context(), "git", "cat-file", "-e", revision+"^{commit}").CombinedOutput(); err != nil {
		const missing = "the repository's history lacks the previous release"
		if os.Getenv("CI") != "" {
			t.Fatalf("%s (%s): fetch it whole: %v %s", missing, revision, err, out)
		}
		t.Skipf("%s (%s): it is not tried on the new schema", missing, revision)
	}
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree.tar")
	program := filepath.Join(dir, "connectlink")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		in   string
		args []string
	}{
		{root, []string{"git", "archive", "--output=" + tree, revision}},
		{dir, []string{"tar", "-xf", tree}},
		// The same flags as in the test's own build: the dependencies come from the cache.
		{dir, []string{"go", "build", "-o", program, "./cmd/connectlink"}},
	} {
		cmd := exec.CommandContext(t.Context(), step.args[0], step.args[1:]...)
		cmd.Dir = step.in
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", step.args, err, out)
		}
	}
	return program
}

package structure_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the documents say of the program is tried on the program itself.
func TestTheProgramIsAsDocumented(t *testing.T) {
	t.Parallel()
	bin := program(t)
	t.Run("the tour", func(t *testing.T) {
		t.Parallel()
		tour(t, bin)
	})
	t.Run("the commands", func(t *testing.T) {
		t.Parallel()
		namedCommands(t, bin)
	})
}

func program(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "connectlink")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/connectlink")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// dev boots the program as a newcomer does, and stops it with Ctrl-C.
func dev(t *testing.T, bin string) (base, key string) {
	t.Helper()
	state, err := os.MkdirTemp("", "tour-") // short: a socket's path has little room
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(state); err != nil {
			t.Error(err)
		}
	})
	var noise bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), bin, "dev", "--json", "--listen", "127.0.0.1:0", "--pace", "50ms", "--state", state)
	cmd.Stderr = &noise
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			t.Errorf("dev ended with %v\n%s", err, noise.String())
		}
	})
	var greeting struct {
		URL    string `json:"url"`
		APIKey string `json:"api_key"`
	}
	if err := json.NewDecoder(out).Decode(&greeting); err != nil {
		t.Fatalf("dev said nothing: %v\n%s", err, noise.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return greeting.URL, greeting.APIKey
}

// touredPages are the documents whose commands are run, in the order in which a
// newcomer reads them.
func touredPages(t *testing.T) string {
	t.Helper()
	var all string
	for _, file := range []string{"README.md", "docs/quickstart.md", "docs/send-and-track.md", "docs/reconnect.md", "docs/api.md"} {
		all += read(t, file)
	}
	return all
}

// tour runs the commands of README and guides, and compares each response
// shown there with the real one.
func tour(t *testing.T, bin string) {
	t.Helper()
	base, key := dev(t, bin)
	steps := regexp.MustCompile("(?s)```sh tour\n(.*?)```(?:[^`]*```json\n(.*?)```)?").FindAllStringSubmatch(touredPages(t), -1)
	if len(steps) < 12 {
		t.Fatalf("found %d steps", len(steps))
	}
	for _, step := range steps {
		var want any
		if step[2] != "" {
			shown := strings.ReplaceAll(step[2], "http://127.0.0.1:8080", base)
			if err := json.Unmarshal([]byte(shown), &want); err != nil {
				t.Fatalf("%v\n%s", err, shown)
			}
		}
		// What happens by itself takes a moment: ask again, but never create twice.
		patience := time.Now().Add(60 * time.Second)
		for {
			got := shell(t, step[1], base, key)
			fault := covers(want, got, "")
			if o, ok := got.(map[string]any); ok && o["request_id"] != nil {
				t.Fatalf("%s\nwas refused: %v", step[1], got)
			}
			if fault == "" {
				break
			}
			if strings.Contains(step[1], " -d ") || time.Now().After(patience) {
				t.Fatalf("%s\nanswers otherwise than shown: %s", step[1], fault)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func shell(t *testing.T, script, base, key string) any {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Env = append(os.Environ(), "CONNECTLINK_API_URL="+base, "CONNECTLINK_API_KEY="+key)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s\n%v %s", script, err, complaint.String())
	}
	var got any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%s\nanswered no JSON: %s", script, out)
	}
	return got
}

// covers returns where an answer lacks a part of the shown one; "" if it has
// all of it. In the shown answer "…" stands for any text, and members may be
// left out.
func covers(want, got any, at string) string {
	switch want := want.(type) {
	case nil:
		if at != "" && got != nil {
			return fmt.Sprintf("%s is %v", at, got)
		}
	case map[string]any:
		o, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %v", at, got)
		}
		for name, v := range want {
			member, ok := o[name]
			if !ok {
				return at + "." + name + " is missing"
			}
			if fault := covers(v, member, at+"."+name); fault != "" {
				return fault
			}
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) < len(want) {
			return fmt.Sprintf("%s has too little: %v", at, got)
		}
		for i := range want {
			if fault := covers(want[i], list[i], fmt.Sprintf("%s[%d]", at, i)); fault != "" {
				return fault
			}
		}
	case string:
		pattern := "(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".+") + "$"
		if text, ok := got.(string); !ok || !regexp.MustCompile(pattern).MatchString(text) {
			return fmt.Sprintf("%s is %q, not %q", at, got, want)
		}
	default:
		if want != got {
			return fmt.Sprintf("%s is %v, not %v", at, got, want)
		}
	}
	return ""
}

// namedCommands looks for each command of the documents, and the flags it is given.
func namedCommands(t *testing.T, bin string) {
	t.Helper()
	invocation := regexp.MustCompile(`(?:^|\s|/|\(|` + "`" + `)connectlink ((?:[a-z]+ ?)+)([^|>)` + "`" + `\n]*)`)
	flag := regexp.MustCompile(`--[a-z][a-z-]*`)
	checked := 0
	for _, file := range documents() {
		text := strings.Join(append(fences(t, file, "sh"), codeSpans(read(t, file))...), "\n")
		for _, m := range invocation.FindAllStringSubmatch(text, -1) {
			args := strings.Fields(m[1])
			help, err := exec.CommandContext(t.Context(), bin, append(args, "--help")...).CombinedOutput()
			if err != nil || !bytes.HasPrefix(help, []byte("Usage: connectlink "+strings.Join(args, " "))) {
				t.Errorf("%s: there is no command %q", file, m[1])
				continue
			}
			for _, name := range flag.FindAllString(m[2], -1) {
				if !regexp.MustCompile(regexp.QuoteMeta(name) + `\b`).Match(help) {
					t.Errorf("%s: connectlink %s has no %s", file, m[1], name)
				}
			}
			checked++
		}
	}
	if checked < 12 {
		t.Errorf("found %d commands in the documents; this test looks for the wrong thing", checked)
	}
}

func codeSpans(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile("`(connectlink [^`]+)`").FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

package structure_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// verifier runs the function of docs/verify-webhooks.md in one language.
type verifier struct {
	fence, program string
	// file and more are what is written around the snippet; main calls the function
	// with the environment's SECRET, ID, TIMESTAMP, SIGNATURE and BODY, and prints the
	// event's type.
	file, main string
	command    []string
}

func verifiers() map[string]verifier {
	return map[string]verifier{
		"Node": {fence: "js verify", program: "node", file: "verify.js", command: []string{"node", "verify.js"}, main: `
const e = process.env;
const headers = { "webhook-id": e.ID, "webhook-timestamp": e.TIMESTAMP, "webhook-signature": e.SIGNATURE };
console.log(verifyWebhook(e.SECRET, headers, Buffer.from(e.BODY)).type);`},
		"Python": {fence: "python verify", program: "python3", file: "verify.py", command: []string{"python3", "verify.py"}, main: `
import os
e = os.environ
headers = {"webhook-id": e["ID"], "webhook-timestamp": e["TIMESTAMP"], "webhook-signature": e["SIGNATURE"]}
print(verify_webhook(e["SECRET"], headers, e["BODY"].encode())["type"])`},
		"Ruby": {fence: "ruby verify", program: "ruby", file: "verify.rb", command: []string{"ruby", "verify.rb"}, main: `
headers = {"webhook-id" => ENV["ID"], "webhook-timestamp" => ENV["TIMESTAMP"], "webhook-signature" => ENV["SIGNATURE"]}
puts verify_webhook(ENV["SECRET"], headers, ENV["BODY"])["type"]`},
	}
}

const verifyInGo = `package main

import (
	"fmt"
	"net/http"
	"os"

	"receiver/receiver"
)

func main() {
	header := http.Header{}
	header.Set("webhook-id", os.Getenv("ID"))
	header.Set("webhook-timestamp", os.Getenv("TIMESTAMP"))
	header.Set("webhook-signature", os.Getenv("SIGNATURE"))
	event, err := receiver.VerifyWebhook(os.Getenv("SECRET"), header, []byte(os.Getenv("BODY")))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(event["type"])
}
`

// TestDocumentedVerificationAcceptsOwnSignaturesOnly runs the functions that
// developers paste into their receivers, with signatures of the library that signs
// the service's webhooks.
func TestDocumentedVerificationAcceptsOwnSignaturesOnly(t *testing.T) {
	t.Parallel()
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		bin := filepath.Join(dir, "verify")
		writeAll(t, dir, map[string]string{
			"go.mod": "module receiver\n\ngo 1.24\n", "main.go": verifyInGo, "receiver/receiver.go": snippet(t, "go verify"),
		})
		build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".")
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		tryVerifier(t, dir, bin)
	})
	for name, v := range verifiers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(v.program); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatalf("%s is missing", v.program)
				}
				t.Skipf("%s is not installed: its snippet is not tried", v.program)
			}
			dir := t.TempDir()
			writeAll(t, dir, map[string]string{v.file: snippet(t, v.fence) + v.main + "\n"})
			tryVerifier(t, dir, v.command...)
		})
	}
}

// snippet is the one block of the page in a language.
func snippet(t *testing.T, kind string) string {
	t.Helper()
	all := fences(t, "docs/verify-webhooks.md", kind)
	if len(all) != 1 {
		t.Fatalf("%d blocks of %q", len(all), kind)
	}
	return all[0]
}

func writeAll(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// tryVerifier runs a verifier with good and bad posts.
func tryVerifier(t *testing.T, dir string, command ...string) {
	t.Helper()
	const (
		body = `{"type":"invite.connected","data":{"invite":{"note":"naïve – 日本"}}}`
		id   = "evt_1"
	)
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of 24 bytes ok?"))
	sign := func(secret string, at time.Time) string {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := w.Sign(id, at, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	now := time.Now()
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte("another secret, 24 bytes"))
	for name, c := range map[string]struct {
		at              time.Time
		signature, body string
		valid           bool
	}{
		"signed":                      {now, sign(secret, now), body, true},
		"signed by two secrets":       {now, sign(other, now) + " " + sign(secret, now), body, true},
		"signed by another secret":    {now, sign(other, now), body, false},
		"a changed body":              {now, sign(secret, now), strings.Replace(body, "connected", "revoked", 1), false},
		"an old post":                 {now.Add(-time.Hour), sign(secret, now.Add(-time.Hour)), body, false},
		"another time than is signed": {now, sign(secret, now.Add(-time.Minute)), body, false},
		"without a signature":         {now, "", body, false},
	} {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "SECRET="+secret, "ID="+id, "TIMESTAMP="+strconv.FormatInt(c.at.Unix(), 10), "SIGNATURE="+c.signature, "BODY="+c.body)
		out, err := cmd.CombinedOutput()
		if valid := err == nil && strings.TrimSpace(string(out)) == "invite.connected"; valid != c.valid {
			t.Errorf("%s: accepted %t, want %t: %v %s", name, valid, c.valid, err, out)
		}
	}
}

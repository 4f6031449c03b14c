package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheGoClientTakesTheTour runs the example programs of client/, a module of its
// own, against the service: one calls the API, one receives the events.
func TestTheGoClientTakesTheTour(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "-C", "../../client", "build", "-o", bin, "./examples/...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the examples: %v\n%s", err, out)
	}
	secret := vars{"CONNECTLINK_WEBHOOK_SECRET": hookSecret}
	receiver := startProgram(t, secret, filepath.Join(bin, "receiver"), "127.0.0.1:0")
	receiver.says(&receiver.stdout, "/hook\n")
	hook := strings.TrimSpace(strings.TrimPrefix(receiver.stdout.String(), "listening on "))
	d := startDev(t, usedState(t).dir, secret.with(vars{"CONNECTLINK_WEBHOOK_URL": hook}), "--listen", "127.0.0.1:0")
	tour := startProgram(t, d.api(), filepath.Join(bin, "tour"))
	tour.ends(0)
	said := tour.stdout.String()
	for _, want := range []string{"refused: invalid_request\n", "status: connected\n", "message to: delivered+connect@connectlink.test\n", "listed: apn_", "status: revoked\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("the tour does not say %q:\n%s", want, said)
		}
	}
	created := regexp.MustCompile(`created: (inv_\w+)`).FindStringSubmatch(said)
	if created == nil {
		t.Fatal("no invite was created")
	}
	receiver.says(&receiver.stdout, "invite.connected "+created[1])
}

// TestTheGoClientDoesWhatABackendDoes runs the example program that calls every other
// part of the API against the service.
func TestTheGoClientDoesWhatABackendDoes(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "-C", "../../client", "build", "-o", bin, "./examples/backend")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the example: %v\n%s", err, out)
	}
	received := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- string(body)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(receiver.Close)
	d := startDev(t, usedState(t).dir, nil, "--listen", "127.0.0.1:0")
	backend := startProgram(t, d.api(), filepath.Join(bin, "backend"), receiver.URL)
	backend.ends(0)
	if got, want := backend.stdout.String(), `app: slack
new secret: true
types: 3
test event delivered: true
item 0: active
item 1: invalid_request /recipient/email
found: true
event sent again: true
revoked: 1
exported invites: 1
erased invites: 1
endpoint: deleted
`; got != want {
		t.Errorf("it says %s", got)
	}
	if first := <-received; !strings.Contains(first, `"invite.connected"`) {
		t.Errorf("the test event is %s", first)
	}
}

package main_test

import (
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

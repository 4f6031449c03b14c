package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHelp: every command is listed and explains itself, its flags included.
func TestHelp(t *testing.T) {
	t.Parallel()
	overview := runCommand(t, nil)
	overview.want(t, 0, "connectlink dev", "Run\n", "Invite\n", "Administer\n")
	commands := regexp.MustCompile(`(?m)^  ([a-z]+(?: [a-z]+)*)  +[A-Z]`).FindAllStringSubmatch(overview.stdout, -1)
	if len(commands) != 76 {
		t.Errorf("%d commands", len(commands))
	}
	undocumented := regexp.MustCompile(`(?m)^ +--[a-z-]+(=\S+)?$\n +-`)
	for _, c := range commands {
		r := runCommand(t, nil, append(strings.Fields(c[1]), "--help")...)
		r.want(t, 0, "Usage: connectlink "+c[1])
		if found := undocumented.FindString(r.stdout); found != "" {
			t.Errorf("%s: a flag without a word: %s", c[1], found)
		}
	}
	runCommand(t, nil, "version").want(t, 0, "connectlink ", "go1.")
	r := runCommand(t, nil, "serf")
	r.want(t, 2, "serf", `did you mean "serve"?`)
	if r.stdout != "" {
		t.Errorf("stdout: %s", r.stdout)
	}
}

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "connectlink.yaml")
	yaml := "public_url: https://go.acme.example\nprojects:\n  - id: default\n    brand: {name: Acme}\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	keyset := newKeyset(t)
	v := vars{
		"CONNECTLINK_DATABASE_URL": "postgres://me:hidden-word@db.acme.example/connectlink", "CONNECTLINK_KEYSET": keyset,
		"CONNECTLINK_BRND_NAME": "Acme",
	}
	r := runCommand(t, v, "config", "check", "--config", file)
	r.want(t, 0, "public_url = https://go.acme.example", "projects[default].brand.name = Acme", "@db.acme.example/connectlink",
		"warning: CONNECTLINK_BRND_NAME: there is no such variable; did you mean CONNECTLINK_BRAND_NAME?",
		"note: project default cannot serve live keys: PIPEDREAM_CLIENT_ID")
	r.hides(t, "hidden-word", keyset)
	runCommand(t, v.with(vars{"CONNECTLINK_CONFIG": file}), "config", "check").want(t, 0, "public_url = https://go.acme.example")

	live := v.with(vars{"PIPEDREAM_CLIENT_ID": "id", "PIPEDREAM_CLIENT_SECRET": "hidden-word", "PIPEDREAM_PROJECT_ID": "proj_1"})
	runCommand(t, live, "config", "check", "-c", file).want(t, 0, "note: project default cannot send email: SENDGRID_API_KEY", "cannot send text messages: TWILIO_ACCOUNT_SID")
	deaf := runCommand(t, live, "config", "check")
	deaf.want(t, 2, "project default is not ready for live keys: CONNECTLINK_PUBLIC_URL", "Pipedream cannot call back")
	deaf.hides(t, "hidden-word", keyset)

	bad := runCommand(t, v.with(vars{"CONNECTLINK_KEYSET": "hidden-word", "CONNECTLINK_LISTEN": "hidden-word"}), "config", "check")
	bad.want(t, 2, "2 faults", "CONNECTLINK_KEYSET", "CONNECTLINK_LISTEN")
	bad.hides(t, "hidden-word")
}

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestTheAuditLogIsVerifiedAndExported(t *testing.T) {
	t.Parallel()
	v := deployment(t, "")
	first := runCommand(t, v, "migrate")
	first.want(t, 0, "up to date")
	first.hides(t, "connectlink_program")
	runCommand(t, v, "migrate", "--roles").want(t, 0, "GRANT connectlink_program TO")
	runCommand(t, v, "migrate").want(t, 0, "GRANT connectlink_program TO")
	newKey(t, v) // which is an entry
	served := start(t, v.with(vars{"CONNECTLINK_LISTEN": "127.0.0.1:0", "CONNECTLINK_SANDBOX": "true", "CONNECTLINK_PUBLIC_URL": "https://go.acme.example"}), "serve")
	served.until("the entry is chained", func() bool {
		return strings.Contains(runCommand(t, v, "audit", "verify").stdout, "1 entries, 0 not chained yet, 0 faults")
	})
	served.interrupt()

	file := filepath.Join(t.TempDir(), "audit.jsonl")
	exported := runCommand(t, v, "audit", "export", "--out", file)
	exported.want(t, 0, "Exported up to 1:")
	_, head, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(exported.stderr), "."), "up to ")
	runCommand(t, v, "audit", "export", "--out", file).want(t, 2, "--out")
	runCommand(t, v, "audit", "export", "--after=-1").want(t, 2, "--after")
	runCommand(t, nil, "audit", "verify", "--file", file, "--head", head).want(t, 0, "1 entries, 0 not chained yet, 0 faults; head "+head)
	runCommand(t, v, "audit", "verify", "--head", head).want(t, 0, "0 faults")
	runCommand(t, v, "audit", "verify", "--head", "1:"+strings.Repeat("0", 64)).want(t, 1, "differs from the head that was given")
	runCommand(t, v, "audit", "verify", "--head", "1:xyz", "--head", "none").want(t, 2, "--head 1:xyz: want NUMBER:HASH", "--head none")
	runCommand(t, v, "audit", "heads").want(t, 0, "DAY  HEAD")

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "key_created", "key_revoked", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	runCommand(t, nil, "audit", "verify", "--file", file).want(t, 1, "line 1: entry 1 was changed")
	conn, err := pgx.Connect(t.Context(), v["CONNECTLINK_DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), `ALTER TABLE audit DISABLE TRIGGER audit_append_only; UPDATE audit SET act = 'sign_out' WHERE act = 'key_created'`); err != nil {
		t.Fatal(err)
	}
	runCommand(t, v, "audit", "verify").want(t, 1, "was changed", "1 faults")
}

package app_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

// TestTheProgramRunsWithARoleThatCannotAlterTheAuditLog takes the whole journey, as a
// member of the role that `migrate --roles` makes, and logs no error.
func TestTheProgramRunsWithARoleThatCannotAlterTheAuditLog(t *testing.T) {
	t.Parallel()
	owner := postgrestest.New(t)
	if granted, err := postgres.GrantProgram(t.Context(), owner, true); err != nil || granted {
		t.Fatalf("granted again without a first time: %t, %v", granted, err)
	}
	for _, again := range []bool{false, true} {
		if granted, err := postgres.GrantProgram(t.Context(), owner, again); err != nil || !granted {
			t.Fatalf("granted %t, %v", granted, err)
		}
	}
	admin, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	login := strings.ReplaceAll(strings.TrimPrefix(u.Path, "/"), "cltest_", "cltest_login_")
	for _, sql := range []string{"CREATE ROLE " + login + " LOGIN PASSWORD 'secret'", "GRANT " + postgres.ProgramRole + " TO " + login} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_, _ = admin.Exec(t.Context(), "DROP ROLE "+login)
		_ = admin.Close(t.Context())
	})
	u.User = url.UserPassword(login, "secret")
	p := start(t, boot{db: u.String()})

	inv := p.invite(201, object{"external_user_id": "user-1", "app": "slack", "channel": "email", "recipient": object{"email": "delivered+connect@connectlink.test"}})
	p.until(inv["id"].(string), "connected", func(o object) bool { return o["status"] == "connected" })
	member, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = member.Close(t.Context()) })
	for _, sql := range []string{
		`UPDATE audit SET act = 'x'`, `DELETE FROM audit`, `TRUNCATE audit`, `UPDATE audit_chain SET number = 1`, `DELETE FROM audit_chain`, `DELETE FROM audit_heads`,
		`ALTER TABLE audit DISABLE TRIGGER USER`, `DROP TABLE audit`, `CREATE TABLE x (y int)`, `UPDATE goose_db_version SET version_id = 1`, `SET ROLE postgres`,
	} {
		var refused *pgconn.PgError
		if _, err := member.Exec(t.Context(), sql); !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for role, want := range map[*pgx.Conn]bool{admin: true, member: false} {
		if can, err := postgres.CanAlterAudit(t.Context(), role); err != nil || can != want {
			t.Errorf("can alter the audit log: %t, %v; want %t", can, err, want)
		}
	}
	for line := range strings.Lines(p.logs.String()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "permission denied") || strings.Contains(line, "must be owner") {
			t.Errorf("logged %s", line)
		}
	}
}

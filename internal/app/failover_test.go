package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// F02: after the primary became a reader for a while (or a pool's sessions ended
// up with one), the program writes again without a restart, and readiness tells
// of it meanwhile.
func TestF02WritesComeBackAfterAReadOnlyTime(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	admin, err := pgx.Connect(t.Context(), p.db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(t.Context()) })
	exec := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ready := func(want int) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		got := 0
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
			if got, _, _ = p.call(http.MethodGet, "/readyz", nil); got == want {
				return
			}
		}
		t.Fatalf("/readyz answers %d, never %d", got, want)
	}
	ready(http.StatusOK)
	var name string
	if err := admin.QueryRow(t.Context(), `SELECT quote_ident(current_database())`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	exec(`ALTER DATABASE ` + name + ` SET default_transaction_read_only = on`)
	exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	for deadline := time.Now().Add(patience); !strings.Contains(p.logs.String(), "not ready: the database is read-only"); {
		ready(http.StatusServiceUnavailable)
		if time.Now().After(deadline) {
			t.Fatal("readiness never tells of a read-only database")
		}
	}
	ready(http.StatusServiceUnavailable)
	link := object{"external_user_id": "user-1", "app": "slack", "channel": "link"}
	if status, _, out := p.call(http.MethodPost, "/v1/invites", link); status != http.StatusServiceUnavailable || out["retryable"] != true {
		t.Errorf("a create meanwhile: %d %v", status, out)
	}
	exec(`ALTER DATABASE ` + name + ` RESET default_transaction_read_only`)
	ready(http.StatusOK)
	p.invite(http.StatusCreated, link)
	made := p.invite(http.StatusCreated, to("delivered@connectlink.test"))
	p.until(made.text("id"), "delivered", func(o object) bool { return o.text("delivery.status") == "delivered" })
}

package main_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/servertest"
)

// TestF03BehindPgBouncerInTransactionMode runs the product through a real
// PgBouncer with its default settings but pool_mode, as docs/operations.md says:
// every request and the whole journey of a test recipient work.
func TestF03BehindPgBouncerInTransactionMode(t *testing.T) {
	t.Parallel()
	direct := postgrestest.New(t)
	pooled := startPgBouncer(t, direct)
	v := deployment(t, direct).with(vars{"CONNECTLINK_DATABASE_URL": pooled, "CONNECTLINK_DATABASE_DIRECT_URL": direct})
	key := newKey(t, v).text("api_key")
	s := startServe(t, v)
	client := vars{"CONNECTLINK_API_URL": s.url, "CONNECTLINK_API_KEY": key}

	const invites, atOnce = 40, 8
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range invites {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			body := fmt.Sprintf(`{"external_user_id":"user-%d","app":"slack","channel":"link","metadata":{"n":"%d"}}`, i, i)
			if status := post(t, s.url+"/v1/invites", key, body); status != http.StatusCreated {
				t.Errorf("create %d: %d", i, status)
			}
		})
	}
	wg.Wait()

	made := parse(t, mustRun(t, client, "invites", "create", "--user=user-x", "--app=slack", "--email=delivered+connect@connectlink.test"))
	s.until("sends, and the account connects", func() bool { return fetch(t, client, made.text("id")).text("status") == "connected" })
	// As a word: digits of a time or an id may read like a code.
	if found := regexp.MustCompile(`.*\b(42P05|26000|08P01)\b.*`).FindString(s.err.String()); found != "" {
		t.Errorf("the pooler and the driver disagree about prepared statements: %s", found)
	}
	mustRun(t, v, "staff", "list")
	s.interrupt()
}

// TestF03APoolerWithoutADirectURLIsNamed: the pooler's own words and the setting
// that is missing stand in the error.
func TestF03APoolerWithoutADirectURLIsNamed(t *testing.T) {
	t.Parallel()
	direct := postgrestest.New(t)
	pooled := startPgBouncer(t, direct)
	v := deployment(t, pooled)
	for _, command := range []string{"serve", "doctor"} {
		runCommand(t, v.with(vars{"CONNECTLINK_LISTEN": "127.0.0.1:0"}), command).want(t, 1, "unsupported startup parameter", "CONNECTLINK_DATABASE_DIRECT_URL")
	}
}

// TestF03ExecModesThatCannotWorkAreRefused: with them the program started, and
// every create was 500.
func TestF03ExecModesThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	direct := postgrestest.New(t)
	for _, mode := range []string{"exec", "simple_protocol"} {
		v := deployment(t, withQuery(t, direct, "default_query_exec_mode", mode))
		runCommand(t, v.with(vars{"CONNECTLINK_LISTEN": "127.0.0.1:0"}), "serve").want(t, 1, "default_query_exec_mode", "CONNECTLINK_DATABASE_DIRECT_URL")
	}
}

// TestF5ThePoolSizeIsASetting: pool_max_conns in the URL, which was read and
// then refused by the server, works as well.
func TestF5ThePoolSizeIsASetting(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(vars) vars{
		"setting": func(v vars) vars { return v.with(vars{"CONNECTLINK_DATABASE_POOL_SIZE": "2"}) },
		"URL": func(v vars) vars {
			return v.with(vars{"CONNECTLINK_DATABASE_URL": withQuery(t, v["CONNECTLINK_DATABASE_URL"], "pool_max_conns", "2")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := postgrestest.New(t)
			v := change(deployment(t, direct))
			mustRun(t, v, "migrate")
			key := newKey(t, v).text("api_key")
			s := startServe(t, v)
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					body := fmt.Sprintf(`{"external_user_id":"user-%d","app":"slack","channel":"link"}`, i)
					if status := post(t, s.url+"/v1/invites", key, body); status != http.StatusCreated {
						t.Errorf("create: %d", status)
					}
				})
			}
			wg.Wait()
			// River takes one connection out of its pool, to listen on.
			for pool, most := range map[string]int{"connectlink api": 2, "connectlink worker": 3} {
				if n := sessions(t, direct, pool); n > most {
					t.Errorf("%d sessions of %s, want %d at most", n, pool, most)
				}
			}
			s.interrupt()
		})
	}
}

// sessions counts the sessions of an application in a database.
func sessions(t *testing.T, database, application string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	err = conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE $1 || '%'`, application).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func withQuery(t *testing.T, database, key, value string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// post sends JSON and returns the status.
func post(t *testing.T, to, key, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// ownerOf returns the user who owns a server's socket folder, and "" if the
// server is reached over the network.
func ownerOf(t *testing.T, host string) string {
	t.Helper()
	info, err := os.Stat(host)
	if err != nil {
		return "nobody"
	}
	owner, err := user.LookupId(strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Uid)))
	if err != nil {
		t.Fatal(err)
	}
	return owner.Username
}

// startPgBouncer runs PgBouncer in transaction mode in front of a database, with
// no other setting that concerns clients, and returns the URL that leads through it.
func startPgBouncer(t *testing.T, database string) string {
	t.Helper()
	program := servertest.Need(t, "pgbouncer", "pgbouncer")
	cfg, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	dir, err := os.MkdirTemp("", "connectlink-pgbouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	server := fmt.Sprintf("host=%s port=%d dbname=%s user=%s", cfg.Host, cfg.Port, cfg.Database, cfg.User)
	if cfg.Password != "" {
		server += fmt.Sprintf(" password='%s'", cfg.Password)
	}
	config := fmt.Sprintf(`[databases]
cl = %s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
`, server, port)
	path := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil { //nolint:gosec // its user must read it; it lies in a test's folder
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // likewise
		t.Fatal(err)
	}
	args := []string{path}
	if os.Geteuid() == 0 { // which it refuses to be
		args = append([]string{"-u", ownerOf(t, cfg.Host)}, args...)
	}
	pooler := startProgram(t, nil, program, args...)
	through := fmt.Sprintf("postgres://cl@127.0.0.1:%d/cl?sslmode=disable", port)
	pooler.until("takes connections", func() bool {
		conn, err := pgx.Connect(t.Context(), through)
		if err != nil {
			return false
		}
		_ = conn.Close(t.Context())
		return true
	})
	return through
}

package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/waittest"
)

// TestListsFromAReplicaMissNothing: two processes behind one balancer, with a standby for
// lists. What one has acknowledged is in the next list of the other, in API and console,
// whether the standby is well, late, paused, dead or back.
func TestListsFromAReplicaMissNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a primary and a standby")
	}
	dir := t.TempDir()
	begin := func(name, from string) *devpg.Server {
		t.Helper()
		pg, err := devpg.Start(t.Context(), devpg.Params{
			Dir: filepath.Join(dir, name), From: from, NoSync: true,
			// A primary waits at its end for its standbys, also for a paused one.
			Settings: map[string]string{"wal_level": "replica", "max_wal_senders": "4", "wal_sender_timeout": "1s", "wal_receiver_status_interval": "200ms", "wal_retrieve_retry_interval": "200ms"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pg.Stop(context.WithoutCancel(t.Context())) })
		return pg
	}
	primary := begin("one", "")
	if err := postgres.Migrate(t.Context(), primary.URL(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	standby := begin("two", primary.URL())
	control := func(sql string) {
		t.Helper()
		db, err := pgx.Connect(t.Context(), standby.URL())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	keyset, env := newKeyset(t), map[string]string{"CONNECTLINK_DATABASE_READ_URL": standby.URL()}
	acts := start(t, boot{db: primary.URL(), keyset: keyset, env: env})
	lists := start(t, boot{db: primary.URL(), keyset: keyset, env: env})
	lists.key = acts.key
	staff := lists.staff(access.RoleAgent)

	served := func(server string) int {
		t.Helper()
		_, _, metrics := lists.visitor(t).do(http.MethodGet, "/metrics", "")
		found := regexp.MustCompile(`connectlink_database_list_reads_total{server="` + server + `"} (\d+)`).FindStringSubmatch(metrics)
		if found == nil {
			t.Fatalf("no count of lists read from the %s", server)
		}
		n, _ := strconv.Atoi(found[1])
		return n
	}
	var took []time.Duration
	first := func() object { // of the newest invite in the other process's list
		t.Helper()
		begun := time.Now()
		status, _, out := lists.call(http.MethodGet, "/v1/invites?limit=1", nil)
		took = append(took, time.Since(begun))
		data, _ := out["data"].([]any)
		if status != http.StatusOK || len(data) != 1 {
			t.Fatalf("list: %d %v", status, out)
		}
		return data[0].(map[string]any)
	}
	n := 0
	// act creates and resends through one process, and lists through the other.
	act := func() {
		t.Helper()
		n++
		address := fmt.Sprintf("delivered+%d@connectlink.test", n)
		id := acts.invite(http.StatusCreated, with(to(address), "external_user_id", fmt.Sprintf("user-%d", n))).text("id")
		if got := first(); got.text("id") != id {
			t.Errorf("after the create the list begins with %s, want %s", got.text("id"), id)
		}
		if status, _, out := acts.call(http.MethodPost, "/v1/invites/"+id+"/resend", object{"channel": "link"}); status != http.StatusOK {
			t.Fatalf("resend: %d %v", status, out)
		}
		if got := first(); got["resend_count"] != 1.0 {
			t.Errorf("after the resend the list says %v", got["resend_count"])
		}
		if page := staff.get("/console/default/test/invites"); !strings.Contains(page, id) {
			t.Error("the console's list lacks the invite")
		}
		if _, at, _ := staff.do(http.MethodPost, "/console/default/test/search", "q="+fmt.Sprintf("user-%d", n)); !strings.HasSuffix(at, id) {
			t.Errorf("the console's search leads to %s", at)
		}
	}
	fromReplica := func(what string) {
		t.Helper()
		waittest.Until(t, what, func() bool {
			before := served("replica")
			act()
			return served("replica") >= before+4
		})
	}
	median := func() time.Duration {
		slices.Sort(took)
		m := took[len(took)/2]
		took = nil
		return m
	}
	system := func(want string) {
		t.Helper()
		if page := lists.staff(access.RoleAdmin).get("/console/default/test/system"); !strings.Contains(page, want) {
			t.Errorf("the page System lacks %q", want)
		}
	}

	fromReplica("lists come from the replica")
	took = nil
	for range 8 {
		act()
	}
	t.Logf("from the replica a list took %v (median)", median())
	system("reads lists and searches from the replica")

	control(`ALTER SYSTEM SET recovery_min_apply_delay = '50ms'`)
	control(`SELECT pg_reload_conf()`)
	before := served("replica")
	for range 5 {
		act()
	}
	if served("replica") == before {
		t.Error("a replica that is 50 ms late serves nothing")
	}
	t.Logf("from a replica that is 50 ms late a list took %v (median)", median())
	control(`ALTER SYSTEM RESET recovery_min_apply_delay`)
	control(`SELECT pg_reload_conf()`)
	fromReplica("lists come from the replica without the delay")

	control(`SELECT pg_wal_replay_pause()`)
	took = nil
	before = served("primary")
	for range 5 {
		act()
	}
	if served("primary") == before {
		t.Error("a paused replica serves lists")
	}
	longest := slices.Max(took)
	t.Logf("while the replica is paused a list took at most %v, %v (median)", longest, median())
	system("The replica is behind")
	// The next probe tells the log.
	logged := func(problem postgres.ReplicaProblem) {
		t.Helper()
		waittest.Until(t, "the log tells that the replica is "+string(problem), func() bool {
			return strings.Contains(lists.logs.String(), `"lists are read from the primary","replica":"`+string(problem)+`"`)
		})
	}
	logged(postgres.ReplicaBehind)
	control(`SELECT pg_wal_replay_resume()`)
	fromReplica("lists come from the resumed replica")

	var failed, listed atomic.Int64
	loop, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for loop.Err() == nil {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, lists.base+"/v1/invites", http.NoBody)
			req.Header.Set("Authorization", "Bearer "+lists.key)
			resp, err := lists.http.Do(req)
			if err != nil || resp.StatusCode != http.StatusOK {
				failed.Add(1)
			}
			if err == nil {
				_ = resp.Body.Close()
			}
			listed.Add(1)
		}
	}()
	if err := syscall.Kill(standby.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-standby.Done()
	waittest.Until(t, "lists come from the primary", func() bool {
		act()
		return strings.Contains(lists.staff(access.RoleAdmin).get("/console/default/test/system"), "The replica does not answer")
	})
	act()
	logged(postgres.ReplicaUnreachable)
	_ = standby.Stop(t.Context())
	standby = begin("two", primary.URL())
	fromReplica("lists come from the replica that is back")
	stop()
	<-ended
	if failed.Load() > 0 || listed.Load() < 20 {
		t.Errorf("%d of %d lists failed around the death of the replica", failed.Load(), listed.Load())
	}
	t.Logf("around the death of the replica %d lists, %d failed", listed.Load(), failed.Load())
}

package main_test

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/waittest"
)

// TestARepeatIsNotAcknowledgedBeforeItIsReplicated: a commit that waits for a synchronous
// standby is cut short when the client gives up. Its rows are then visible, and a
// failover would lose them, so the repeat of the request is refused as well, until the
// standby has them.
func TestARepeatIsNotAcknowledgedBeforeItIsReplicated(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the end of two commits that no standby confirms, 10 s each")
	}
	dir := folder(t)
	begin := func(name, from string) *devpg.Server {
		t.Helper()
		pg, err := devpg.Start(t.Context(), devpg.Params{
			Dir: filepath.Join(dir, name), From: from, NoSync: true,
			Settings: map[string]string{"wal_level": "replica", "max_wal_senders": "4"},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pg.Stop(context.Background()) })
		return pg
	}
	primary := begin("one", "")
	standby := begin("two", primary.URL())
	v := deployment(t, primary.URL())
	mustRun(t, v, "migrate")
	key := newKey(t, v).text("api_key")
	s := startServe(t, v)
	s.ready(s.url)
	wantSynchronous(t, primary.URL())
	runCommand(t, v.with(vars{"CONNECTLINK_DATABASE_READ_URL": standby.URL()}), "doctor").want(t, 0, "ok    replica for lists", "note  The replica for lists replayed")

	create := func() (int, string) {
		body := `{"external_user_id":"user-1","app":"slack","channel":"email","recipient":{"email":"delivered@connectlink.test"}}`
		return callWithKey(t, s.url+"/v1/invites", key, "once", body)
	}
	if err := standby.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The first requests may be refused by an earlier commit, before anything is inserted.
	s.until("has the invite's rows, which no standby has", func() bool {
		if status, answer := create(); status != http.StatusServiceUnavailable {
			t.Fatalf("without its standby: %d %s", status, answer)
		}
		return number(t, primary.URL(), `SELECT count(*) FROM invites`) == 1
	})
	if status, answer := create(); status != http.StatusServiceUnavailable {
		t.Errorf("the repeat, without the standby: %d %s", status, answer)
	}
	begin("two", primary.URL())
	s.until("acknowledges the repeat", func() bool {
		status, _ := create()
		return status == http.StatusAccepted || status == http.StatusCreated
	})
	if n := number(t, primary.URL(), `SELECT count(*) FROM invites`); n != 1 {
		t.Errorf("%d invites, want 1", n)
	}
}

// wantSynchronous makes every standby of a server synchronous, and waits for one.
func wantSynchronous(t *testing.T, url string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	for _, sql := range []string{`ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	waittest.Until(t, "a standby is synchronous", func() bool {
		return number(t, url, `SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'`) == 1
	})
}

// callWithKey sends JSON with an Idempotency-Key.
func callWithKey(t *testing.T, to, key, idempotency, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", idempotency)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

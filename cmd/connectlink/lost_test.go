package main_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/invite"
)

// TestLostDatabase pulls the database away under load, without a shutdown, and
// brings it back: 503 with Retry-After in between, no half invite, and nothing
// lost that was answered.
func TestLostDatabase(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	begin := func() *devpg.Server {
		t.Helper()
		pg, err := devpg.Start(t.Context(), devpg.Params{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pg.Stop(context.Background()) })
		return pg
	}
	pg := begin()
	v := deployment(t, pg.URL())
	mustRun(t, v, "migrate")
	key := newKey(t, v).text("api_key")
	s := startServe(t, v)
	s.ready(s.url)

	create := func(n int) (status int, header http.Header, answer string) {
		body := fmt.Sprintf(`{"external_user_id":"user-%d","app":"slack","channel":"email","recipient":{"email":"delivered@connectlink.test"}}`, n)
		return call(t, http.MethodPost, s.url+"/v1/invites", key, body)
	}
	var mu sync.Mutex
	answered := map[string]bool{} // ids of invites that were answered 201 or 202
	refused := 0
	stop := make(chan struct{})
	var load sync.WaitGroup
	for w := range 4 {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				status, header, answer := create(w*1_000_000 + n)
				mu.Lock()
				switch status {
				case http.StatusCreated, http.StatusAccepted:
					answered[parse(t, answer).text("id")] = true
				case http.StatusServiceUnavailable:
					refused++
					if wait, err := strconv.Atoi(header.Get("Retry-After")); err != nil || wait < 1 {
						t.Errorf("Retry-After = %q", header.Get("Retry-After"))
					}
				default:
					t.Errorf("answered %d: %s", status, answer)
				}
				mu.Unlock()
			}
		})
	}
	count := func() (made, failed int) {
		mu.Lock()
		defer mu.Unlock()
		return len(answered), refused
	}
	s.until("accepts invites", func() bool { made, _ := count(); return made > 20 })

	if err := syscall.Kill(pg.PID(), syscall.SIGQUIT); err != nil { // at once, as in a crash
		t.Fatal(err)
	}
	<-pg.Done()
	s.until("answers 503", func() bool { _, failed := count(); return failed > 20 })
	if status, _, _ := call(t, http.MethodGet, s.url+"/readyz", "", ""); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d without a database", status)
	}
	if status, _, _ := call(t, http.MethodGet, s.url+"/livez", "", ""); status != http.StatusOK {
		t.Errorf("/livez answers %d: a restart would not bring the database back", status)
	}
	if err := pg.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	pg = begin()
	before, _ := count()
	s.until("accepts invites again", func() bool { made, _ := count(); return made > before+20 })
	close(stop)
	load.Wait()
	s.ready(s.url)
	wholeInvites(t, pg.URL(), answered)

	// Messages accepted before the crash are sent after it. A call that was in
	// progress is not repeated at once, because its outcome is unknown.
	s.until("sends everything", func() bool {
		return number(t, pg.URL(), `SELECT count(*) FROM deliveries d WHERE status IN ('queued', 'sending')
			AND NOT EXISTS (SELECT FROM attempts a WHERE a.invite_id = d.invite_id AND a.outcome IN ('open', 'unknown'))`) == 0
	})
	s.interrupt()
}

// wholeInvites checks that every answered invite is there, and that every one
// that is there has all of its parts.
func wholeInvites(t *testing.T, db string, answered map[string]bool) {
	t.Helper()
	ids := make([][16]byte, 0, len(answered))
	for text := range answered {
		id, err := invite.Parse[invite.ID](text)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id.UUID())
	}
	if n := number(t, db, `SELECT count(*) FROM invites WHERE id = ANY($1)`, ids); n != len(ids) {
		t.Errorf("%d invites were answered, %d of them are stored", len(ids), n)
	}
	for part, query := range map[string]string{
		"a delivery":      `SELECT count(*) FROM invites i WHERE NOT EXISTS (SELECT FROM deliveries d WHERE d.invite_id = i.id)`,
		"a code":          `SELECT count(*) FROM invites i WHERE NOT EXISTS (SELECT FROM codes c WHERE c.invite_id = i.id)`,
		"a first event":   `SELECT count(*) FROM invites i WHERE NOT EXISTS (SELECT FROM events e WHERE e.invite_id = i.id AND e.type = 'created')`,
		"a link, or none": `SELECT count(*) FROM invites i WHERE status = 'active' AND NOT EXISTS (SELECT FROM connect_links l WHERE l.invite_id = i.id)`,
	} {
		if n := number(t, db, query); n != 0 {
			t.Errorf("%d invites lack %s", n, part)
		}
	}
}

func number(t *testing.T, db, query string, args ...any) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var n int
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

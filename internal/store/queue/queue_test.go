package queue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/waittest"
)

// made is one delivery in the queue. Nothing is sealed: this package never opens.
type made struct {
	queue.Ref
	lane invite.Lane
}

func insert(t *testing.T, db postgres.DB, name string, n int) []made {
	lane := laneOf(name)
	t.Helper()
	if err := ledger.EnsureLane(t.Context(), db, lane); err != nil {
		t.Fatal(err)
	}
	var rows []ledger.New
	var out []made
	for range n {
		id, del, link := invite.New[invite.ID](), invite.New[invite.DeliveryID](), invite.New[invite.LinkID]()
		raw := id.UUID()
		rows = append(rows, ledger.New{
			ID: id, Place: invite.Place{Project: "p"}, Environment: "development", Status: invite.Active, Channel: invite.SMS, LinkType: invite.InviteLink,
			InitiatedBy: invite.ByUser, ExternalUserID: "user", App: invite.App{Slug: "slack", Name: "Slack"}, OAuthAppID: "oa_1",
			Content: []byte("content"), ExpiresIn: time.Hour, ValidFor: 2 * time.Hour, CreatedBy: invite.New[invite.KeyID](),
			Link: &ledger.Link{
				ID: link, URL: []byte("url"), TokenDigest: raw[:], WebhookDigest: raw[:], Granted: time.Hour, Left: 30 * time.Minute, ExpiresAtRaw: "raw",
			},
			Delivery: &ledger.Delivery{ID: del, Number: 1, Channel: invite.SMS, Kind: "first", Lane: lane},
			Code:     ledger.Code{ID: del.UUID(), Digest: raw[:], Sealed: []byte("code")},
			Event:    invite.Event{ID: invite.New[invite.EventID](), Type: invite.EventCreated},
		})
		out = append(out, made{queue.Ref{InviteID: id, DeliveryID: del}, lane})
	}
	if _, err := ledger.Insert(t.Context(), db, rows); err != nil {
		t.Fatal(err)
	}
	return out
}

func claim(t *testing.T, db postgres.DB, w queue.Want) []queue.Job {
	t.Helper()
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&w.Batch, 100)
	def(&w.PerLane, 100)
	if w.Owner == 0 {
		w.Owner = 7
	}
	if w.Lease == 0 {
		w.Lease = time.Minute
	}
	jobs, err := queue.Claim(t.Context(), db, w)
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func TestAClaimedJobHasAllThatSendingNeeds(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	m := insert(t, db, "p/sms/test", 1)[0]
	jobs := claim(t, db, queue.Want{})
	if len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	j := jobs[0]
	if j.Ref != m.Ref || j.Token != 1 || j.Owner != 7 || j.Status != invite.Queued || j.Channel != invite.SMS || j.Lane != m.lane ||
		j.Kind != "first" || j.Project != "p" || !j.Fresh() || j.Last != nil || j.SentLink != nil {
		t.Errorf("job is %+v", j)
	}
	i := j.Invite
	if i.Version != 1 || i.Status != invite.Active || i.LinkType != invite.InviteLink || i.UserText != "user" || i.AppName != "Slack" ||
		i.OAuthAppID != "oa_1" || string(i.Content) != "content" || i.ExpiresIn != time.Hour || i.ValidFor != 2*time.Hour ||
		i.ExpiresAt == nil || i.ExpiresAt.Sub(j.Now) < 119*time.Minute {
		t.Errorf("invite is %+v", i)
	}
	if j.Code == nil || string(j.Code.Sealed) != "code" || j.Link == nil || string(j.Link.URL) != "url" || j.Link.Granted != time.Hour {
		t.Errorf("code %+v, link %+v", j.Code, j.Link)
	}
	if again, ok, err := queue.FindJob(t.Context(), db, j.Lease); err != nil || !ok || again.Invite.Version != 1 {
		t.Errorf("read again: %v, %v", ok, err)
	}
	other := j.Lease
	other.Token++
	if _, ok, err := queue.FindJob(t.Context(), db, other); err != nil || ok {
		t.Errorf("another's lease reads it: %v, %v", ok, err)
	}
}

func TestAClaimTakesEachDeliveryOnce(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	insert(t, db, "p/sms/test", 200)
	got := make(chan queue.Lease, 400)
	done := make(chan struct{})
	for owner := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				jobs, err := queue.Claim(t.Context(), db, queue.Want{Owner: int64(owner + 1), Lease: time.Minute, Batch: 7, PerLane: 7})
				if err != nil {
					t.Error(err)
					return
				}
				if len(jobs) == 0 {
					return
				}
				for _, j := range jobs {
					got <- j.Lease
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
	close(got)
	seen := map[queue.Ref]bool{}
	for l := range got {
		if seen[l.Ref] || l.Token != 1 {
			t.Errorf("claimed twice: %v", l.Ref)
		}
		seen[l.Ref] = true
	}
	// SKIP LOCKED may let a last look come back empty while another still claims.
	if rest := claim(t, db, queue.Want{}); len(seen)+len(rest) != 200 {
		t.Errorf("%d claimed, %d left", len(seen), len(rest))
	}
}

func TestClaimsGoRoundTheLanes(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	for _, lane := range []string{"a/sms/test", "b/sms/test", "c/sms/test"} {
		insert(t, db, lane, 10)
	}
	count := func(jobs []queue.Job) string {
		by := map[string]int{}
		for _, j := range jobs {
			by[j.Lane.Project]++
		}
		return fmt.Sprint(by["a"], by["b"], by["c"])
	}
	for _, step := range []struct {
		name string
		want queue.Want
		got  string
	}{
		{"a cap per lane", queue.Want{PerLane: 2}, "2 2 2"},
		{"the next batch starts behind the last lane", queue.Want{PerLane: 2, Batch: 4, After: laneOf("a/sms/test")}, "0 2 2"},
		{"room of a busy lane", queue.Want{PerLane: 3, Room: map[invite.Lane]int{laneOf("a/sms/test"): 1, laneOf("b/sms/test"): 0, laneOf("c/sms/test"): 99}}, "1 0 3"},
		{"a probe takes only what it names", queue.Want{PerLane: 1, Batch: 1, Room: map[invite.Lane]int{laneOf("b/sms/test"): 1}, Paused: true}, "0 1 0"},
	} {
		if got := count(claim(t, db, step.want)); got != step.got {
			t.Errorf("%s: %s, want %s", step.name, got, step.got)
		}
	}
	if _, err := queue.AddFailures(t.Context(), db, queue.FailureReport{Account: "x", Rest: time.Minute, Lanes: []invite.Lane{laneOf("a/sms/test")}}, trip); err != nil {
		t.Fatal(err)
	}
	if got := count(claim(t, db, queue.Want{PerLane: 1})); got != "0 1 1" {
		t.Errorf("with a paused: %s", got)
	}
	if got := count(claim(t, db, queue.Want{PerLane: 1, Batch: 1, Room: map[invite.Lane]int{laneOf("a/sms/test"): 1}, Paused: true})); got != "1 0 0" {
		t.Errorf("a probe of the paused lane: %s", got)
	}
	if _, _, err := queue.SetWorking(t.Context(), db, "x", []invite.Lane{laneOf("a/sms/test")}); err != nil {
		t.Fatal(err)
	}
	if got := count(claim(t, db, queue.Want{PerLane: 1})); got != "1 1 1" {
		t.Errorf("after the pause: %s", got)
	}
}

func TestALeaseIsRenewedReleasedAndLost(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	insert(t, db, "p/sms/test", 3)
	jobs := claim(t, db, queue.Want{})
	a, b, c := jobs[0].Lease, jobs[1].Lease, jobs[2].Lease
	zombie := c
	zombie.Token--
	lost, err := queue.Renew(ctx, db, []queue.Lease{a, b, zombie}, time.Hour)
	if err != nil || len(lost) != 1 || lost[0] != zombie {
		t.Fatalf("lost %v, %v; want the zombie's alone", lost, err)
	}
	var ahead int
	if err := db.QueryRow(ctx, `SELECT count(*) FROM deliveries WHERE next_at > now() + interval '59 minutes'`).Scan(&ahead); err != nil || ahead != 2 {
		t.Errorf("%d renewed, %v", ahead, err)
	}
	ok, err := queue.Release(ctx, db, []queue.Lease{a, zombie}, []time.Duration{0, 0})
	if err != nil || len(ok) != 1 || !ok[a] {
		t.Errorf("released %v, %v", ok, err)
	}
	if again := claim(t, db, queue.Want{Owner: 8}); len(again) != 1 || again[0].Ref != a.Ref || again[0].Token != 2 || again[0].Owner != 8 {
		t.Errorf("claimed again: %+v", again)
	}
	if done, err := queue.SetDone(ctx, db, a); err != nil || done {
		t.Errorf("whose lease is lost took it off the queue: %v, %v", done, err)
	}
	if done, err := queue.SetDone(ctx, db, b); err != nil || !done {
		t.Errorf("taken off: %v, %v", done, err)
	}
	if n, err := queue.SetPoisoned(ctx, db, c, time.Hour); err != nil || n != 1 {
		t.Errorf("poisoned %d times, %v", n, err)
	}
	if n, err := queue.SetPoisoned(ctx, db, c, time.Hour); err != nil || n != 0 {
		t.Errorf("poisoned by a zombie: %d, %v", n, err)
	}
}

// A row that another transaction is writing is neither waited for nor taken for lost.
func TestRenewingWaitsForNoLock(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	insert(t, db, "p/sms/test", 1)
	l := claim(t, db, queue.Want{})[0].Lease
	tx, err := db.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := ledger.Lock(ctx, tx, l.InviteID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, waittest.Limit) // the lock ends with this test
	defer cancel()
	lost, err := queue.Renew(ctx, db, []queue.Lease{l}, time.Hour)
	if err != nil || len(lost) != 0 {
		t.Errorf("lost %v, %v", lost, err)
	}
}

func TestReapTakesFromTheDeadOnly(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	const alive, dead = int64(1)<<40 + 5, int64(3)<<33 + 9
	insert(t, db, "p/sms/test", 10)
	claim(t, db, queue.Want{Owner: alive, Batch: 4})
	orphans := claim(t, db, queue.Want{Owner: dead, Batch: 6})
	conn, err := pgx.Connect(ctx, db.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, alive); err != nil {
		t.Fatal(err)
	}
	if n, err := queue.Reap(ctx, db); err != nil || n != 6 {
		t.Fatalf("reaped %d, %v; want the dead one's 6", n, err)
	}
	// Before another worker claims it: no token has changed yet.
	if held := heldOf(t, db, orphans[0].Lease); held {
		t.Error("the dead process's lease is still good after it was taken away")
	}
	again := claim(t, db, queue.Want{Owner: 11})
	if len(again) != 6 {
		t.Fatalf("%d claimed again", len(again))
	}
	if held := heldOf(t, db, orphans[0].Lease); held {
		t.Error("the dead process's lease is still good")
	}
	if err := conn.Close(ctx); err != nil { // the process dies
		t.Fatal(err)
	}
	for deadline := time.Now().Add(waittest.Limit); ; {
		n, err := queue.Reap(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		if n == 10 { // owner 11 never had a lock either
			break
		}
		if n != 0 && n != 6 && n != 4 || time.Now().After(deadline) {
			t.Fatalf("reaped %d", n)
		}
		if n == 6 {
			for n != 4 {
				if n, err = queue.Reap(ctx, db); err != nil || time.Now().After(deadline) {
					t.Fatalf("reaped %d, %v", n, err)
				}
			}
			break
		}
	}
}

func heldOf(t *testing.T, db *pgxpool.Pool, l queue.Lease) bool {
	t.Helper()
	var ok bool
	err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
		held, err := queue.Held(t.Context(), tx, []queue.Lease{l})
		ok = held[l]
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// Two leases of one delivery in one group: keyed by delivery, the lost one would
// pass with the other.
func TestBugALostLeaseInOneGroupWithItsSuccessor(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	insert(t, db, "p/sms/test", 1)
	job := claim(t, db, queue.Want{})[0]
	current, version := job.Lease, job.Invite.Version
	old := current
	old.Token--
	err := postgres.InTx(ctx, db, func(tx pgx.Tx) error {
		held, err := queue.Held(ctx, tx, []queue.Lease{old, current})
		if err != nil || len(held) != 1 || !held[current] {
			t.Errorf("held %v, %v", held, err)
		}
		if held, err := queue.Held(ctx, tx, []queue.Lease{old}); err != nil || len(held) != 0 {
			t.Errorf("the lost one alone is held: %v, %v", held, err)
		}
		a, b := invite.New[invite.AttemptID](), invite.New[invite.AttemptID]()
		alone, err := queue.Begin(ctx, tx, []queue.NewAttempt{{Lease: old, ID: a, Version: version, Provider: "twilio", Account: "x", TemplateVersion: "1"}}, time.Minute)
		if err != nil || alone[a] != (queue.Begun{}) {
			t.Errorf("begun with a lost lease alone: %v, %v", alone, err)
		}
		begun, err := queue.Begin(ctx, tx, []queue.NewAttempt{
			{Lease: old, ID: a, Version: version, Provider: "twilio", Account: "x", TemplateVersion: "1"},
			{Lease: current, ID: b, Version: version, Provider: "twilio", Account: "x", TemplateVersion: "1"},
		}, time.Minute)
		if err != nil || begun[a] != (queue.Begun{}) || !begun[b].OK || begun[b].At.IsZero() {
			t.Errorf("begun %v, %v", begun, err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestALaneThatIsStoppedByHandIsLeftAlone(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	insert(t, db, "a/sms/test", 3)
	insert(t, db, "b/sms/test", 3)
	set := func(fn func(tx pgx.Tx) (bool, error)) (changed bool) {
		t.Helper()
		if err := postgres.InTx(ctx, db, func(tx pgx.Tx) (err error) { changed, err = fn(tx); return err }); err != nil {
			t.Fatal(err)
		}
		return changed
	}
	hold := func(tx pgx.Tx) (bool, error) {
		return queue.PauseLane(ctx, tx, laneOf("a/sms/test"), "staff:stf_1", "provider")
	}
	resume := func(tx pgx.Tx) (bool, error) { return queue.ResumeLane(ctx, tx, laneOf("a/sms/test")) }
	if !set(hold) || set(hold) {
		t.Error("stopped otherwise than once")
	}
	for _, w := range []queue.Want{{PerLane: 9}, {PerLane: 9, Room: map[invite.Lane]int{laneOf("a/sms/test"): 9}, Paused: true}} {
		for _, j := range claim(t, db, w) {
			if j.Lane.String() != "b/sms/test" {
				t.Errorf("claimed from %s", j.Lane)
			}
		}
	}
	lanes, err := queue.ListLanesOf(ctx, db, "a")
	if err != nil || len(lanes) != 1 || lanes[0].Due != 3 || lanes[0].HeldAt == nil || lanes[0].HeldBy != "staff:stf_1" || lanes[0].HeldWhy != "provider" || lanes[0].Oldest == nil {
		t.Errorf("%+v, %v", lanes, err)
	}
	if held, err := queue.ListHeld(ctx, db, "b"); err != nil || len(held) != 0 {
		t.Errorf("of another project: %+v, %v", held, err)
	}
	if !set(resume) || set(resume) {
		t.Error("resumed otherwise than once")
	}
	if n := len(claim(t, db, queue.Want{PerLane: 9})); n != 3 {
		t.Errorf("%d claimed afterwards", n)
	}
}

func TestMeasureAndLanes(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	insert(t, db, "a/sms/test", 3)
	insert(t, db, "b/sms/test", 4)
	if _, err := db.Exec(ctx, `UPDATE deliveries SET next_at = now() - interval '1 minute' WHERE lane = 'b/sms/test'`); err != nil {
		t.Fatal(err)
	}
	w, err := queue.Measure(ctx, db, 5)
	if err != nil || w.Due != 5 || w.Oldest < time.Minute || w.InDoubt != 0 {
		t.Errorf("%+v, %v; want the count to stop at 5", w, err)
	}
	// In doubt: being sent, and given back; not one in work, not one that ended.
	if _, err := db.Exec(ctx, `
		UPDATE deliveries d SET status = 'sending', lease_owner = CASE n WHEN 3 THEN 7 END, next_at = CASE WHEN n < 4 THEN now() + interval '1 minute' END
		FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM deliveries WHERE lane = 'b/sms/test') numbered WHERE d.id = numbered.id`); err != nil {
		t.Fatal(err)
	}
	if w, err := queue.Measure(ctx, db, 5); err != nil || w.Due != 3 || w.InDoubt != 2 {
		t.Errorf("%+v, %v; want 3 due and 2 in doubt", w, err)
	}
	lanes, err := queue.ListLanes(ctx, db)
	if err != nil || fmt.Sprint(lanes) != "[a/sms/test b/sms/test]" {
		t.Errorf("%v, %v", lanes, err)
	}
}

// Every statement of the hot path uses its keys under any statistics: here the
// statistics claim empty tables.
func TestPlansDoNotGrowWithTheTable(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	insert(t, db, "p/sms/test", 2000)
	conn, err := db.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	// auto_explain is an extension; the cheap way to see a plan's cost is how many
	// rows it looks at.
	if _, err := conn.Exec(ctx, `SELECT pg_stat_force_next_flush(), pg_stat_reset()`); err != nil {
		t.Fatal(err)
	}
	jobs, err := queue.Claim(ctx, conn.Conn(), queue.Want{Owner: 1, Lease: time.Minute, Batch: 5, PerLane: 5})
	if err != nil || len(jobs) != 5 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	if _, err := queue.Renew(ctx, conn.Conn(), []queue.Lease{jobs[0].Lease}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := queue.Reap(ctx, conn.Conn()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_stat_force_next_flush()`); err != nil {
		t.Fatal(err)
	}
	var read []struct {
		Table string `json:"relname"`
		Rows  int    `json:"seq_tup_read"`
	}
	var raw string
	err = conn.QueryRow(ctx, `
		SELECT coalesce(json_agg(json_build_object('relname', relname, 'seq_tup_read', seq_tup_read)), '[]')::text
		FROM pg_stat_user_tables WHERE seq_tup_read > 100`).Scan(&raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(raw), &read); err != nil {
		t.Fatal(err)
	}
	for _, r := range read {
		t.Errorf("%d rows of %s were read one after the other", r.Rows, r.Table)
	}
}

// NOTIFY in a transaction queues commits behind one lock.
func TestNobodyNotifiesInATransaction(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		src, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(src)), "notify") {
			t.Errorf("%s mentions NOTIFY", f.Name())
		}
	}
}

func laneOf(name string) invite.Lane {
	lane, err := invite.ParseLane(name)
	if err != nil {
		panic(err)
	}
	return lane
}

package main_test

import (
	"context"
	"encoding/base32"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
)

// rotation is a service whose keyset is rotated while requests come.
type rotation struct {
	t      *testing.T
	v      vars
	file   string // of the keyset
	public *front
	key    string
	now    *service
	db     *pgxpool.Pool

	made, failed atomic.Int64
	firstFailure atomic.Value
}

func newRotation(t *testing.T) *rotation {
	t.Helper()
	r := &rotation{t: t, public: newFront(t), file: filepath.Join(t.TempDir(), "keyset")}
	mustRun(t, nil, "keyset", "create", "--out", r.file)
	r.v = deployment(t, "").with(vars{
		"CONNECTLINK_KEYSET_FILE": r.file, "CONNECTLINK_PUBLIC_URL": r.public.URL, "CONNECTLINK_SEAL_EXTERNAL_USER_ID": "true",
		// The old process takes requests until the proxy has turned to the new one.
		"CONNECTLINK_DRAIN_FOR": "1s",
	})
	delete(r.v, "CONNECTLINK_KEYSET")
	r.key = newKey(t, r.v, "--scope", "invites:write", "--scope", "invites:read", "--scope", "links:read").text("api_key")
	var err error
	if r.db, err = pgxpool.New(t.Context(), r.v["CONNECTLINK_DATABASE_URL"]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.db.Close)
	r.deploy()
	return r
}

// deploy starts a process with the present keyset, and stops the one before it.
func (r *rotation) deploy() {
	r.t.Helper()
	before := r.now
	r.now = startServe(r.t, r.v)
	target, err := url.Parse(r.now.url)
	if err != nil {
		r.t.Fatal(err)
	}
	r.public.target.Store(target)
	if before != nil {
		before.signal(syscall.SIGTERM)
		before.ends(0)
	}
}

// rotate takes one step, and deploys the result.
func (r *rotation) rotate(step string) {
	r.t.Helper()
	next := mustRun(r.t, r.v, "keyset", "rotate", step)
	if err := os.WriteFile(r.file, []byte(next), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.deploy()
}

func (r *rotation) keyset() *seal.Keyset {
	r.t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	k, err := seal.ParseKeyset(secret.New(string(text)))
	if err != nil {
		r.t.Fatal(err)
	}
	return k
}

// load creates invites, some hundred a second, until the returned function is called.
func (r *rotation) load() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	const workers, each = 10, 100 * time.Millisecond
	for w := range workers {
		wg.Go(func() {
			tick := time.NewTicker(each)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				status, answer := r.create(fmt.Sprintf(`"external_user_id": "load-%d-%d", "channel": "email", "recipient": {"email": "delivered@connectlink.test", "name": "Pat"}`, w, n),
					fmt.Sprintf("load-%d-%d", w, n))
				if r.made.Add(1); status != http.StatusCreated {
					r.failed.Add(1)
					r.firstFailure.CompareAndSwap(nil, fmt.Sprintf("%d %s", status, answer))
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// create posts an invite. It has no deadline of its own: a stopped load lets its last
// requests end.
func (r *rotation) create(members, idempotencyKey string) (int, string) {
	req, err := http.NewRequest(http.MethodPost, r.public.URL+"/v1/invites", strings.NewReader(`{"app": "slack", `+members+`}`))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", idempotencyKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

func (r *rotation) count(sql string, args ...any) (n int) {
	r.t.Helper()
	if err := r.db.QueryRow(r.t.Context(), sql, args...).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// TestF2KeysAreRetiredUnderLoad: the keyset is rotated, everything is re-sealed by a
// command that is killed in the midst, and the old key is retired, while invites are
// created. Nothing is lost by it: not a STOP, a password, a search or a request.
func TestF2KeysAreRetiredUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	old := r.keyset().IDs()
	const password = "a long walk past seven lighthouses"
	runWith(t, r.v, password+"\n", "staff", "create", "ops@vendor.example", "--name=Ops", "--role=admin").want(t, 0)
	status, answer := r.create(`"external_user_id": "early", "channel": "email", "recipient": {"email": "delayed@connectlink.test", "name": "Early Bird"}`, "early")
	if status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	early := parse(t, answer)
	if status, answer := r.create(`"external_user_id": "stopper", "channel": "sms", "recipient": {"phone": "+12025550110"}`, "stopper"); status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	r.now.until("knows of the STOP", func() bool { return r.count(`SELECT count(*) FROM suppressions WHERE kind = 'opt_out'`) == 1 })
	var message string
	r.now.until("has sent the message", func() bool {
		return r.db.QueryRow(t.Context(), `SELECT provider_message_id FROM attempts WHERE invite_id = $1 AND provider_message_id <> ''`, inviteOf(t, early).UUID()).Scan(&message) == nil
	})

	stop := r.load()
	first := 150
	if longtest.Wanted() {
		first = 1000
	}
	r.now.until("has taken invites before", func() bool { return r.made.Load() >= int64(first) })
	r.rotate("--introduce")
	r.rotate("--promote")
	runCommand(t, r.v, "keyset", "rotate", "--retire").want(t, 1, "public.invites.content: ", "public.suppressions.hash: 1", "connectlink keyset reseal")

	for kills := 0; kills < 3; kills++ {
		p := start(t, r.v, "keyset", "reseal")
		p.until("renews rows", func() bool {
			return r.count(`SELECT coalesce(sum(renewed), 0)::int FROM reseals`) > 20*(kills+1)
		})
		p.signal(syscall.SIGKILL)
		p.code()
	}
	if n := r.count(`SELECT count(*) FROM reseals WHERE finished_at IS NULL`); n == 0 {
		t.Error("the killed runs left nothing to resume")
	}
	mustRun(t, r.v, "keyset", "reseal")
	runCommand(t, r.v, "keyset", "rotate", "--retire").want(t, 1, "public.idempotency.body_mac: ", "24 hours")
	if _, err := r.db.Exec(t.Context(), `UPDATE idempotency SET created_at = created_at - interval '25 hours' WHERE substring(body_mac from 1 for 4) = $1`, keyBytes(old.Hashing[0])); err != nil {
		t.Fatal(err)
	}
	mustRun(t, r.v, "keyset", "reseal", "--full-speed")
	if status := mustRun(t, r.v, "keyset", "status"); !regexp.MustCompile(fmt.Sprintf(`sealing +%d +old +0\n`, old.Sealing[0])).MatchString(status) || strings.Contains(status, "Under other keys") {
		t.Errorf("status:\n%s", status)
	}
	r.rotate("--retire")
	if n := r.count(`SELECT count(*) FROM audit WHERE act = 'keyset_keys_retired' AND data ->> 'sealing_keys' = $1`, fmt.Sprint(old.Sealing[0])); n != 1 {
		t.Errorf("the audit log has %d retirements of the key", n)
	}
	if n := r.count(`SELECT count(*) FROM audit WHERE act = 'keyset_resealed' AND data ->> 'sealing_keys' = $1`, fmt.Sprint(r.keyset().IDs().Sealing[0])); n != 2 {
		t.Errorf("the audit log has %d finished runs of keyset reseal", n)
	}
	made := r.made.Load()
	r.now.until("takes invites after", func() bool { return r.made.Load() >= made+50 })
	stop()
	if n := r.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed, the first with %v", n, r.made.Load(), r.firstFailure.Load())
	}
	t.Logf("%d requests", r.made.Load())
	r.holdsNothingUnder(old)
	r.finds(early, message, password)

	if status, answer := r.create(`"external_user_id": "stopper", "channel": "sms", "recipient": {"phone": "+12025550110"}`, "stopper-2"); status == http.StatusCreated || !strings.Contains(answer, "recipient_opted_out") {
		t.Errorf("a number that said STOP: %d %s", status, answer)
	}
	mustRun(t, r.v, "doctor")
}

// finds looks for an invite of the old key by each of its names, with the new key alone.
func (r *rotation) finds(early object, message, password string) {
	r.t.Helper()
	box, err := seal.NewBox(r.keyset())
	if err != nil {
		r.t.Fatal(err)
	}
	link, _ := early["invite_link"].(map[string]any)
	for by, text := range map[string]string{
		"address": "delayed@connectlink.test", "name": "early bird", "user": "early", "id": early.text("id"),
		"link": object(link).text("url"), "provider's message id": message,
	} {
		found, err := find.Search(r.t.Context(), r.db, box, find.Query{Place: invite.Place{Project: "default"}, Text: text, Limit: 10})
		hit := false
		for _, h := range found.Hits {
			hit = hit || h.ID == inviteOf(r.t, early)
		}
		if err != nil || !hit {
			r.t.Errorf("a search by %s finds %d, not the invite: %v", by, len(found.Hits), err)
		}
	}
	if fetched := fetch(r.t, vars{"CONNECTLINK_API_URL": r.public.URL, "CONNECTLINK_API_KEY": r.key}, early.text("id")); fetched.text("external_user_id") != "early" {
		r.t.Errorf("its user is %q", fetched.text("external_user_id"))
	}
	staff := grant.NewStaff(r.db, box)
	if _, err := staff.CheckPassword(r.t.Context(), secret.New("ops@vendor.example"), secret.New(password), grant.Browser{}); err != nil {
		r.t.Errorf("the right password: %v", err)
	}
}

func keyBytes(id uint32) []byte {
	return []byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}
}

// holdsNothingUnder looks into each column of bytes and text of the database.
func (r *rotation) holdsNothingUnder(old seal.KeyIDs) {
	r.t.Helper()
	rows, _ := r.db.Query(r.t.Context(), `
		SELECT format('%I.%I', n.nspname, c.relname), quote_ident(a.attname), a.atttypid = 'bytea'::regtype FROM pg_attribute a
		JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE a.atttypid IN ('bytea'::regtype, 'text'::regtype) AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
		AND n.nspname NOT IN ('pg_catalog', 'information_schema')`)
	type column struct {
		Table, Name string
		Bytes       bool
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		r.t.Fatal(err)
	}
	// A placeholder begins with the key's id in base32, 30 of its 32 bits.
	mark := "sealed:" + strings.ToLower(base32.StdEncoding.EncodeToString(keyBytes(old.Hashing[0]))[:6]) + "%"
	looked := 0
	for _, c := range columns {
		if c.Table == "public.audit" && c.Name == "place" {
			continue // append-only; see package reseal
		}
		condition, args := fmt.Sprintf("substring(%[1]s from 2 for 4) = $1 OR substring(%[1]s from 1 for 4) = $2", c.Name), []any{keyBytes(old.Sealing[0]), keyBytes(old.Hashing[0])}
		if !c.Bytes {
			condition, args = c.Name+" LIKE $1", []any{mark}
		}
		looked++
		if n := r.count(`SELECT count(*)::int FROM `+c.Table+` WHERE `+condition, args...); n > 0 {
			r.t.Errorf("%s.%s: %d values under the old key", c.Table, c.Name, n)
		}
	}
	if looked < 100 {
		r.t.Errorf("only %d columns were looked into", looked)
	}
}

func inviteOf(t *testing.T, o object) invite.ID {
	t.Helper()
	id, err := invite.Parse[invite.ID](o.text("id"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

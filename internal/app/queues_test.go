package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// queuedEvents is far more than one process can post to an endpoint that does
// not answer, within the time that a test waits.
func queuedEvents() int {
	if longtest.Wanted() {
		return 100_000
	}
	return 3000
}

// deadPosts bounds what the silent endpoint may be sent meanwhile: 8 posts at a time,
// each as long as the time limit of 15 s, of a test that ends before.
const deadPosts = 16

// TestF3AnEndpointThatDoesNotAnswerDelaysNoOtherWork: events of one project
// pile up behind a silent endpoint. Expiry, confirmation, polling and the events of
// another project go on, before the silent one was asked for more than a few.
func TestF3AnEndpointThatDoesNotAnswerDelaysNoOtherWork(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	asked := make(chan struct{}, queuedEvents())
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(silent.Close)
	other := newTold(t, 0)
	p := start(t, boot{project: "beta", file: `
projects:
  - id: default
    brand: {name: Acme, region: US}
    webhook: {url: "` + silent.URL + `", secret: "` + other.secret + `"}
  - id: beta
    brand: {name: Beta, region: US}
    webhook: {url: "` + other.server.URL + `/events", secret: "` + other.secret + `"}
`})
	t.Cleanup(func() { close(release) })

	conn, err := pgx.Connect(t.Context(), p.db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	seed := p.invite(http.StatusCreated, to("bounced@connectlink.test")).text("id")
	other.about(seed, "invite.delivery_failed")
	// The events are about an invite of the other project: whose they are does not matter
	// to the queue.
	tag, err := conn.Exec(t.Context(), `
		WITH dead AS (SELECT id FROM webhook_endpoints WHERE project_id = 'default' AND NOT livemode AND managed_by = 'configuration'),
		e AS (
			INSERT INTO public_events (id, project_id, livemode, type, invite_id, sequence, created_at)
			SELECT gen_random_uuid(), 'default', false, 'invite.expired', i.id, 1000 + n, now() FROM (SELECT id FROM invites ORDER BY id LIMIT 1) i, generate_series(1, $1) n
			RETURNING id)
		INSERT INTO webhook_deliveries (endpoint_id, event_id, next_at) SELECT dead.id, e.id, now() - interval '1 hour' FROM dead, e`, queuedEvents())
	if err != nil || int(tag.RowsAffected()) != queuedEvents() {
		t.Fatalf("queue events: %v, %v", tag, err)
	}
	<-asked // the silent endpoint is being asked

	began := time.Now()
	took := map[string]time.Duration{}
	connected := p.invite(http.StatusCreated, to("delivered+connect@connectlink.test")).text("id")
	other.about(connected, "invite.connected")
	took["confirmed"] = time.Since(began)
	began = time.Now()
	expired := p.invite(http.StatusCreated, with(to("delivered@connectlink.test"), "external_user_id", "user-2")).text("id")
	if status, _, out := p.call(http.MethodPost, "/v1/test_helpers/invites/"+expired+"/advance", object{"to": "expired"}); status != http.StatusOK {
		t.Fatalf("advance: %d %v", status, out)
	}
	other.about(expired, "invite.expired")
	took["expired"] = time.Since(began)
	t.Logf("with %d events queued for a silent endpoint: %v", queuedEvents(), took)
	if n := len(asked) + 1; n > deadPosts {
		t.Errorf("the silent endpoint was asked %d times meanwhile", n)
	}

	resp, err := p.http.Get(p.base + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/readyz: %d: a product's endpoint must not take the service out of traffic", resp.StatusCode)
	}
	for _, q := range []string{"periodic", "confirm"} {
		p.metric(fmt.Sprintf(`connectlink_jobs_oldest_due_seconds{queue=%q}`, q), func(v float64) bool { return v < 5 })
	}
}

// metric polls /metrics until the series has a value that is as wanted.
func (p *product) metric(series string, ok func(float64) bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		resp, err := p.http.Get(p.base + "/metrics")
		if err != nil {
			p.t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if rest, found := strings.CutPrefix(line, series+" "); found {
				if v, err := strconv.ParseFloat(rest, 64); err == nil && ok(v) {
					return
				}
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the metric %s never was as wanted", series)
		}
	}
}

// TestAnUpgradeDeliversTheWebhooksThatWait: the version before posted them by jobs, in a
// queue of each project. They are delivered once, under their own ids, also those whose
// event is in the log.
func TestAnUpgradeDeliversTheWebhooksThatWait(t *testing.T) {
	t.Parallel()
	w := newTold(t, 0)
	db, keyset := postgrestest.New(t), newKeyset(t)
	var one, two string
	t.Run("the version before", func(t *testing.T) { // ends with its process
		before := start(t, boot{db: db, keyset: keyset})
		one = before.invite(http.StatusCreated, to("bounced@connectlink.test")).text("id")
		two = before.invite(http.StatusCreated, with(to("delivered@connectlink.test"), "external_user_id", "user-2")).text("id")
		waittest.Until(t, "the event is logged", func() bool {
			return before.count(`SELECT count(*) FROM public_events WHERE type = 'invite.delivery_failed'`) == 1
		})
	})
	var logged [16]byte
	conn, err := pgx.Connect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), `SELECT id FROM public_events WHERE type = 'invite.delivery_failed'`).Scan(&logged); err != nil {
		t.Fatal(err)
	}
	unlogged := invite.New[invite.EventID]()
	for queue, args := range map[string]object{
		"events_default": {"event_id": invite.EventFromUUID(logged).String(), "invite_id": one, "type": "invite.delivery_failed", "version": 4},
		"events_x0123":   {"event_id": unlogged.String(), "invite_id": two, "type": "invite.expired", "version": 9},
	} {
		for _, state := range []string{"available", "retryable"} { // a copy does no harm
			if _, err := conn.Exec(t.Context(), `
				INSERT INTO river.river_job (kind, queue, args, state, priority, max_attempts, scheduled_at) VALUES ('publish', $1, $2, $3, 1, 16, now())`, queue, args, state); err != nil {
				t.Fatal(err)
			}
		}
	}
	after := start(t, boot{db: db, keyset: keyset, env: w.env()})
	if e := w.about(one, "invite.delivery_failed"); e.text("id") != invite.EventFromUUID(logged).String() {
		t.Errorf("delivered as %s", e.text("id"))
	}
	if e := w.about(two, "invite.expired"); e.text("id") != unlogged.String() {
		t.Errorf("delivered as %s", e.text("id"))
	}
	waittest.Until(t, "all jobs are done", func() bool {
		return after.count(`SELECT count(*) FROM river.river_job WHERE kind = 'publish' AND state <> 'completed'`) == 0
	})
	if n := strings.Count(w.all(), invite.EventFromUUID(logged).String()); n != 1 {
		t.Errorf("the event of the log was delivered %d times", n)
	}
}

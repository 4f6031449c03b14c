package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// queuedEvents is far more than one process can post to an endpoint that does
// not answer, within the time that a test waits.
const queuedEvents = 3000

// TestF3AnEndpointThatDoesNotAnswerDelaysNoOtherWork: events of one project
// pile up behind a silent endpoint. Expiry, confirmation and the events of
// another project go on.
func TestF3AnEndpointThatDoesNotAnswerDelaysNoOtherWork(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	asked := make(chan struct{}, queuedEvents)
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
	// Whose events they are does not matter to the queue; the invite must exist.
	seed := p.invite(http.StatusCreated, to("bounced@connectlink.test")).text("id")
	other.about(seed, "invite.delivery_failed")
	tag, err := conn.Exec(t.Context(), `
		INSERT INTO river.river_job (kind, queue, args, state, priority, max_attempts, scheduled_at)
		SELECT 'publish', 'events_default', args, 'available', 1, 16, now() - interval '1 hour'
		FROM river.river_job j, generate_series(1, $1) WHERE j.id = (SELECT min(id) FROM river.river_job WHERE kind = 'publish')`, queuedEvents)
	if err != nil || tag.RowsAffected() != queuedEvents {
		t.Fatalf("queue events: %v, %v", tag, err)
	}
	if _, err := conn.Exec(t.Context(), `
		UPDATE invites SET project_id = 'default' WHERE id = (SELECT id FROM invites ORDER BY created_at LIMIT 1)`); err != nil {
		t.Fatal(err)
	}
	<-asked // the silent endpoint is being asked

	connected := p.invite(http.StatusCreated, to("delivered+connect@connectlink.test")).text("id")
	other.about(connected, "invite.connected")
	expired := p.invite(http.StatusCreated, with(to("delivered@connectlink.test"), "external_user_id", "user-2")).text("id")
	if status, _, out := p.call(http.MethodPost, "/v1/test_helpers/invites/"+expired+"/advance", object{"to": "expired"}); status != http.StatusOK {
		t.Fatalf("advance: %d %v", status, out)
	}
	other.about(expired, "invite.expired")

	resp, err := p.http.Get(p.base + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/readyz: %d: a product's endpoint must not take the service out of traffic", resp.StatusCode)
	}
	p.metric(`connectlink_jobs_oldest_due_seconds{queue="events_default"}`, func(v float64) bool { return v > 60 })
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

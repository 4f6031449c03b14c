package publish_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/endpoint"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// receiver is a product's endpoint that keeps what it is sent.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	heads  []http.Header
	status int
	after  string        // Retry-After
	hold   chan struct{} // answers wait for it; nil: they do not
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusNoContent}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.bodies, r.heads = append(r.bodies, string(raw)), append(r.heads, req.Header)
		status, after, hold := r.status, r.after, r.hold
		r.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-req.Context().Done():
			}
		}
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			_, _ = io.WriteString(w, strings.Repeat("no ", 1000))
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(status int, after string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.after = status, after
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bodies)
}

func (r *receiver) count(part string) (n int) {
	for _, b := range r.got() {
		if strings.Contains(b, part) {
			n++
		}
	}
	return n
}

// hookKit is a logKit with endpoints, and a Runner that posts to them.
type hookKit struct {
	*logKit
	endpoints *publish.Endpoints
	courier   *publish.Courier
	key       access.Principal
	webhook   atomic.Pointer[config.Webhook] // of the configuration
}

func newHookKit(t *testing.T) *hookKit {
	t.Helper()
	k := &hookKit{logKit: newLogKit(t), key: access.Principal{Place: here}}
	project := func(id string) (config.Project, bool) {
		return config.Project{ID: id, PrivateWebhooks: true, Webhook: k.webhook.Load()}, true
	}
	courier := publish.NewCourier(publish.Params{DB: k.Pool, Box: k.Box, Project: project, Now: time.Now})
	endpoints, err := publish.NewEndpoints(publish.EndpointParams{
		DB: k.Pool, Box: k.Box, Project: project, Courier: courier, Now: time.Now,
		Lookup: func(context.Context, string, string) ([]netip.Addr, error) { return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	runner, err := publish.NewRunner(publish.RunnerParams{
		DB: k.Pool, Box: k.Box, Project: project, Courier: courier, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	k.outbox.WakeBy(runner.Wake)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = runner.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-ended })
	k.endpoints, k.courier = endpoints, courier
	return k
}

// configure makes a webhook that of the configuration, and returns its endpoint.
func (k *hookKit) configure(hook *config.Webhook) (e publish.Endpoint) {
	k.t.Helper()
	k.webhook.Store(hook)
	if err := k.endpoints.Configure(k.t.Context(), []config.Project{{ID: here.Project, Webhook: hook}}); err != nil {
		k.t.Fatal(err)
	}
	for _, e := range k.listed() {
		if e.ManagedBy == "configuration" {
			return e
		}
	}
	return e
}

func (k *hookKit) listed() []publish.Endpoint {
	k.t.Helper()
	list, err := k.endpoints.List(k.t.Context(), k.key)
	if err != nil {
		k.t.Fatal(err)
	}
	return list
}

func (k *hookKit) delivered(e publish.Endpoint) int {
	return k.Count(`SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1 AND delivered_at IS NOT NULL`, e.ID)
}

func (k *hookKit) endpoint(url string, types ...string) publish.Endpoint {
	k.t.Helper()
	e, err := k.endpoints.Create(k.t.Context(), k.key, publish.EndpointChange{URL: &url, Types: &types})
	if err != nil {
		k.t.Fatal(err)
	}
	return e
}

func (k *hookKit) attempts(e publish.Endpoint) []publish.Attempt {
	k.t.Helper()
	all, _, err := k.endpoints.Attempts(k.t.Context(), k.key, e.ID, invite.EventID{}, invite.WebhookAttemptID{}, 100)
	if err != nil {
		k.t.Fatal(err)
	}
	return all
}

// due makes what waits for an endpoint due now.
func (k *hookKit) due(e publish.Endpoint) {
	k.t.Helper()
	k.Exec(`UPDATE webhook_deliveries SET next_at = now() WHERE endpoint_id = $1 AND next_at IS NOT NULL`, e.ID)
}

// TestAReceiverThatWasDownGetsEachEventAsItWas: it fails while the invite fails,
// connects and another expires, and gets each event with its own snapshot afterwards.
func TestAReceiverThatWasDownGetsEachEventAsItWas(t *testing.T) {
	t.Parallel()
	k := newHookKit(t)
	down, up := newReceiver(t), newReceiver(t)
	down.answer(http.StatusInternalServerError, "")
	e, some := k.endpoint(down.URL), k.endpoint(up.URL, "invite.expired")
	one, two := k.Invite(tracktest.Options{}), k.Invite(tracktest.Options{User: "user-2"})
	k.happens(one.ID, invite.Event{Type: invite.EventConnectFailed})
	waittest.Until(t, "the first attempt failed", func() bool { return len(k.attempts(e)) == 1 })
	k.happens(one.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	k.happens(two.ID, invite.Event{Type: invite.EventExpired})
	waittest.Until(t, "each was tried", func() bool { return len(k.attempts(e)) == 3 })
	waittest.Until(t, "the other endpoint has its event", func() bool { return len(up.got()) == 1 })
	first := k.attempts(e)[0]
	if first.Status != 500 || len(first.Answer) > 1024 || !strings.HasPrefix(first.Answer, "no no") || first.Number != 1 {
		t.Errorf("an attempt is recorded as %+v", first)
	}
	if shown, _ := k.endpoints.Get(t.Context(), k.key, e.ID); shown.FailingSince == nil || shown.DisabledAt != nil {
		t.Errorf("a failing endpoint is shown as %+v", shown)
	}
	if wait := k.Count(`SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1 AND next_at BETWEEN now() + interval '2 s' AND now() + interval '6 s'`, e.ID); wait != 3 {
		t.Errorf("%d of 3 events are tried again after 5 s", wait)
	}

	// The attempts of the first six hours: at once, and after 5 s, 5 min, 30 min, 2 h and
	// less than 5 h.
	for round := 1; round <= 4; round++ {
		k.due(e)
		waittest.Until(t, "each was tried again", func() bool { return len(k.attempts(e)) == 3*(round+1) })
	}
	down.answer(http.StatusNoContent, "")
	failed := len(down.got())
	k.due(e)
	waittest.Until(t, "all arrived", func() bool { return len(down.got()) == failed+3 })
	waittest.Until(t, "all is recorded", func() bool {
		return k.Count(`SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1 AND delivered_at IS NOT NULL`, e.ID) == 3
	})
	after := down.got()[failed:]
	for _, raw := range k.list(find.Feed{}).Events {
		if !slices.Contains(after, string(raw)) {
			t.Errorf("did not arrive as it was: %s", raw)
		}
	}
	// Whatever the order, and with a copy: the highest sequence of an invite is its state.
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		order := append(slices.Clone(after), after[random.IntN(len(after))])
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		kept := map[invite.ID]logged{}
		for _, raw := range order {
			if e := read(t, json.RawMessage(raw)); e.Sequence > kept[e.InviteID].Sequence {
				kept[e.InviteID] = e
			}
		}
		if kept[one.ID].Data.Invite.Status != "connected" || kept[two.ID].Data.Invite.Status != "expired" {
			t.Fatalf("a consumer ends with %+v", kept)
		}
	}
	for i, h := range down.heads {
		if !strings.Contains(down.bodies[i], `"id":"`+h.Get("webhook-id")+`"`) {
			t.Errorf("webhook-id %s of %s", h.Get("webhook-id"), down.bodies[i])
		}
	}
	if shown, _ := k.endpoints.Get(t.Context(), k.key, e.ID); shown.FailingSince != nil {
		t.Errorf("failing after a success: %+v", shown)
	}
	if all := up.count("invite.expired"); all != 1 || len(up.got()) != 1 || some.Secret.IsZero() {
		t.Errorf("the endpoint of one type got %d events", len(up.got()))
	}
}

// TestADeadEndpointDelaysNoOther: however many events wait for it.
func TestADeadEndpointDelaysNoOther(t *testing.T) {
	t.Parallel()
	k := newHookKit(t)
	dead, live := newReceiver(t), newReceiver(t)
	dead.hold = make(chan struct{})
	t.Cleanup(func() { close(dead.hold) })
	k.endpoint(dead.URL)
	for i := range 30 {
		m := k.Invite(tracktest.Options{User: fmt.Sprint("user ", i)})
		k.happens(m.ID, invite.Event{Type: invite.EventExpired})
	}
	waittest.Until(t, "the dead endpoint is asked", func() bool { return len(dead.got()) == 8 })
	k.endpoint(live.URL)
	m := k.Invite(tracktest.Options{User: "other"})
	k.happens(m.ID, invite.Event{Type: invite.EventConnectFailed})
	waittest.Until(t, "the live endpoint has its event", func() bool { return live.count("invite.connect_failed") == 1 })
	if n := len(dead.got()); n != 8 {
		t.Errorf("%d posts to the dead endpoint at a time", n)
	}
}

func TestBothSecretsSignDuringARotation(t *testing.T) {
	t.Parallel()
	k := newHookKit(t)
	r := newReceiver(t)
	e := k.endpoint(r.URL)
	happens := func() (string, http.Header) {
		before := len(r.got())
		m := k.Invite(tracktest.Options{User: fmt.Sprint("user ", before)})
		k.happens(m.ID, invite.Event{Type: invite.EventExpired})
		waittest.Until(t, "it arrived", func() bool { return len(r.got()) > before })
		return r.bodies[before], r.heads[before]
	}
	verifies := func(s secret.Text, body string, h http.Header) bool {
		hook, err := standardwebhooks.NewWebhook(s.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		return hook.Verify([]byte(body), h) == nil
	}
	rotated, err := k.endpoints.RotateSecret(t.Context(), k.key, e.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	body, head := happens()
	if !verifies(e.Secret, body, head) || !verifies(rotated.Secret, body, head) {
		t.Errorf("during the rotation: old %t, new %t", verifies(e.Secret, body, head), verifies(rotated.Secret, body, head))
	}
	last, err := k.endpoints.RotateSecret(t.Context(), k.key, e.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	body, head = happens()
	if verifies(rotated.Secret, body, head) || !verifies(last.Secret, body, head) {
		t.Error("after a rotation at once the old secret still signs, or the new one does not")
	}
}

// TestAnEndpointThatIsGoneOrFailsForDaysIsDisabled, with an event for the others.
func TestAnEndpointThatIsGoneOrFailsForDaysIsDisabled(t *testing.T) {
	t.Parallel()
	k := newHookKit(t)
	gone, failing, live := newReceiver(t), newReceiver(t), newReceiver(t)
	gone.answer(http.StatusGone, "")
	failing.answer(http.StatusServiceUnavailable, "3600")
	g, f := k.endpoint(gone.URL, "invite.expired"), k.endpoint(failing.URL, "invite.expired")
	k.endpoint(live.URL, "webhook_endpoint.disabled")
	m := k.Invite(tracktest.Options{})
	k.happens(m.ID, invite.Event{Type: invite.EventExpired})
	disabled := func(e publish.Endpoint) string {
		shown, err := k.endpoints.Get(t.Context(), k.key, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		return shown.DisabledWhy
	}
	waittest.Until(t, "410 disables", func() bool { return disabled(g) == "gone" })
	waittest.Until(t, "the other was tried", func() bool { return len(k.attempts(f)) == 1 })
	if n := k.Count(`SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1 AND next_at BETWEEN now() + interval '50 min' AND now() + interval '70 min'`, f.ID); n != 1 || disabled(f) != "" {
		t.Errorf("Retry-After is not heeded, or one failure disables: %q", disabled(f))
	}
	// What doctor names: endpoints that fail and are not disabled yet.
	failingFor := func(d time.Duration) (ids []invite.EndpointID) {
		list, err := endpoint.ListFailing(t.Context(), k.Pool, time.Now().Add(-d), 20)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			ids = append(ids, one.ID)
		}
		return ids
	}
	if ids := failingFor(time.Hour); len(ids) != 0 {
		t.Errorf("%v have been failing for an hour", ids)
	}
	k.Exec(`UPDATE webhook_endpoints SET failing_since = now() - interval '121 hours' WHERE id = $1`, f.ID)
	if ids := failingFor(time.Hour); !slices.Equal(ids, []invite.EndpointID{f.ID}) {
		t.Errorf("%v have been failing for an hour, want %s", ids, f.ID)
	}
	k.due(f)
	waittest.Until(t, "five days disable", func() bool { return disabled(f) == "failing" })
	if ids := failingFor(time.Hour); len(ids) != 0 {
		t.Errorf("%v are listed as failing although they are disabled", ids)
	}
	waittest.Until(t, "the live endpoint is told of both", func() bool { return live.count(`"type":"webhook_endpoint.disabled"`) == 2 })
	if live.count(g.ID.String()) != 1 || live.count(f.ID.String()) != 1 {
		t.Errorf("told of %q", live.got())
	}
	want(t, "listed", types(t, k.list(find.Feed{Types: []invite.PublicType{invite.EndpointDisabled}})), "webhook_endpoint.disabled", "webhook_endpoint.disabled")

	// Enabled again, it gets what waited; and by a recovery what it missed meanwhile.
	missed := k.Invite(tracktest.Options{User: "missed"})
	k.happens(missed.ID, invite.Event{Type: invite.EventExpired})
	failing.answer(http.StatusNoContent, "")
	before, enabled := len(failing.got()), false
	if _, err := k.endpoints.Update(t.Context(), k.key, f.ID, publish.EndpointChange{Disabled: &enabled}); err != nil {
		t.Fatal(err)
	}
	k.due(f)
	waittest.Until(t, "what waited arrived", func() bool { return len(failing.got()) == before+1 })
	waittest.Until(t, "it is recorded", func() bool {
		return k.Count(`SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1 AND delivered_at IS NOT NULL`, f.ID) == 1
	})
	k.list(find.Feed{})
	n, err := k.endpoints.Recover(t.Context(), k.key, f.ID, time.Now().Add(-time.Hour))
	if err != nil || n != 1 {
		t.Errorf("recovered %d, %v; one was missed", n, err)
	}
	waittest.Until(t, "what it missed arrived", func() bool { return failing.count(missed.ID.String()) > 0 })
	// One event again, with the same bytes.
	event := read(t, k.list(find.Feed{InviteID: m.ID}).Events[0]).ID
	had := failing.count(event.String())
	if ids, err := k.endpoints.Redeliver(t.Context(), k.key, event, f.ID); err != nil || len(ids) != 1 {
		t.Fatalf("redeliver: %v, %v", ids, err)
	}
	waittest.Until(t, "it came again", func() bool { return failing.count(event.String()) == had+1 })
}

func TestThePausesOfARetry(t *testing.T) {
	t.Parallel()
	k := newHookKit(t)
	r := newReceiver(t)
	r.answer(http.StatusBadGateway, "")
	e := k.endpoint(r.URL)
	m := k.Invite(tracktest.Options{})
	k.happens(m.ID, invite.Event{Type: invite.EventExpired})
	for i, pause := range []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour} {
		waittest.Until(t, "an attempt", func() bool { return len(k.attempts(e)) == i+1 })
		var left float64
		if err := k.Pool.QueryRow(t.Context(), `SELECT extract(epoch FROM next_at - now())::float8 FROM webhook_deliveries WHERE endpoint_id = $1`, e.ID).Scan(&left); err != nil {
			t.Fatal(err)
		}
		if got := time.Duration(left * float64(time.Second)); got < pause-3*time.Second || got > pause+pause/10 {
			t.Errorf("after attempt %d: %v, want %v and up to a tenth more", i+1, got, pause)
		}
		k.due(e)
	}
	waittest.Until(t, "the last attempt", func() bool { return len(k.attempts(e)) == 8 })
	if n := k.Count(`SELECT count(*) FROM webhook_deliveries WHERE next_at IS NULL AND delivered_at IS NULL`); n != 1 {
		t.Error("it goes on after the eighth attempt")
	}
}

package console_test

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/waittest"
)

// hooked is a console beside a product that receives events, and what posts to it.
type hooked struct {
	*ward
	endpoints *publish.Endpoints
	outbox    *publish.Outbox
	product   *httptest.Server
	status    atomic.Int32
	posted    atomic.Int32
	config.Project
}

const webhooksPath = "/console/default/test/webhooks"

func newHooked(t *testing.T) *hooked {
	t.Helper()
	h := &hooked{Project: config.Project{ID: "default", PrivateWebhooks: true}}
	h.status.Store(http.StatusNoContent)
	h.product = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.posted.Add(1)
		w.WriteHeader(int(h.status.Load()))
		if h.status.Load() != http.StatusNoContent {
			_, _ = io.WriteString(w, "no such user pat@customer.example")
		}
	}))
	t.Cleanup(h.product.Close)
	h.ward = newWard(t, func(p *console.Params) { h.endpoints = p.Endpoints })
	h.outbox = publish.NewOutbox(h.box)
	project := func(string) (config.Project, bool) { return h.Project, true }
	runner, err := publish.NewRunner(publish.RunnerParams{
		DB: h.db, Box: h.box, Project: project, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Courier: publish.NewCourier(publish.Params{DB: h.db, Box: h.box, Project: project, Now: time.Now}),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.outbox.WakeBy(runner.Wake)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = runner.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-ended })
	return h
}

// fails makes an event of an invite to a person.
func (h *hooked) fails(address string) invite.ID {
	h.t.Helper()
	id, _ := h.invited(address)
	err := postgres.InTx(h.t.Context(), h.db, func(tx pgx.Tx) error {
		a, err := ledger.Append(h.t.Context(), tx, h.box, id, invite.Event{Type: invite.EventConnectFailed})
		if err != nil {
			return err
		}
		return h.outbox.Enqueue(h.t.Context(), tx, a)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// furnishWebhooks makes an endpoint that fails, one that is disabled and an event, and
// returns the addresses of the first one's page and of the event's.
func (h *hooked) furnishWebhooks() (webhook, event string) {
	h.t.Helper()
	h.status.Store(http.StatusInternalServerError)
	key := access.Principal{Place: invite.Place{Project: "default"}}
	for _, path := range []string{"/hooks/connect?source=connectlink", "/elsewhere"} {
		address, description := h.product.URL+path, "Backend in production"
		e, err := h.endpoints.Create(h.t.Context(), key, publish.EndpointChange{URL: &address, Description: &description})
		if err != nil {
			h.t.Fatal(err)
		}
		if path == "/elsewhere" {
			h.exec(`UPDATE webhook_endpoints SET disabled_at = now(), disabled_why = 'gone' WHERE id = $1`, e.ID)
			break
		}
		webhook = webhooksPath + "/" + e.ID.String()
	}
	for _, address := range []string{"pat@customer.example", "kim@customer.example"} {
		raw := h.body(h.fails(address))
		_, raw, _ = strings.Cut(raw, `"id":"`)
		id, _, _ := strings.Cut(raw, `"`)
		event = "/console/default/test/events/" + id
	}
	waittest.Until(h.t, "both were tried", func() bool { return h.count(`SELECT count(*) FROM webhook_attempts`) == 2 })
	return webhook, event
}

var secretOnPage = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`)

func TestStaffManageWebhookEndpoints(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	admin := h.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	says := func(a answer, parts ...string) {
		t.Helper()
		page := html.UnescapeString(a.body)
		for _, part := range parts {
			if !strings.Contains(page, part) {
				t.Errorf("%s: %d lacks %q:\n%s", a.Request.URL.Path, a.StatusCode, part, page)
			}
		}
	}
	wrong := admin.post(webhooksPath, url.Values{"url": {"ftp://x"}, "description": {strings.Repeat("x", 201)}, "type": {"invite.lost"}})
	if wrong.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a faulty form: %d", wrong.StatusCode)
	}
	says(wrong, "URL: must be a whole https address", "Description: at most 200", "Events: is no type", "ftp://x")
	made := admin.post(webhooksPath, url.Values{"url": {h.product.URL}, "description": {"Backend"}, "type": {"invite.connect_failed"}})
	if first := secretOnPage.FindString(html.UnescapeString(made.body)); made.StatusCode != http.StatusCreated || first == "" || strings.Contains(admin.get(webhooksPath).body, "whsec_") {
		t.Fatalf("create: %d, the secret is shown %q, or again", made.StatusCode, first)
	}
	list, err := h.endpoints.List(t.Context(), access.Principal{Place: invite.Place{Project: "default"}})
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	home := webhooksPath + "/" + list[0].ID.String()
	says(admin.get(webhooksPath), h.product.URL, "Backend", "invite.connect_failed", home)

	h.status.Store(http.StatusTeapot)
	says(admin.follow(admin.post(home+"/test", url.Values{"type": {"invite.connected"}})), "The endpoint answered 418")
	id := h.fails("pat@customer.example")
	waittest.Until(t, "an attempt is stored", func() bool { return h.count(`SELECT count(*) FROM webhook_attempts`) == 1 })
	page := admin.get(home)
	says(page, "418", "no such user", "Failing")
	if strings.Contains(page.body, "pat@customer") {
		t.Error("the answer of a third party is shown with an address")
	}
	says(admin.get("/console/default/test/home"), "Webhook endpoints that miss events", home)
	says(admin.get("/console/default/test/system"), "Webhook endpoints that miss events", home)
	if agent := h.signedIn("agent", map[string]access.Role{"default": access.RoleAgent}).get("/console/default/test/home"); strings.Contains(agent.body, home) {
		t.Error("home leads an agent to a page that is not for them")
	}

	h.status.Store(http.StatusNoContent)
	h.exec(`UPDATE webhook_deliveries SET next_at = now() + interval '1 day'`)
	var event [16]byte
	if err := h.db.QueryRow(t.Context(), `SELECT id FROM public_events WHERE invite_id = $1 AND type = 'invite.connect_failed'`, id).Scan(&event); err != nil {
		t.Fatal(err)
	}
	// Masked for those who manage endpoints, as on the page of the invite.
	eventPath := "/console/default/test/events/" + invite.EventFromUUID(event).String()
	var log answer
	// The log lists an event once no transaction of the server is older; other tests have some.
	waittest.Until(t, "the event is in the log", func() bool {
		log = admin.get("/console/default/test/events?type=invite.connect_failed&invite=" + id.String())
		return strings.Contains(log.body, eventPath)
	})
	says(log, "invite.connect_failed", eventPath)
	if again := admin.get("/console/default/test/events?type=invite.expired"); strings.Contains(again.body, eventPath) {
		t.Error("the filter of types does not narrow")
	}
	if bad := admin.get("/console/default/test/events?invite=7"); bad.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a faulty id: %d", bad.StatusCode)
	}
	shown := admin.get(eventPath)
	says(shown, `"type": "invite.connect_failed"`, "@customer.example", `"sequence"`)
	if strings.Contains(shown.body, "pat@customer.example") {
		t.Error("an event is shown with its address")
	}
	before := h.posted.Load()
	h.exec(`UPDATE webhook_deliveries SET next_at = NULL`)
	says(admin.follow(admin.post(eventPath+"/redeliver", nil)), "The event is queued for 1 endpoint.")
	waittest.Until(t, "it is posted again", func() bool { return h.posted.Load() == before+1 })
	says(admin.follow(admin.post(home+"/recover", url.Values{"hours": {"24"}})), "events are queued")

	rotated := admin.post(home+"/rotate", nil)
	if secretOnPage.FindString(html.UnescapeString(rotated.body)) == "" || strings.Contains(admin.get(home).body, "whsec_") {
		t.Error("the new secret is not shown, or again")
	}
	says(admin.follow(admin.post(home, url.Values{"do": {"disable"}})), "The endpoint is disabled", "Enable")
	says(admin.follow(admin.post(home, url.Values{"do": {"enable"}})), "The endpoint is enabled", "Disable")
	says(admin.follow(admin.post(home, url.Values{"type": {"invite.connected", "invite.expired"}})), "invite.connected, invite.expired")
	says(admin.follow(admin.post(home+"/delete", nil)), "The endpoint is deleted.", "No endpoints yet")

	rows, err := h.db.Query(t.Context(), `SELECT data->>'did' FROM audit WHERE act = 'webhooks' ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	did, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if want := "created, sent a test, sent an event again, recovered events, rotated the secret, disabled, enabled, changed, deleted"; err != nil || strings.Join(did, ", ") != want {
		t.Errorf("audited %v, %v, want %s", did, err, want)
	}
}

// TestStaffCannotChangeTheWebhookOfTheConfiguration: they see it, test it and recover.
func TestStaffCannotChangeTheWebhookOfTheConfiguration(t *testing.T) {
	t.Parallel()
	hook := &config.Webhook{URL: "https://acme.example/hooks", Secret: access.NewWebhookSecret()}
	h := &hooked{}
	h.ward = newWard(t, func(p *console.Params) {
		p.Projects[0].Webhook = hook
		h.endpoints = p.Endpoints
		if err := p.Endpoints.Configure(t.Context(), p.Projects); err != nil {
			t.Fatal(err)
		}
	})
	admin := h.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	list, err := h.endpoints.List(t.Context(), access.Principal{Place: invite.Place{Project: "default"}})
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	home := webhooksPath + "/" + list[0].ID.String()
	if page := admin.get(home).body; !strings.Contains(page, "configuration") || strings.Contains(page, home+"/rotate") || strings.Contains(page, home+"/delete") || !strings.Contains(page, home+"/test") {
		t.Errorf("the page offers what is refused:\n%s", page)
	}
	for path, form := range map[string]url.Values{home: {"do": {"disable"}}, home + "/rotate": nil, home + "/delete": nil} {
		if a := admin.follow(admin.post(path, form)); !strings.Contains(html.UnescapeString(a.body), "Nothing was done: this endpoint is set in the service's configuration") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	if n := h.count(`SELECT count(*) FROM audit WHERE act = 'webhooks'`); n != 0 {
		t.Errorf("%d refused acts are in the audit log", n)
	}
}

// TestAnEventIsMaskedForStaff: nothing of a person that the page of the invite masks.
func TestAnEventIsMaskedForStaff(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	id := h.fails("pat@customer.example")
	raw := h.body(id)
	if !strings.Contains(raw, "pat@customer.example") {
		t.Fatalf("the event has no address, so that nothing is tested: %s", raw)
	}
	admin := h.signedIn("admin", map[string]access.Role{"default": access.RoleAdmin})
	var event [16]byte
	if err := h.db.QueryRow(t.Context(), `SELECT id FROM public_events WHERE invite_id = $1`, id).Scan(&event); err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(html.UnescapeString(admin.get("/console/default/test/events/"+invite.EventFromUUID(event).String()).body), "<pre")
	_, page, _ = strings.Cut(page, ">")
	page, _, _ = strings.Cut(page, "</pre>")
	var shown, whole map[string]any
	if err := json.Unmarshal([]byte(page), &shown); err != nil {
		t.Fatalf("%v: %s", err, page)
	}
	if err := json.Unmarshal([]byte(raw), &whole); err != nil {
		t.Fatal(err)
	}
	for name := range whole["data"].(map[string]any)["invite"].(map[string]any) {
		if _, ok := shown["data"].(map[string]any)["invite"].(map[string]any)[name]; !ok {
			t.Errorf("the page lacks %s", name)
		}
	}
	if strings.Contains(page, "pat@customer.example") || strings.Contains(page, "Pat ") {
		t.Errorf("the page shows %s", page)
	}
}

// body is the event of an invite as its product receives it.
func (h *hooked) body(id invite.ID) string {
	h.t.Helper()
	var event [16]byte
	if err := h.db.QueryRow(h.t.Context(), `SELECT id FROM public_events WHERE invite_id = $1`, id).Scan(&event); err != nil {
		h.t.Fatal(err)
	}
	raw, err := publish.NewLog(h.db, h.box).Get(h.t.Context(), invite.Place{Project: "default"}, invite.EventFromUUID(event))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(raw)
}

package app_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/connectlink/connectlink/internal/access"
)

// told is a product's endpoint for events: it keeps what it is sent, and
// checks every signature as a receiver would.
type told struct {
	t      *testing.T
	server *httptest.Server
	secret string
	mu     sync.Mutex
	bodies []string
	fail   int // answer 500 this many times first
}

func newTold(t *testing.T, fail int) *told {
	t.Helper()
	w := &told{t: t, secret: access.NewWebhookSecret().Reveal(), fail: fail}
	hook, err := standardwebhooks.NewWebhook(w.secret)
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if err := hook.Verify(raw, r.Header); err != nil {
			t.Errorf("an event came that is not ours: %v", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.fail > 0 {
			w.fail--
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.bodies = append(w.bodies, string(raw))
	}))
	t.Cleanup(w.server.Close)
	return w
}

func (w *told) env() map[string]string {
	return map[string]string{"CONNECTLINK_WEBHOOK_URL": w.server.URL + "/events", "CONNECTLINK_WEBHOOK_SECRET": w.secret}
}

// about waits for an event of a type about an invite.
func (w *told) about(id, typ string) object {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		w.mu.Lock()
		bodies := append([]string(nil), w.bodies...)
		w.mu.Unlock()
		for _, b := range bodies {
			var o object
			if err := json.Unmarshal([]byte(b), &o); err != nil {
				w.t.Fatal(err)
			}
			if o.text("type") == typ && o.text("data.invite.id") == id {
				return o
			}
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the product never heard of %s; it heard %d events", typ, len(bodies))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *told) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.bodies, "\n")
}

func TestTheProductIsToldOfEveryEnd(t *testing.T) {
	t.Parallel()
	w := newTold(t, 1)
	p := start(t, boot{env: w.env()})
	connected := p.invite(http.StatusCreated, to("delivered+connect@connectlink.test")).text("id")
	// Another person: where one person's invites for one app are open at once,
	// the account that came of the first may be taken for what came of this one.
	another := to("delivered+deny@connectlink.test")
	another["external_user_id"] = "user-2"
	denied := p.invite(http.StatusCreated, another).text("id")
	bounced := p.invite(http.StatusCreated, to("bounced@connectlink.test")).text("id")
	expired := p.invite(http.StatusCreated, to("delivered@connectlink.test")).text("id")
	if status, _, out := p.call(http.MethodPost, "/v1/test_helpers/invites/"+expired+"/advance", object{"to": "expired"}); status != http.StatusOK {
		t.Fatalf("advance: %d %v", status, out)
	}
	e := w.about(connected, "invite.connected")
	if e.text("data.invite.connection.account_id") == "" || e.at("livemode") != false || !strings.HasPrefix(e.text("id"), "evt_") {
		t.Errorf("%v", e)
	}
	if e.at("data.invite.connect_link_url") != nil || e.at("data.invite.invite_link") != nil {
		t.Error("an event carries a link")
	}
	w.about(denied, "invite.connect_failed")
	if e := w.about(bounced, "invite.delivery_failed"); e.text("data.invite.delivery.reason.code") != "address_not_found" {
		t.Errorf("%v", e.at("data.invite.delivery"))
	}
	w.about(expired, "invite.expired")
}

// TestCanary: after a whole run, marked secrets stand in no log line, metric,
// problem, event or row of the database.
func TestCanary(t *testing.T) {
	t.Parallel()
	w := newTold(t, 0)
	tracer, spans := newTracer(t)
	p := start(t, boot{env: w.env(), tracer: tracer})
	var shown strings.Builder // every answer that may hold no secret
	canaries := map[string]string{"API key": p.key, "address": "delivered+canary.person@connectlink.test", "name": "Canarina Quetzalli", "number": "+12025550100"}

	connect := p.invite(http.StatusCreated, object{
		"external_user_id": "user-1", "app": "slack", "channel": "email", "note": "canary-note-51",
		"recipient": object{"email": "delivered+canary.person@connectlink.test", "name": "Canarina Quetzalli", "phone": "+12025550100"},
		"metadata":  object{"order": "canary-meta-77"},
	})
	canaries["note"], canaries["metadata"] = "canary-note-51", "canary-meta-77"
	keep := func(name string, inv object) {
		u, err := url.Parse(inv.text("connect_link_url"))
		if err != nil || u.Query().Get("token") == "" {
			t.Fatalf("no token in %v", inv)
		}
		canaries[name+"'s token"] = u.Query().Get("token")
		link := inv.text("invite_link.url")
		canaries[name+"'s code"] = link[strings.LastIndex(link, "/")+1:]
	}
	keep("first", connect)
	id := connect.text("id")
	p.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })

	// A person opens, presses, fails; staff resend; the person connects.
	_, _, resent := p.call(http.MethodPost, "/v1/invites/"+id+"/resend", object{"channel": "sms", "note": "canary-note-51"})
	keep("second", resent)
	p.until(id, "text delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	scripted := p.invite(http.StatusCreated, to("bounced@connectlink.test"))
	keep("bounced", scripted)
	p.until(scripted.text("id"), "failed", func(inv object) bool { return inv.text("status") == "failed" })
	for _, email := range []string{"delivered+connect@connectlink.test", "delivered+deny@connectlink.test"} {
		inv := p.invite(http.StatusCreated, to(email))
		keep(email, inv)
		canaries[email] = email
		p.until(inv.text("id"), "at its end", func(inv object) bool {
			return inv.text("status") == "connected" || inv.text("progress") == "connect_failed"
		})
	}
	w.about(scripted.text("id"), "invite.delivery_failed")

	// Wrong calls with the secrets in them.
	for _, bad := range []struct{ method, path string }{
		{http.MethodGet, "/c/" + canaries["first's code"] + "x"},
		{http.MethodPost, "/hooks/pipedream/" + canaries["first's code"]},
		{http.MethodGet, "/v1/invites/" + canaries["first's token"]},
		{http.MethodGet, "/v1/nothing?token=" + canaries["first's token"]},
		{http.MethodGet, "/v1/invites?recipient=" + url.QueryEscape(canaries["address"]) + "&cursor=" + canaries["first's token"]},
	} {
		req, err := http.NewRequestWithContext(t.Context(), bad.method, p.base+bad.path, strings.NewReader(canaries["first's token"]))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+p.key)
		req.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		req.Header.Set("Tracestate", "vendor="+canaries["first's token"])
		resp, err := p.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			shown.Write(raw)
		}
	}
	status, _, problem := p.call(http.MethodPost, "/v1/invites", object{
		"app": canaries["first's token"], "channel": "sms", "recipient": object{"phone": canaries["first's code"], "email": "canary.person@"},
		canaries["first's code"] + "_": 1,
	})
	if status != http.StatusUnprocessableEntity {
		t.Errorf("%d %v", status, problem)
	}
	_, _, timeline := p.call(http.MethodGet, "/v1/invites/"+id+"/events", nil)
	fmt.Fprint(&shown, timeline)
	resp, err := p.http.Get(p.base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if !strings.Contains(string(metrics), "go_goroutines") {
		t.Error("there are no metrics to look through")
	}

	if len(spans.GetSpans()) < 50 {
		t.Errorf("%d spans to look through", len(spans.GetSpans()))
	}
	places := map[string]string{"traces": printSpans(spans.GetSpans()), "log": p.logs.String(), "metrics": string(metrics), "answers": shown.String(), "database": dump(t, p.db)}
	for place, text := range places {
		for name, canary := range canaries {
			if place == "answers" && (name == "metadata" || name == "note") {
				continue
			}
			for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary))[:len(canary)]} {
				if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
					t.Errorf("the %s stands in the %s", name, place)
				}
			}
		}
	}
	// The product may know its own people; it never gets a link.
	for name, canary := range canaries {
		if (strings.Contains(name, "token") || strings.Contains(name, "code") || name == "API key") && strings.Contains(w.all(), canary) {
			t.Errorf("the %s was sent to the product", name)
		}
	}
}

// dump prints every row of every table, as a backup would hold it.
func dump(t *testing.T, db string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, _ := conn.Query(t.Context(), `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, table := range tables {
		rows, _ := conn.Query(t.Context(), `SELECT coalesce(string_agg(x::text, E'\n'), '') FROM `+table+` x`)
		text, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		all.WriteString(text)
	}
	if !strings.Contains(all.String(), "slack") {
		t.Fatal("the dump holds nothing")
	}
	return all.String()
}

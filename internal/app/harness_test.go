package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/logo"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/trace"
	"github.com/connectlink/connectlink/internal/waittest"
)

// pace makes scripted recipients act a hundred times faster than in dev.
const pace = 10 * time.Millisecond

// patience bounds every wait for what happens by itself; it is far above what
// a busy machine needs, and no test takes it when all is well.
const patience = waittest.Limit

// product is one booted process, as a product's backend sees it.
type product struct {
	t    *testing.T
	app  *app.App
	db   string
	base string
	key  string
	seal string // its keyset
	logs *logs
	http *http.Client
}

// logs collects what a process writes.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

type boot struct {
	db, keyset string            // of another process, to share; empty for its own
	env        map[string]string // configuration beside the necessary
	file       string            // a configuration file's text
	project    string            // whose key the product holds; default "default"
	noPublic   bool
	pace       time.Duration // default pace
	now        func() time.Time
	tracer     *trace.Tracer
}

// start boots a whole process on a database of its own and a real listener,
// and stops it at the test's end.
func start(t *testing.T, b boot) *product {
	t.Helper()
	if b.db == "" {
		b.db = postgrestest.New(t)
	}
	if b.keyset == "" {
		b.keyset = newKeyset(t)
	}
	if b.pace == 0 {
		b.pace = pace
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &product{t: t, db: b.db, seal: b.keyset, base: "http://" + listener.Addr().String(), logs: &logs{}, http: &http.Client{Timeout: patience}}
	set := map[string]string{
		"CONNECTLINK_DATABASE_URL": b.db, "CONNECTLINK_KEYSET": b.keyset, "CONNECTLINK_BRAND_NAME": "Acme", "CONNECTLINK_BRAND_REGION": "US",
		"CONNECTLINK_SANDBOX": "true", "CONNECTLINK_DRAIN_FOR": "0s",
	}
	if !b.noPublic {
		set["CONNECTLINK_PUBLIC_URL"] = p.base
	}
	for k, v := range b.env {
		set[k] = v
	}
	from := config.Sources{}
	if b.file != "" {
		from.File = "connectlink.yaml"
		from.ReadFile = func(string) ([]byte, error) { return []byte(b.file), nil }
	}
	if b.project == "" {
		b.project = config.DefaultProject
	}
	from.Env = func(name string) (string, bool) { v, ok := set[name]; return v, ok }
	cfg, err := config.Load(from)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(p.logs, &slog.HandlerOptions{Level: slog.LevelInfo}))
	if p.app, err = app.New(t.Context(), cfg, app.WithSharedTexts(app.Options{Log: log, Listener: listener, Laptop: true, Pace: b.pace, Now: b.now, Tracer: b.tracer})); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.app.Run(ctx) }()
	t.Cleanup(func() {
		p.http.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the process ended with: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", last(p.logs.String(), 2500))
		}
	})
	key, _, err := p.app.Grants.Create(t.Context(), grant.NewKey{
		Place: invite.Place{Project: b.project}, Name: t.Name(), Environment: "development", Scopes: access.DefaultScopes(),
	})
	if err != nil {
		t.Fatal(err)
	}
	p.key = key.Reveal()
	return p
}

func newKeyset(t *testing.T) string {
	t.Helper()
	k, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return k.Encode().Reveal()
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// object is a JSON object as a caller without our types sees it.
type object map[string]any

// at follows a path like "delivery.reason.code"; nil when there is nothing.
func (o object) at(path string) any {
	var v any = map[string]any(o)
	for _, name := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

func (o object) text(path string) string {
	s, _ := o.at(path).(string)
	return s
}

// call asks the API and returns status, headers and body.
func (p *product) call(method, path string, body any, headers ...string) (int, http.Header, object) {
	p.t.Helper()
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, payload)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out object
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		p.t.Fatalf("%s %s: %d, and no JSON: %v", method, path, resp.StatusCode, err)
	}
	return resp.StatusCode, resp.Header, out
}

// invite creates one and demands the status.
func (p *product) invite(want int, body object, headers ...string) object {
	p.t.Helper()
	status, _, out := p.call(http.MethodPost, "/v1/invites", body, headers...)
	if status != want {
		p.t.Fatalf("create: %d %v", status, out)
	}
	return out
}

// until polls an invite until it is as wanted, and returns it.
func (p *product) until(id, what string, ok func(object) bool) object {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		_, _, inv := p.call(http.MethodGet, "/v1/invites/"+id+"?expand=events,deliveries", nil)
		if ok(inv) {
			return inv
		}
		if time.Now().After(deadline) {
			raw, _ := json.MarshalIndent(inv, "", " ")
			p.t.Fatalf("never %s: %s", what, raw)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *product) events(id string) []string {
	p.t.Helper()
	_, _, out := p.call(http.MethodGet, "/v1/invites/"+id+"/events", nil)
	var types []string
	for _, e := range out["data"].([]any) {
		types = append(types, object(e.(map[string]any)).text("type"))
	}
	return types
}

// awaitLogo waits until the pages of an app have its logo, so that two of them differ by
// what the test changes only.
func (p *product) awaitLogo(app string) {
	p.t.Helper()
	waittest.Until(p.t, "the logo of "+app, func() bool {
		status, _, answer := p.call(http.MethodPost, "/v1/invites/preview", with(to("delivered@connectlink.test"), "app", app))
		if status != http.StatusOK {
			p.t.Fatalf("preview: %d %v", status, answer)
		}
		pages := object(answer["previews"].([]any)[0].(map[string]any))["pages"].([]any)
		return slices.ContainsFunc(pages, func(one any) bool { return strings.Contains(object(one.(map[string]any)).text("html"), logo.Path) })
	})
}

func to(email string) object {
	return object{
		"external_user_id": "user-1", "app": "slack", "channel": "email",
		"recipient": object{"email": email, "name": "Pat"}, "inviter": object{"name": "Sam Rivera"},
	}
}

// with adds a field to a request.
func with(body object, name string, value any) object {
	body[name] = value
	return body
}

func toPhone(phone string) object {
	return object{"external_user_id": "user-1", "app": "slack", "channel": "sms", "recipient": object{"phone": phone}}
}

package httpapi_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/httpapi"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/mint"
	recipientpage "github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/watch"
	"github.com/connectlink/connectlink/internal/web"
	"github.com/connectlink/connectlink/templates"
)

const publicURL = "https://go.acme.example"

// newEcho mounts the API; parameters that are not given stay empty.
func newEcho(t testing.TB, wp web.Params, p httpapi.Params) *echo.Echo {
	t.Helper()
	if wp.Log == nil {
		wp.Log = slog.New(slog.DiscardHandler)
	}
	if p.Authenticate == nil {
		p.Authenticate = func(context.Context, secret.Text, netip.Addr) (access.Principal, error) {
			return access.Principal{}, invite.Errorf(invite.CodeInvalidAPIKey, "No key is known here.")
		}
	}
	if p.InApp.Opens == nil {
		p.InApp.Opens, p.InApp.Reads = unlimited{}, unlimited{}
	}
	if p.Lists == nil {
		p.Lists = postgres.Primary{DB: p.DB}
	}
	e := web.New(wp)
	if err := httpapi.Mount(e, p); err != nil {
		t.Fatal(err)
	}
	return e
}

// unlimited is the explicit absence of a limit.
type unlimited struct{}

func (unlimited) Allow(string) (bool, time.Duration) { return true, 0 }

// world is the API as it runs: a server on a socket, a database, the use cases
// and Pipedream's stand-in on the wire.
type world struct {
	t        *testing.T
	url      string // of the database
	db       *pgxpool.Pool
	box      *seal.Box
	outbox   *publish.Outbox
	sandbox  *sandbox.Sandbox
	vendors  *httptest.Server
	server   *httptest.Server
	contract *contract
	minters  mint.Set
	project  config.Project
	accounts *pipedream.Client
	signer   *ecdsa.PrivateKey // signs mail events of project "signed"
	log      *bytes.Buffer     // what the server logged; read it after Close only
	mintDown atomic.Bool
	notReady atomic.Bool
	waiting  *watch.Registry // of apps
	pauses   *pause.Board
	names    *names

	key, other, live, narrow, readOnly, blocks, admin, hooks secret.Text
}

func newWorld(t *testing.T) *world {
	t.Helper()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, url: postgrestest.New(t), box: box, contract: loadContract(t), names: &names{of: map[string][]netip.Addr{}}}
	w.db, err = postgres.Open(t.Context(), postgres.Params{URL: w.url, AcquireTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.db.Close)
	w.server = httptest.NewUnstartedServer(nil)
	base := "http://" + w.server.Listener.Addr().String()
	w.sandbox, err = sandbox.New(t.Context(), sandbox.Params{
		DB: w.db, Box: box, PublicURL: publicURL + "/sandbox", CallbackURL: base, Pace: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := w.sandbox.Vendors()
	w.vendors = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.mintDown.Load() && strings.HasSuffix(r.URL.Path, "/tokens") {
			http.Error(rw, "down", http.StatusBadGateway)
			return
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.vendors.Close)
	w.project = config.Project{ID: "default", Brand: config.Brand{Name: "Acme", Region: "US"}, ReturnURLs: []string{"https://acme.example/back"}}
	cred := w.sandbox.Credentials()
	w.accounts = pipedream.New(pipedream.Params{
		BaseURL: w.vendors.URL + "/pipedream", ClientID: cred.PipedreamClientID, ClientSecret: cred.PipedreamClientSecret,
		ProjectID: cred.PipedreamProjectID, Environment: "development", FirstDelay: time.Millisecond,
	})
	minter := mint.New(mint.Params{
		Client: w.accounts, Box: box, PublicURL: publicURL, CallbackURL: base, Budget: limit.New(limit.Per(100, time.Minute), 100, time.Now),
	})
	w.minters = func(invite.Place, string) (*mint.Minter, bool) { return minter, true }
	keys := grant.New(w.db, time.Now)
	w.outbox = publish.NewOutbox(box)
	w.pauses = must(pause.NewBoard(w.db, slog.New(slog.DiscardHandler)))
	service := must(issue.New(issue.Params{
		Pauses: w.pauses,
		OneWay: func(invite.Place) bool { return false },
		DB:     w.db, Box: box, PublicURL: publicURL, Minters: w.minters, Project: w.projectOf,
		Senders: w.textSenders, Wake: func(invite.Lane) {}, Uses: func(quota.Message) []ledger.Use { return nil }, Publish: w.outbox.Enqueue, Announce: w.outbox.Created, Log: slog.New(slog.DiscardHandler),
		Composer: composer(),
	}))
	w.log = &bytes.Buffer{}
	tracker := w.tracker(base)
	w.server.Config.Handler = newEcho(t, web.Params{
		PublicURL: must(url.Parse(publicURL)), Log: slog.New(slog.NewJSONHandler(w.log, nil)),
	}, httpapi.Params{
		Invites: service, Previews: service, Suppressions: w.suppressions(), Privacy: w.privacy(), Pauses: must(pause.New(w.db, func(invite.Lane) {}, w.pauses)), EventLog: publish.NewLog(w.db, w.box), Endpoints: w.endpoints(), Check: service.Check, Advance: service.Advance, Callbacks: tracker, Connections: tracker,
		InApp: w.inApp(keys), AppLinks: apps(),
		Authenticate: keys.Authenticate, DB: w.db, Box: box, PublicURL: publicURL, SecurityContact: "mailto:security@acme.example", Inbox: w.sandbox, Faults: w.sandbox,
		Ready: func(ctx context.Context) error {
			if w.notReady.Load() {
				return postgres.ErrUnavailable
			}
			return w.db.Ping(ctx)
		},
	})
	w.server.Start()
	t.Cleanup(w.server.Close)
	w.key = w.newKey(keys, grant.NewKey{Place: invite.Place{Project: "default"}, Environment: "development", Scopes: access.DefaultScopes()})
	w.other = w.newKey(keys, grant.NewKey{Place: invite.Place{Project: "other"}, Environment: "development", Scopes: access.DefaultScopes()})
	w.live = w.newKey(keys, grant.NewKey{Place: invite.Place{Project: "default", Live: true}, Environment: "production", Scopes: access.DefaultScopes()})
	w.narrow = w.newKey(keys, grant.NewKey{Place: invite.Place{Project: "default"}, Environment: "development", Scopes: []access.Scope{access.InvitesWrite}})
	w.blocks = w.newKey(keys, grant.NewKey{Place: invite.Place{Project: "default"}, Environment: "development", Scopes: []access.Scope{access.Suppressions}})
	w.hooks = w.newKey(keys, grant.NewKey{Place: invite.Place{Project: "default"}, Environment: "development", Scopes: []access.Scope{access.Webhooks}})
	w.admin = w.newKey(keys, grant.NewKey{Place: invite.Place{Project: "default"}, Environment: "development", Scopes: []access.Scope{access.Admin}})
	w.readOnly = w.newKey(keys, grant.NewKey{Place: invite.Place{Project: "default"}, Environment: "development", Scopes: []access.Scope{access.InvitesRead}})
	return w
}

func publishNothing(context.Context, pgx.Tx, ...ledger.Applied) error { return nil }

func (w *world) projectOf(string) (config.Project, bool) { return w.project, true }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) newKey(keys *grant.Service, n grant.NewKey) secret.Text {
	w.t.Helper()
	key, _, err := keys.Create(w.t.Context(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// json decodes the body.
func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatalf("answer %d is no JSON: %v: %s", r.status, err, r.body)
	}
	return m
}

// at walks into the decoded body: "delivery.status".
func (r reply) at(t *testing.T, path string) any {
	t.Helper()
	var v any = r.json(t)
	for _, step := range strings.Split(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			i := int(step[0] - '0')
			if i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// call sends a request and holds the exchange to the contract. header lines are "Name: value".
func (w *world) call(t *testing.T, key secret.Text, method, path, body string, header ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if !key.IsZero() {
		r.Header.Set("Authorization", "Bearer "+key.Reveal())
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if value == "" {
			r.Header.Del(name)
			continue
		}
		r.Header.Add(name, value)
		if name == "Content-Type" {
			r.Header.Set(name, value)
		}
	}
	resp, err := w.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := io.Copy(&b, resp.Body); err != nil {
		t.Fatal(err)
	}
	w.contract.check(t, r, []byte(body), resp, b.Bytes())
	if id := resp.Header.Get("Request-Id"); !strings.HasPrefix(id, "req_") {
		t.Errorf("%s %s: Request-Id %q", method, path, id)
	}
	return reply{resp.StatusCode, resp.Header, b.Bytes()}
}

// create makes an invite and returns its id.
func (w *world) create(t *testing.T, key secret.Text, body string) string {
	t.Helper()
	r := w.call(t, key, "POST", "/v1/invites", body)
	if r.status != http.StatusCreated {
		t.Fatalf("create: %d %s", r.status, r.body)
	}
	return r.at(t, "id").(string)
}

const (
	byEmail = `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"pat@customer.example","name":"Pat Lee"}}`
	byLink  = `{"external_user_id":"u1","app":"slack","channel":"link"}`
)

// composer is made once for all tests: it reads all texts.
//
//nolint:gochecknoglobals // the file does not change
var composer = sync.OnceValue(func() *compose.Composer {
	texts := must(message.NewRenderer(templates.FS))
	pages := must(recipientpage.New(templates.FS))
	return must(compose.New(compose.Params{
		PublicURL: publicURL, Messages: func(invite.Place) *message.Renderer { return texts }, Pages: func(string) *recipientpage.Pages { return pages },
	}))
})

package console_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/oidc"
	"github.com/connectlink/connectlink/internal/oidc/oidctest"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/reword"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/web"
	"github.com/connectlink/connectlink/templates"
)

func TestMain(m *testing.M) {
	oidctest.Main()
	os.Exit(m.Run())
}

// host is not localhost: browsers and clients make exceptions there.
const host = "console.example.test"

// site is the console on a real socket and a real database.
type site struct {
	t      testing.TB
	db     *pgxpool.Pool
	staff  *grant.Staff
	keys   *grant.Service
	echo   *echo.Echo
	url    string // by name
	log    *logs
	woken  chan invite.Lane
	pauses *pause.Board
	board  *reword.Board

	project func(id string) config.Project
	mail    provider.Sender // of live mode; nil: none
}

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newSite(t testing.TB, change ...func(*console.Params)) *site {
	t.Helper()
	keyset := must[*seal.Keyset](t)(seal.NewKeyset())
	return newSiteOn(t, postgrestest.Pool(t), must[*seal.Box](t)(seal.NewBox(keyset)), change...)
}

// newSiteOn is a console on a database that stands already.
func newSiteOn(t testing.TB, db *pgxpool.Pool, box *seal.Box, change ...func(*console.Params)) *site {
	t.Helper()
	s := &site{t: t, db: db, log: &logs{}, woken: make(chan invite.Lane, 10)}
	s.pauses = must[*pause.Board](t)(pause.NewBoard(db, slog.New(slog.DiscardHandler)))
	s.staff, s.keys = grant.NewStaff(s.db, box), grant.New(s.db, time.Now)
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p := console.Params{
		Staff: s.staff, Keys: s.keys, Pause: must[*pause.Service](s.t)(pause.New(s.db, func(lane invite.Lane) { s.woken <- lane }, s.pauses)), DB: s.db, Lists: postgres.Primary{DB: s.db}, Box: box,
		Pages: must[*view.Pages](t)(view.New(templates.Console)), Passwords: true, Log: log,
		Projects: []config.Project{
			{ID: "default", Brand: config.Brand{Name: "Northwind"}, Pipedream: config.Pipedream{Environment: config.Production}},
			{ID: "other", Brand: config.Brand{Name: "Fabrikam"}},
		},
		System: func(context.Context) (console.Facts, error) {
			return console.Facts{Version: "v1.2.3", Migration: "27", Database: "15.1"}, nil
		},
	}
	s.desk(box, &p)
	for _, c := range change {
		c(&p)
	}
	s.echo = web.New(web.Params{Log: log})
	if err := console.Register(s.echo, p); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.echo)
	t.Cleanup(server.Close)
	u := must[*url.URL](t)(url.Parse(server.URL))
	s.url = "http://" + host + ":" + u.Port()
	return s
}

// withIssuer adds single sign-on at a real issuer.
func withIssuer(issuer, back string) func(*console.Params) {
	return func(p *console.Params) {
		p.Issuer = oidc.New(oidc.Params{
			Issuer: issuer, ClientID: oidctest.ClientID, ClientSecret: secret.New(oidctest.ClientSecret), Scopes: []string{"profile", "email"},
			RedirectURL: back + "/console/sign-in/callback", RolesClaim: "groups",
			Roles: map[string][]oidc.Grant{"support": {{Project: "default", Role: access.RoleAgent}}, "platform": {{Project: "default", Role: access.RoleAdmin}}},
		})
	}
}

// browser keeps cookies and knows where host is.
type browser struct {
	s     *site
	http  *http.Client
	extra http.Header

	key      string   // in the authenticator app of the person at it
	recovery []string // that person's recovery codes
}

func (s *site) browser() *browser {
	s.t.Helper()
	jar := must[*cookiejar.Jar](s.t)(cookiejar.New(nil))
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, strings.Replace(address, host, "127.0.0.1", 1))
	}}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &browser{s: s, http: &http.Client{Jar: jar, Transport: transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}, extra: http.Header{}}
}

type answer struct {
	*http.Response
	body string
}

// location is where an answer sends the browser, without the host.
func (a answer) location() string { return a.Header.Get("Location") }

func (b *browser) do(method, address string, form url.Values) answer {
	b.s.t.Helper()
	return b.send(method, address, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (b *browser) send(method, address, kind string, body io.Reader) answer {
	b.s.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.s.url + address
	}
	req := must[*http.Request](b.s.t)(http.NewRequestWithContext(b.s.t.Context(), method, address, body))
	if method == http.MethodPost {
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
	req.Header.Set("Accept-Language", "en")
	for k, v := range b.extra {
		req.Header[k] = v
	}
	resp := must[*http.Response](b.s.t)(b.http.Do(req))
	defer func() { _ = resp.Body.Close() }()
	return answer{resp, string(must[[]byte](b.s.t)(io.ReadAll(resp.Body)))}
}

func (b *browser) get(address string) answer {
	b.s.t.Helper()
	return b.do(http.MethodGet, address, nil)
}

func (b *browser) post(address string, form url.Values) answer {
	b.s.t.Helper()
	return b.do(http.MethodPost, address, form)
}

// follow presses on until a page is there.
func (b *browser) follow(a answer) answer {
	b.s.t.Helper()
	for range 5 {
		if a.location() == "" {
			return a
		}
		a = b.get(a.location())
	}
	b.s.t.Fatal("sent from one page to the next for ever")
	return a
}

// signedIn returns a browser that is signed in with these roles, by
// project.
func (s *site) signedIn(name string, roles map[string]access.Role) *browser {
	s.t.Helper()
	token := must[secret.Text](s.t)(s.staff.Link(s.t.Context(), access.Principal{Kind: access.KindSystem}, name, roles, time.Minute))
	b := s.browser()
	if a := b.post("/console/sign-in/link/"+token.Reveal(), nil); a.StatusCode != http.StatusSeeOther || a.location() != "/console/" {
		s.t.Fatalf("signing in: %d to %q", a.StatusCode, a.location())
	}
	return b
}

func (s *site) count(sql string, args ...any) (n int) {
	s.t.Helper()
	if err := s.db.QueryRow(s.t.Context(), sql, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *site) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.db.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatal(err)
	}
}

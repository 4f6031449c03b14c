package linkpage_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/linkpage"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
	"github.com/connectlink/connectlink/internal/waittest"
	"github.com/connectlink/connectlink/internal/web"
	"github.com/connectlink/connectlink/templates"
)

// site is the recipients' pages on a real socket.
type site struct {
	*tracktest.Kit
	t   testing.TB
	URL string
	log *safeBuffer

	mu      sync.Mutex
	confirm func(context.Context, invite.ID) (bool, error)

	suppressed []visit.Address
	lifted     atomic.Int32
	resumed    atomic.Int32
	logos      map[string]string // paths, by source
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// unlimited is the explicit absence of a limit.
type unlimited struct{}

func (unlimited) Allow(string) (bool, time.Duration) { return true, 0 }

func newSite(t testing.TB, change ...func(*linkpage.Params)) *site {
	t.Helper()
	s := &site{Kit: tracktest.New(t), t: t, log: &safeBuffer{}}
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	pages, err := page.New(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	p := linkpage.Params{
		Visits: must(visit.New(visit.Params{
			Confirmer: s, Suppressions: s,
			Publish: func(context.Context, pgx.Tx, ...ledger.Applied) error { return nil },
			Wake:    func(invite.Lane) {},
			Uses:    func(quota.Message) []ledger.Use { return nil },
			Pauses:  must(pause.NewBoard(s.Pool, log)),
			DB:      s.Pool, Box: s.Box, Minters: s.Minters, Log: log,
		})),
		OneWay: func(string, invite.Place) bool { return false },
		Pages:  pages, Log: log,
		Project: func(id string) (config.Project, bool) {
			return config.Project{ID: id, Brand: config.Brand{Name: "Northwind", Colour: "#2f54eb", SupportEmail: "help@northwind.example", LegalLine: "Northwind GmbH"}}, id == "default"
		},
		Logo:    func(source string) string { return s.logos[source] },
		Guesses: limit.New(limit.Per(10, time.Minute), 10, time.Now),
	}
	for _, c := range change {
		c(&p)
	}
	e := web.New(web.Params{Log: log})
	if err := linkpage.Register(e, p); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const browser = "Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

// answer is a response read to its end.
type answer struct {
	*http.Response
	body string
}

// do asks as a browser would, without following redirects.
func (s *site) do(method, path string) answer {
	s.t.Helper()
	return s.send(method, path, nil, nil)
}

// pressed is the body of the page's own form, where scripts run and a hand moved.
const pressed = "from=page&js=1&g=1"

// press posts as a person's browser does.
func (s *site) press(path string) answer {
	s.t.Helper()
	return s.send(http.MethodPost, path, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, strings.NewReader(pressed))
}

func (s *site) send(method, path string, header http.Header, body io.Reader) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("User-Agent", browser)
	req.Header.Set("Accept-Language", "en")
	for k, v := range header {
		req.Header[k] = v
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{res, string(raw)}
}

// eventually waits for what happens beside an answer.
func (s *site) eventually(what string, ok func() bool) {
	s.t.Helper()
	waittest.Until(s.t, what, ok)
}

var nonces = regexp.MustCompile(`nonce="[^"]+"`)

func withoutNonce(body string) string { return nonces.ReplaceAllString(body, "") }

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Confirm answers as the test says.
func (s *site) Confirm(ctx context.Context, id invite.ID) (bool, error) {
	s.mu.Lock()
	fn := s.confirm
	s.mu.Unlock()
	return fn != nil && must(fn(ctx, id)), nil
}

func (s *site) Suppressed(context.Context, pgx.Tx, visit.Address) (bool, error) { return false, nil }

func (s *site) Suppress(_ context.Context, _ pgx.Tx, a visit.Address) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suppressed = append(s.suppressed, a)
	return true, nil
}

func (s *site) Unsuppress(context.Context, pgx.Tx, invite.ID, []visit.Address, time.Time) error {
	s.lifted.Add(1)
	return nil
}

func (s *site) Resume(context.Context, pgx.Tx, visit.Address) (bool, error) {
	s.resumed.Add(1)
	return true, nil
}

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// Params are what a Sandbox needs.
type Params struct {
	DB  *pgxpool.Pool
	Box *seal.Box
	Log *slog.Logger     // nil discards
	Now func() time.Time // nil is time.Now

	// PublicURL is where Pages is mounted, for instance
	// http://127.0.0.1:8080/sandbox: connect links start with it.
	PublicURL string
	// CallbackURL is the product's base URL. SendGrid's event webhook goes to
	// EventWebhookURL, or to CallbackURL + "/hooks/sendgrid/{account}/test"
	// when that is empty; with neither, SendGrid reports nothing. What people
	// text back goes to CallbackURL + "/hooks/twilio/inbound/{account}/test".
	// See Vendors for accounts.
	CallbackURL     string
	EventWebhookURL string

	// Pace is the unit of scripted time: a delivery receipt comes one Pace
	// after the message. Default 1 s.
	Pace time.Duration
	// Poll is how often due work is looked for. Default Pace/4, kept within
	// 5 ms and 250 ms.
	Poll time.Duration
	// Keep is how long messages stay in the inbox and the ledger. Default 30
	// days.
	Keep time.Duration
	// HTTP posts callbacks and acts for scripted people; nil is a client of
	// the sandbox's own, with deadlines and without redirects.
	HTTP *http.Client
	// AdminToken is the bearer token of /admin; without one there is no /admin.
	AdminToken secret.Text
	// AppName is the name Pipedream's page gives the asking product.
	AppName string
}

// Sandbox is the three stand-ins over one database. It is safe for concurrent
// use, and by several processes at once.
type Sandbox struct {
	db     *pgxpool.Pool
	box    *seal.Box
	log    *slog.Logger
	now    func() time.Time
	pace   time.Duration
	poll   time.Duration
	keep   time.Duration
	http   *http.Client
	public *url.URL
	events string // SendGrid's event webhook, of any account
	hooks  string // the product's base URL
	app    string

	cred   Credentials
	keys   signingKeys
	fates  outcomeBook
	faults faultBoard
	admin  secret.Text

	accountFaults accountFaults
	pages         *template.Template

	takeMessages batcher[message]
	takeTokens   batcher[connectToken]
	mintRate     rateWindow
	readRate     rateWindow
}

// New opens the sandbox, making its vendor accounts on first use. It starts
// nothing: Run does the due work.
func New(ctx context.Context, p Params) (*Sandbox, error) {
	if p.DB == nil || p.Box == nil {
		return nil, errors.New("sandbox: DB and Box are needed")
	}
	public, err := url.Parse(strings.TrimSuffix(p.PublicURL, "/"))
	if err != nil || public.Scheme == "" || public.Host == "" {
		return nil, errors.New("sandbox: PublicURL must be absolute")
	}
	s := &Sandbox{
		db: p.DB, box: p.Box, log: p.Log, now: p.Now, pace: p.Pace, poll: p.Poll, keep: p.Keep,
		http: p.HTTP, public: public, fates: newFateBook(), admin: p.AdminToken, events: p.EventWebhookURL, app: p.AppName,
		mintRate: rateWindow{limit: mintsPerMinute, every: time.Minute},
		readRate: rateWindow{limit: readsPerWindow, every: 5 * time.Minute},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.pace <= 0 {
		s.pace = time.Second
	}
	if s.poll <= 0 {
		s.poll = min(max(s.pace/4, 5*time.Millisecond), 250*time.Millisecond)
	}
	if s.keep <= 0 {
		s.keep = 30 * 24 * time.Hour
	}
	if s.http == nil {
		s.http = newBrowserlessClient()
	}
	s.hooks = strings.TrimSuffix(p.CallbackURL, "/")
	if s.app == "" {
		s.app = "Your product"
	}
	if s.pages, err = parsePages(public.Path); err != nil {
		return nil, fmt.Errorf("sandbox pages: %w", err)
	}
	s.takeMessages.write = s.insertMessages
	s.takeTokens.write = s.insertConnectTokens
	if err := s.openDeployment(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// newBrowserlessClient follows no redirect (a vendor's callback never does,
// and a scripted person reads each Location) and gives up as Twilio does,
// after 15 s.
func newBrowserlessClient() *http.Client {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.Proxy = nil
	tr.MaxIdleConnsPerHost = 64
	tr.ResponseHeaderTimeout = 15 * time.Second
	return &http.Client{
		Transport:     tr,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Vendors serves the vendors' APIs under /pipedream, /sendgrid and /twilio,
// the pictures of Pipedream's catalogue under /assets, and /admin where there is a token for it. It belongs on a private loopback listener: the base URLs of the
// product's clients are {listener}/pipedream and so on. A client that uses
// {listener}/sendgrid/@{account} or {listener}/twilio/@{account} has an account
// of its own there, with webhooks of its own; else it is "default".
func (s *Sandbox) Vendors() http.Handler {
	mux := http.NewServeMux()
	mount := func(vendor string, op func(*http.Request) string, h http.HandlerFunc) {
		mux.Handle("/"+vendor+"/", http.StripPrefix("/"+vendor, byAccount(s.faulty(vendor, op, h))))
	}
	mount(pipedream, pipedreamOp, s.servePipedream)
	mount(sendgrid, sendgridOp, s.serveSendGrid)
	mount(twilio, twilioOp, s.serveTwilio)
	for name, v := range s.textVendors() {
		mount(name, textOp, v.serve)
	}
	mux.Handle("GET /assets/", http.StripPrefix("/assets", http.HandlerFunc(s.serveLogo)))
	if !s.admin.IsZero() {
		admin := http.NewServeMux()
		s.mountAdmin(admin)
		mux.Handle("/admin/", s.requireAdmin(admin))
	}
	return mux
}

// Run does the due work until ctx ends: fates, callbacks, scripted people.
// Any number of processes may run it.
func (s *Sandbox) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for name, step := range map[string]func(context.Context) (int, error){
		"fates":     s.advanceMessages,
		"callbacks": s.postEvents,
		"people":    s.walkJourneys,
	} {
		g.Go(func() error { return s.loop(ctx, name, s.poll, step) })
	}
	g.Go(func() error { return s.loop(ctx, "retention", time.Hour, s.forget) })
	return g.Wait()
}

// loop calls step at once again while there was work, else waits. A
// failing step is logged and tried again: the database may be restarting.
func (s *Sandbox) loop(ctx context.Context, name string, wait time.Duration, step func(context.Context) (int, error)) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		n, err := step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.log.Warn("sandbox step", "step", name, "err", err)
			timer.Reset(time.Second)
		case n > 0:
			continue
		default:
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
}

// ad is the associated data of a sealed column of this schema.
func ad(column string, id uuid.UUID) seal.AD {
	return seal.AD{Column: "sandbox." + column, ID: id}
}

// newID is time-ordered, so that "newest first" is an index scan.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// The vendors' names, as mounted and as faults and events call them.
const (
	pipedream = "pipedream"
	sendgrid  = "sendgrid"
	twilio    = "twilio"
)

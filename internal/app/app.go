package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/firewall"
	"github.com/connectlink/connectlink/internal/funnel"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/logo"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/reword"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/keyring"
	"github.com/connectlink/connectlink/internal/store/recovery"
	"github.com/connectlink/connectlink/internal/suppress"
	"github.com/connectlink/connectlink/internal/trace"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/visit"
	"github.com/connectlink/connectlink/internal/watch"
	"github.com/connectlink/connectlink/internal/web"
	"github.com/connectlink/connectlink/internal/worker"
)

// warmConns is how many connections for requests are open before the process is ready: a
// load balancer sends a new instance its full share at once.
const warmConns = 4

// stopWithin is how long requests under way may finish at a stop, after the drain.
const stopWithin = 10 * time.Second

// cutAfter is when, after the drain of a stop, connections to the database are
// closed under what still waits for it. With the drain it is less than the 30 s
// that containers are given, and it is more than any orderly step takes.
const cutAfter = 15 * time.Second

// Limits of statements. A request whose statement takes longer has lost its
// caller; background work makes larger batches.
const (
	apiStatement  = 5 * time.Second
	workStatement = 8 * time.Second
)

// How long a request waits for a connection of its pool, which may have to be
// opened first, and a background call.
const (
	apiAcquire  = 2 * time.Second
	workAcquire = 5 * time.Second
)

// Options are what a process is told beside its configuration.
type Options struct {
	Log *slog.Logger
	// Listener is where the API and the pages are served; nil opens cfg.Listen.
	Listener net.Listener
	// Laptop enables the features for a developer's own machine: the inbox
	// page without a key, and events to private addresses.
	Laptop bool
	// Pace is the sandbox's unit of scripted time; default 1 s.
	Pace time.Duration
	Now  func() time.Time
	// Tracer records traces; nil records none.
	Tracer *trace.Tracer
	// builtIn reads the built-in texts. Tests that start many processes in one
	// read them once.
	builtIn func() (texts, error)
}

// App is one process.
type App struct {
	cfg      *config.Config
	opt      Options
	log      *slog.Logger
	box      *seal.Box
	registry *prometheus.Registry
	api      *pgxpool.Pool     // for requests
	work     *pgxpool.Pool     // for background work, so that neither starves the other
	replica  *postgres.Replica // for lists; nil unless configured
	sockets  *postgres.Sockets
	monitor  *postgres.Monitor
	listener net.Listener
	health   net.Listener // for orchestrators and scrapers; nil unless configured
	base     string       // where this process reaches itself
	public   string       // where people reach it; empty when they cannot

	process     uuid.UUID // the name under which its keys are recorded
	resealed    *prometheus.GaugeVec
	missingRows *prometheus.GaugeVec

	funnel   *funnel.Funnel
	jobs     *river.Client[pgx.Tx]
	outbox   *publish.Outbox
	vendors  map[invite.Place]*vendors
	receipts *receipts
	standins *sandboxServer

	Grants     *grant.Service
	Staff      *grant.Staff
	Issue      *issue.Service
	Erase      *erase.Service
	suppress   *suppress.Service
	visit      *visit.Service
	track      *track.Tracker
	courier    *publish.Courier
	logos      *logo.Logos
	endpoints  *publish.Endpoints
	runner     *publish.Runner // nil in a process that only serves
	dispatcher *dispatch.Dispatcher
	worker     *worker.Worker
	notifier   *postgres.Notifier
	waiting    *watch.Registry
	streams    *web.Streams
	composer   *compose.Composer
	pauses     *pause.Board
	pause      *pause.Service
	firewall   *firewall.Service
	wordings   *reword.Board
	reword     *reword.Service
	texts      texts            // built in
	ownTexts   map[string]texts // of projects that have some
	handler    *echo.Echo
	shares     descriptorShares
	stopping   atomic.Bool // ready says no from then on
}

// New opens a process: database, vendors, sandbox, use cases, routes. It
// starts nothing; Run does. Close it when Run is not called.
func New(ctx context.Context, cfg *config.Config, opt Options) (_ *App, err error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	opt.Log = slog.New(trace.LogHandler(opt.Log.Handler()))
	a := &App{cfg: cfg, opt: opt, log: opt.Log, registry: prometheus.NewRegistry(), receipts: newReceipts(opt.Now)}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := a.openBox(); err != nil {
		return nil, err
	}
	if err := a.openDatabase(ctx); err != nil {
		return nil, err
	}
	a.shareDescriptors()
	a.measurePools()
	a.measureReplica()
	a.funnel = funnel.New(funnel.Params{Tracer: opt.Tracer, Metrics: a.registry})
	if err := a.openKeys(ctx); err != nil {
		return nil, err
	}
	if err := a.listen(); err != nil {
		return nil, err
	}
	if err := a.openHealth(); err != nil {
		return nil, err
	}
	if a.jobs, err = worker.NewInserter(a.api, a.log); err != nil {
		return nil, err
	}
	a.outbox = publish.NewOutbox(a.box)
	if err := a.openVendors(ctx); err != nil {
		return nil, err
	}
	if err := a.openUseCases(); err != nil {
		return nil, err
	}
	// Before the first message is accepted or sent.
	if err := errors.Join(a.pauses.Load(ctx), a.wordings.Load(ctx)); err != nil {
		return nil, err
	}
	return a, a.openRoutes()
}

func (a *App) openBox() error {
	keyset, err := seal.ParseKeyset(a.cfg.Keyset)
	if err != nil {
		return fmt.Errorf("read the keyset: %w", err)
	}
	a.box, err = seal.NewBox(keyset)
	return err
}

func (a *App) openDatabase(ctx context.Context) error {
	url := a.cfg.DatabaseURL.Reveal()
	a.process = uuid.New()
	a.sockets = postgres.NewSockets()
	space := new(postgres.Space)
	if err := postgres.Wait(ctx, postgres.WaitParams{URL: url, Within: a.cfg.DatabaseWait, Sockets: a.sockets, Log: a.log}); err != nil {
		return err
	}
	// Past a pooler, as migrations are applied.
	pending, err := postgres.Pending(ctx, a.cfg.DatabaseDirectURL.Reveal())
	if err != nil {
		return err
	}
	if pending > 0 {
		return fmt.Errorf("%d migrations are pending: run `connectlink migrate` first", pending)
	}
	conns := poolSize(a.cfg, url)
	if a.api, err = postgres.Open(ctx, postgres.Params{
		URL: url, MaxConns: conns, AppName: keyring.SessionName("api", a.process), StatementTimeout: apiStatement,
		AcquireTimeout: apiAcquire, Warm: warmConns, Pooled: a.cfg.BehindPooler(), Sockets: a.sockets, Space: space,
	}); err != nil {
		return err
	}
	if a.work, err = postgres.Open(ctx, postgres.Params{
		URL: url, MaxConns: conns, AppName: keyring.SessionName("worker", a.process), StatementTimeout: workStatement,
		AcquireTimeout: workAcquire, Pooled: a.cfg.BehindPooler(), Sockets: a.sockets, Space: space,
	}); err != nil {
		return err
	}
	// Before anything is sent or created automatically. Dispatch asks again on each of its
	// connections, since a process may outlive the server.
	if err := recovery.Check(ctx, a.work); err != nil {
		return err
	}
	if err := a.openReplica(ctx); err != nil {
		return err
	}
	a.monitor, err = postgres.NewMonitor(postgres.MonitorParams{URL: url, AppName: keyring.SessionName("monitor", a.process), Sockets: a.sockets, Pools: []*pgxpool.Pool{a.api, a.work}, Space: space, Log: a.log})
	return err
}

func (a *App) serves() bool      { return a.cfg.Role != config.RoleWorker }
func (a *App) runsWorkers() bool { return a.cfg.Role != config.RoleAPI }

func (a *App) listen() error {
	if a.cfg.PublicURL != nil {
		a.public = strings.TrimSuffix(a.cfg.PublicURL.String(), "/")
	}
	if !a.serves() {
		if a.base = a.public; a.base == "" {
			a.base = a.cfg.ListenURL() // of the API process, when it is on this machine
		}
		return nil
	}
	a.listener = a.opt.Listener
	if a.listener == nil {
		var err error
		if a.listener, err = net.Listen("tcp", a.cfg.Listen); err != nil {
			return fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
		}
	}
	a.base = "http://" + reachableAddr(a.listener.Addr())
	return nil
}

// reachableAddr is how a process calls its own listener: a wildcard is loopback to itself.
func reachableAddr(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
}

func (a *App) openUseCases() (err error) {
	a.Grants = grant.New(a.api, a.opt.Now)
	a.Staff = grant.NewStaff(a.api, a.box)
	if err := a.openPauses(); err != nil {
		return err
	}
	if a.suppress, err = suppress.New(suppress.Params{
		DB: a.api, Box: a.box, Senders: a.textSenders, SenderOf: a.senderOf, Unlister: a.unlister, Scripted: isScripted, Log: a.log,
	}); err != nil {
		return err
	}
	if a.track, err = track.New(track.Params{
		DB: a.work, Box: a.box, Accounts: a.accounts, Callbacks: a.callbacks,
		Senders: a.textSenders, Publish: a.follow, Later: a.confirmLater, SawReport: a.sawReport,
		Budget: limit.New(limit.Per(pollsPerSecond, time.Second), pollsPerSecond, a.opt.Now), Watched: a.watched(), Reconnects: a.reconnects, Silence: a.silence(), Log: a.log,
	}); err != nil {
		return err
	}
	counter, err := quota.New(quota.Params{Box: a.box, Project: a.cfg.Project, Senders: a.textSenders})
	if err != nil {
		return err
	}
	if a.visit, err = visit.New(visit.Params{
		DB: a.api, Box: a.box, Minters: a.minter, Publish: a.follow, Confirmer: a.track,
		Suppressions: a.suppress, Uses: counter.Uses, Pauses: a.pauses, Wake: a.wake, Log: a.log,
	}); err != nil {
		return err
	}
	if err := a.openErase(); err != nil {
		return err
	}
	a.courier = publish.NewCourier(publish.Params{
		DB: a.work, Box: a.box, Project: a.cfg.Project, AllowPrivate: a.opt.Laptop, Now: a.opt.Now,
	})
	if err := a.openEndpoints(); err != nil {
		return err
	}
	a.openWatch()
	a.notifier = postgres.NewNotifier(postgres.NotifierParams{URL: a.cfg.DatabaseDirectURL.Reveal(), Sockets: a.sockets, Log: a.log})
	if err := a.openTemplates(); err != nil {
		return err
	}
	if err := a.openWordings(); err != nil {
		return err
	}
	if a.runsWorkers() {
		if err := a.openDispatch(); err != nil {
			return err
		}
	}
	if a.Issue, err = issue.New(issue.Params{
		DB: a.api, Box: a.box, Minters: a.minter, Project: a.cfg.Project, PublicURL: a.public, Senders: a.textSenders, OneWay: a.isOneWay, Wake: a.wake, Reserve: a.reserver(), Uses: counter.Uses, Pauses: a.pauses,
		Composer: a.composer, Rehearse: a.rehearse, Publish: a.follow, Announce: a.announce, Created: a.funnel.Created, Tracer: a.opt.Tracer, Metrics: a.registry, Log: a.log, Now: a.opt.Now,
	}); err != nil {
		return err
	}
	if a.runsWorkers() {
		return a.openWorker()
	}
	return nil
}

// reserver reserves room in this process's dispatcher; nil where there is none.
func (a *App) reserver() func(invite.Lane) (issue.Reservation, bool) {
	if a.dispatcher == nil {
		return nil
	}
	return func(lane invite.Lane) (issue.Reservation, bool) {
		r, ok := a.dispatcher.Reserve(lane)
		return r, ok
	}
}

// wake tells dispatch of work: this process's own loop in memory, other
// processes by a notification that is no part of any transaction.
func (a *App) wake(lane invite.Lane) {
	if a.dispatcher != nil {
		a.dispatcher.Wake()
		return
	}
	a.notifier.Notify(dispatch.WakeChannel, lane.String())
}

// URL is where this process is reached from its own machine.
func (a *App) URL() string { return a.base }

// Handler is what the process serves.
func (a *App) Handler() http.Handler { return a.handler }

// Run serves and works until ctx ends, and returns within the drain, cutAfter and a moment,
// also when the database does not answer.
func (a *App) Run(ctx context.Context) error {
	defer a.Close()
	if err := a.configureWebhooks(ctx); err != nil {
		return orderlyEnd(ctx, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, func() { a.stopping.Store(true) })
	ended := make(chan struct{})
	defer close(ended)
	defer context.AfterFunc(ctx, func() { a.cut(ended) })()
	g.Go(func() error { return a.monitor.Run(ctx) })
	if a.replica != nil {
		g.Go(func() error { return a.replica.Run(ctx) })
	}
	g.Go(func() error { return a.runKeys(ctx) })
	g.Go(func() error { return orderlyEnd(ctx, a.notifier.Run(ctx)) })
	g.Go(func() error { return orderlyEnd(ctx, a.pauses.Run(ctx)) })
	g.Go(func() error { return orderlyEnd(ctx, a.wordings.Run(ctx)) })
	g.Go(func() error { return orderlyEnd(ctx, a.logos.Run(ctx)) })
	a.hearOthers(ctx, g)
	if a.serves() {
		g.Go(func() error { return a.serve(ctx) })
	}
	if a.health != nil {
		g.Go(func() error { return web.Serve(ctx, a.health, web.Server(a.healthRoutes(), a.log), a.stop()) })
	}
	if a.standins != nil {
		a.standins.run(ctx, g, a.runsWorkers(), a.log)
	}
	if a.runsWorkers() {
		g.Go(func() error { return orderlyEnd(ctx, a.dispatcher.Run(ctx)) })
		g.Go(func() error { return orderlyEnd(ctx, a.runner.Run(ctx)) })
		g.Go(func() error {
			return orderlyEnd(ctx, a.worker.Run(ctx))
		})
	}
	return g.Wait()
}

// serve answers requests until ctx ends, and records that callbacks are taken
// for as long. A stop that hangs up on requests is not recorded as orderly: a
// post may have been among them.
func (a *App) serve(ctx context.Context) error {
	available := a.track.Availability()
	recording, end := context.WithCancel(context.WithoutCancel(ctx))
	recorded := make(chan struct{})
	go func() { defer close(recorded); available.Run(recording) }()
	srv := web.Server(a.handler, a.log)
	srv.IdleTimeout = a.cfg.KeepAlive
	err := web.Serve(ctx, web.LimitConns(srv, a.listener, a.shares.clients), srv, a.stop())
	end()
	<-recorded
	if err == nil {
		available.Leave(ctx)
	}
	return err
}

// stop is how the listeners end: readiness is off from the start of the drain.
func (a *App) stop() web.Stop { return web.Stop{Drain: a.cfg.DrainFor, Grace: stopWithin} }

// cut ends what waits for the database past the time of a stop.
func (a *App) cut(ended <-chan struct{}) {
	t := time.NewTimer(a.cfg.DrainFor + cutAfter)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
		a.log.Warn("the database does not answer; stopping without it")
		a.sockets.Cut()
	}
}

// orderlyEnd makes an orderly end of what ran until ctx ended.
func orderlyEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Close releases what New opened.
func (a *App) Close() {
	for _, l := range []net.Listener{a.listener, a.health} {
		if l != nil {
			_ = l.Close()
		}
	}
	if a.standins != nil {
		a.standins.close()
	}
	a.closePools()
}

// closeWithin is how long the pools may say good-bye to the database.
const closeWithin = 2 * time.Second

// closePools closes the pools, politely if that is quick.
func (a *App) closePools() {
	if a.sockets == nil {
		return
	}
	late := time.AfterFunc(closeWithin, a.sockets.Cut)
	defer late.Stop()
	for _, pool := range []*pgxpool.Pool{a.api, a.work} {
		if pool != nil {
			pool.Close()
		}
	}
	if a.replica != nil {
		a.replica.Close()
	}
}

// Sandbox is test mode's vendors; nil where test mode is off.
func (a *App) Sandbox() *sandbox.Sandbox {
	if a.standins == nil {
		return nil
	}
	return a.standins.sandbox
}

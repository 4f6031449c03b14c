package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
)

type devCommand struct {
	settings
	State   string        `help:"Folder that keeps the database, its keyset and the API key between runs; one in your cache folder unless given." env:"CONNECTLINK_STATE_DIR" type:"path" placeholder:"FOLDER"`
	Listen  string        `help:"Loopback address or port to serve on; CONNECTLINK_LISTEN unless given, else 127.0.0.1 with port 8080 or the next free one." placeholder:"HOST:PORT"`
	Webhook string        `help:"Post events to this URL, for example http://127.0.0.1:3000/hook; CONNECTLINK_WEBHOOK_URL unless given. Its secret is CONNECTLINK_WEBHOOK_SECRET, or one that dev creates, keeps and prints." placeholder:"URL"`
	Pace    time.Duration `help:"Duration of one step of a test recipient." default:"1s"`
	JSON    bool          `name:"json" help:"Print one JSON object (url, api_key, inbox_url, console_url; webhook_secret if dev created one; projects with an id and an api_key each if there are several) instead of the tour."`
	Verbose bool          `short:"v" help:"Log every request and every attempt to standard error."`
}

// Help is shown by dev --help.
func (devCommand) Help() string {
	return "Nothing leaves this machine: email, SMS and Pipedream are stand-ins, and an inbox page shows what was sent. " +
		"The database is a PostgreSQL of dev's own (the installed server, or one that is fetched if you agree), unless CONNECTLINK_DATABASE_URL names another."
}

// Run serves everything from one folder until Ctrl-C.
func (c *devCommand) Run(e *env) error {
	if c.Listen == "" {
		c.Listen, _ = e.lookup("CONNECTLINK_LISTEN")
	}
	if err := c.checkListen(); err != nil {
		return err
	}
	err := c.run(e)
	if e.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // a stop on request is no failure, however early it comes
	}
	return err
}

func (c *devCommand) run(e *env) error {
	state, err := openState(c.State)
	if err != nil {
		return err
	}
	hook, err := c.webhook(e, state)
	if err != nil {
		return err
	}
	cfg, err := c.config(e, state, hook)
	if err != nil {
		return err
	}
	// The address comes first: a database that is started for nothing costs
	// seconds, and one of a first start a folder.
	listener, err := c.listen(cfg, state)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // the server closes it too; this is for what fails before
	log := c.logger(e)
	pg, err := devDatabase(e, cfg, state, log)
	if err != nil {
		return err
	}
	if port := listener.Addr().(*net.TCPAddr).Port; c.Listen == "" && port != defaultPort {
		e.say("Port %d is in use; serving on %d.", defaultPort, port)
	}
	var ended <-chan struct{}
	if pg != nil {
		defer stopDatabase(e, pg, log)
		ended = pg.Done()
	}
	served := make(chan error, 1)
	go func() { served <- c.serve(e, cfg, state, hook, listener, log) }()
	select {
	case err := <-served:
		return err
	case <-ended:
		// Without it there is nothing left to bring to an orderly end.
		return fmt.Errorf("the database has ended; what it said is in %s", filepath.Join(pg.Home(), "postgres.log"))
	}
}

func (c *devCommand) logger(e *env) *slog.Logger {
	level := slog.LevelWarn
	if c.Verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
}

// config returns the configuration of the environment and of a file, with defaults
// for a laptop.
func (c *devCommand) config(e *env, state devState, hook devWebhook) (*config.Config, error) {
	laptop := *e
	laptop.lookup = func(name string) (string, bool) {
		v, ok := e.lookup(name)
		if own, set := hook.lookup(name); set {
			return own, true
		}
		_, file := e.lookup(config.FileVariable)
		if file = file || c.ConfigFile != ""; !ok && !file && name == "CONNECTLINK_BRAND_NAME" {
			return "Northwind", true // a product's name makes the pages easier to imagine
		}
		return v, ok
	}
	cfg, err := c.load(&laptop, databaseVariable, keysetVariable)
	if err != nil {
		return nil, err
	}
	// A keyset of the environment belongs to the environment's database.
	if cfg.DatabaseURL.IsZero() || cfg.Keyset.IsZero() {
		if cfg.Keyset, err = state.keyset(); err != nil {
			return nil, err
		}
	} else if err := unlock(e, cfg, 0); err != nil {
		return nil, err
	}
	cfg.SandboxEnabled, cfg.Role = true, config.RoleAll
	cfg.DrainFor = 0 // there is no load balancer to wait for
	return cfg, nil
}

// devDatabase starts the private database and puts it into cfg, unless cfg
// names one already; then it returns nil.
func devDatabase(e *env, cfg *config.Config, state devState, log *slog.Logger) (*devpg.Server, error) {
	if !cfg.DatabaseURL.IsZero() {
		e.say("Using the database that the configuration names, not a private one.")
		return nil, nil
	}
	if !state.began() {
		e.say("Starting a private PostgreSQL in %s (the first start takes some seconds) …", state.file("postgres"))
	}
	pg, err := devpg.Start(e.ctx, devpg.Params{Dir: state.file("postgres"), Log: log, Env: e.lookup, Ask: askDownload(e)})
	var inUse *devpg.InUseError
	if errors.As(err, &inUse) {
		return nil, errors.New(runningText(state, inUse))
	}
	if err != nil {
		return nil, err
	}
	cfg.DatabaseURL = secret.New(pg.URL())
	cfg.DatabaseDirectURL = cfg.DatabaseURL
	return pg, nil
}

func stopDatabase(e *env, pg *devpg.Server, log *slog.Logger) {
	// The command's own context has ended by now; the server's stop has not.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), 15*time.Second)
	defer cancel()
	if err := pg.Stop(ctx); err != nil {
		log.Error("stop the database", "error", err)
	}
}

func (c *devCommand) serve(e *env, cfg *config.Config, state devState, hook devWebhook, listener net.Listener, log *slog.Logger) error {
	if err := postgres.Migrate(e.ctx, cfg.DatabaseDirectURL.Reveal(), log); err != nil {
		return err
	}
	base := &url.URL{Scheme: "http", Host: listener.Addr().String()}
	cfg.Listen = base.Host
	if cfg.PublicURL == nil {
		cfg.PublicURL = base
	}
	for _, w := range cfg.Warnings() {
		e.say("warning: %s", w)
	}
	a, err := app.New(e.ctx, cfg, app.Options{Log: log, Listener: listener, Laptop: true, Pace: c.Pace})
	if err != nil {
		return err
	}
	if err := c.greet(e, a, base.String(), cfg.Projects, state, hook); err != nil {
		a.Close()
		return err
	}
	return a.Run(e.ctx)
}

// devProject is a project that dev serves, with a key of it.
type devProject struct {
	ID     string `json:"id"`
	APIKey string `json:"api_key"`
}

// greet prints the addresses of all parts, after it has working API keys.
func (c *devCommand) greet(e *env, a *app.App, base string, configured []config.Project, state devState, hook devWebhook) error {
	var projects []devProject
	for i, p := range configured {
		name := keyFile
		if i > 0 {
			name += "." + p.ID
		}
		key, err := state.apiKey(e.ctx, a.Grants, name, p.ID)
		if err != nil {
			return err
		}
		projects = append(projects, devProject{p.ID, key.Reveal()})
	}
	if err := state.setPlace(base); err != nil {
		return err
	}
	inbox := base + "/sandbox/inbox"
	console, err := a.ConsoleLink(e.ctx, base, "Developer")
	if err != nil {
		return err
	}
	if c.JSON {
		said := struct {
			URL      string       `json:"url"`
			APIKey   string       `json:"api_key"` // of the first project
			InboxURL string       `json:"inbox_url"`
			Console  string       `json:"console_url"` // signs in once
			Secret   string       `json:"webhook_secret,omitempty"`
			Projects []devProject `json:"projects,omitempty"`
		}{URL: base, APIKey: projects[0].APIKey, InboxURL: inbox, Console: console, Secret: hook.secret}
		if len(projects) > 1 {
			said.Projects = projects
		}
		return json.NewEncoder(e.stdout).Encode(said)
	}
	_, err = fmt.Fprint(e.stdout, tourText(base, projects, inbox, console, state.dir, hook))
	return err
}

// defaultPort is where dev serves unless another program does.
const defaultPort = 8080

func (c *devCommand) checkListen() error {
	if c.Listen == "" {
		return nil
	}
	// A port alone is a port of this machine here: dev serves no other.
	if port := strings.TrimPrefix(c.Listen, ":"); port != "" && strings.Trim(port, "0123456789") == "" {
		c.Listen = net.JoinHostPort("127.0.0.1", port)
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return usageError("--listen: want host:port, for example 127.0.0.1:8080, or a port")
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usageError("--listen: dev serves this machine only, and %q is not a loopback address; `connectlink serve` is for others", host)
	}
	return nil
}

// listen takes the given address, or the first free port from defaultPort on. If
// a dev of the same state folder serves that address, the error explains how to
// use that process.
func (c *devCommand) listen(cfg *config.Config, state devState) (net.Listener, error) {
	if c.Listen == "" {
		return firstFreePort()
	}
	l, err := net.Listen("tcp", c.Listen)
	if err == nil {
		return l, nil
	}
	if cfg.DatabaseURL.IsZero() {
		if other, inUse := devpg.Owner(state.file("postgres")); inUse {
			return nil, errors.New(runningText(state, other))
		}
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the address is in use by another program; choose another with --listen, or leave it out for the next free port", c.Listen)
	}
	return nil, fmt.Errorf("listen on %s: %w; choose another with --listen", c.Listen, err)
}

func firstFreePort() (net.Listener, error) {
	for port := defaultPort; ; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) || port >= defaultPort+100 {
			return nil, fmt.Errorf("listen on port %d: %w; choose another with --listen", port, err)
		}
	}
}

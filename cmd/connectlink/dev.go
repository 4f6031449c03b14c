package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/devpg"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

type devCommand struct {
	State   string        `help:"Folder that keeps the database, the keyset and the API key between runs." env:"CONNECTLINK_STATE_DIR" type:"path"`
	Listen  string        `help:"Loopback address to serve on. Unless given, the next free port is taken when 8080 is in use." default:"127.0.0.1:8080"`
	Pace    time.Duration `help:"How long one step of a scripted recipient takes." default:"1s"`
	JSON    bool          `name:"json" help:"Print one JSON object instead of the tour."`
	Verbose bool          `short:"v" help:"Log every request and every attempt to standard error."`
}

// devState is what dev keeps between runs, beside the database.
type devState struct {
	keyset secret.Text
	apiKey secret.Text
	dir    string
}

// Run serves everything from one folder until Ctrl-C.
func (c *devCommand) Run(e *env) error {
	level := slog.LevelWarn
	if c.Verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
	state, err := c.open(e)
	if err != nil {
		return err
	}
	listener, err := c.listen(e)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()

	dbURL, stop, err := c.database(e, state, log)
	if err != nil {
		return err
	}
	defer stop()
	if err := postgres.Migrate(e.ctx, dbURL, log); err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	cfg, err := devConfig(e, dbURL, base, state)
	if err != nil {
		return err
	}
	a, err := app.New(e.ctx, cfg, app.Options{Log: log, Listener: listener, Laptop: true, Pace: c.Pace})
	if err != nil {
		return err
	}
	if err := state.key(e, a.Grants); err != nil {
		a.Close()
		return err
	}
	if err := c.greet(e, base, state); err != nil {
		a.Close()
		return err
	}
	return a.Run(e.ctx)
}

// open reads or makes the state folder and its keyset.
func (c *devCommand) open(e *env) (*devState, error) {
	dir := c.State
	if dir == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no folder to keep state in (%w): name one with --state or CONNECTLINK_STATE_DIR", err)
		}
		dir = filepath.Join(home, "connectlink", "dev")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	s := &devState{dir: dir}
	text, err := readFile(s.file("keyset"))
	switch {
	case err == nil:
		s.keyset = secret.New(text)
	case errors.Is(err, os.ErrNotExist):
		k, err := seal.NewKeyset()
		if err != nil {
			return nil, err
		}
		s.keyset = k.Encode()
		if err := s.keep("keyset", s.keyset); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("read the keyset: %w", err)
	}
	if text, err := readFile(s.file("api_key")); err == nil {
		s.apiKey = secret.New(text)
	}
	return s, nil
}

func (s *devState) file(name string) string { return filepath.Join(s.dir, name) }

// keep writes a file whole or not at all, for its owner only.
func (s *devState) keep(name string, v secret.Text) error {
	tmp := s.file(name + ".new")
	if err := os.WriteFile(tmp, []byte(v.Reveal()+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	if err := os.Rename(tmp, s.file(name)); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// listen takes the wanted address, or the next free port when the default is
// taken by something else.
func (c *devCommand) listen(e *env) (net.Listener, error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("--listen: %w", err)}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, &exitError{exitUsage, fmt.Errorf("--listen: dev serves this machine only, and %s is not a loopback address", host)}
	}
	l, err := net.Listen("tcp", c.Listen)
	if errors.Is(err, syscall.EADDRINUSE) && c.Listen == "127.0.0.1:8080" {
		_, _ = fmt.Fprintln(e.stderr, "Port 8080 is in use; taking another.")
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	return l, nil
}

// database is the configured one, or a private one of dev's own.
func (c *devCommand) database(e *env, s *devState, log *slog.Logger) (url string, stop func(), err error) {
	for _, name := range []string{"CONNECTLINK_DATABASE_URL", "DATABASE_URL"} {
		if url, ok := e.lookup(name); ok && url != "" {
			return url, func() {}, nil
		}
	}
	pg, err := devpg.Start(e.ctx, devpg.Params{Dir: s.file("postgres"), Log: log, Env: e.lookup, Ask: ask(e)})
	var inUse *devpg.InUseError
	if errors.As(err, &inUse) {
		return "", nil, fmt.Errorf("another `connectlink dev` runs with this state folder: %w", err)
	}
	if err != nil {
		return "", nil, err
	}
	return pg.URL(), func() {
		// The command's own context has ended by now; the server's stop has not.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), 15*time.Second)
		defer cancel()
		if err := pg.Stop(ctx); err != nil {
			log.Error("stop the database", "error", err)
		}
	}, nil
}

// devConfig is the configuration of a laptop: what the environment says, over
// one product with a sandbox.
func devConfig(e *env, dbURL, base string, s *devState) (*config.Config, error) {
	set := map[string]string{
		"CONNECTLINK_DATABASE_URL": dbURL,
		"CONNECTLINK_KEYSET":       s.keyset.Reveal(),
		"CONNECTLINK_LISTEN":       strings.TrimPrefix(base, "http://"),
	}
	if _, ok := e.lookup("CONNECTLINK_PUBLIC_URL"); !ok {
		set["CONNECTLINK_PUBLIC_URL"] = base
	}
	if _, ok := e.lookup("CONNECTLINK_BRAND_NAME"); !ok {
		set["CONNECTLINK_BRAND_NAME"] = "Northwind"
	}
	cfg, err := config.Load(config.Sources{Env: func(name string) (string, bool) {
		if v, ok := set[name]; ok {
			return v, true
		}
		return e.lookup(name)
	}})
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	cfg.SandboxEnabled = true
	return cfg, nil
}

// key makes sure that the kept API key works, and makes another when it does not.
func (s *devState) key(e *env, g *grant.Service) error {
	if !s.apiKey.IsZero() {
		if _, err := g.Authenticate(e.ctx, s.apiKey); err == nil {
			return nil
		}
	}
	key, _, err := g.Create(e.ctx, grant.NewKey{
		ProjectID: config.DefaultProject, Name: "dev", Environment: config.Development, Scopes: access.DefaultScopes(),
	})
	if err != nil {
		return err
	}
	s.apiKey = key
	return s.keep("api_key", key)
}

func (c *devCommand) greet(e *env, base string, s *devState) error {
	inbox, err := url.JoinPath(base, "sandbox", "inbox")
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]string{"url": base, "api_key": s.apiKey.Reveal(), "inbox_url": inbox})
	}
	_, err = fmt.Fprint(e.stdout, tour(base, s.apiKey.Reveal(), inbox, s.dir))
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/postgres"
)

type doctorCommand struct {
	ConfigFile string `name:"config" short:"c" help:"YAML file; environment variables win over it." type:"path"`
}

// findings prints one line per thing tried, and remembers whether all was well.
type findings struct {
	e   *env
	bad int
}

func (f *findings) say(what string, err error, advice string) {
	if err == nil {
		_, _ = fmt.Fprintf(f.e.stdout, "ok    %s\n", what)
		return
	}
	f.bad++
	_, _ = fmt.Fprintf(f.e.stdout, "WRONG %s: %v\n", what, err)
	if advice != "" {
		_, _ = fmt.Fprintf(f.e.stdout, "      %s\n", advice)
	}
}

func (f *findings) note(what string) { _, _ = fmt.Fprintf(f.e.stdout, "note  %s\n", what) }

// Run tries everything and changes nothing: no message is sent.
func (c *doctorCommand) Run(e *env) error {
	f := &findings{e: e}
	cfg, err := config.Load(config.Sources{File: c.ConfigFile, Env: e.lookup})
	f.say("configuration", err, "Correct what is named; `connectlink config check` shows the result.")
	if err != nil {
		return &exitError{exitFailed, errors.New("the rest cannot be tried without a configuration")}
	}
	for _, w := range cfg.Warnings() {
		f.note(w)
	}
	c.database(e, f, cfg)
	c.publicURL(e, f, cfg)
	for _, p := range cfg.Projects {
		checkVendors(e, f, cfg, p)
	}
	if f.bad > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of what was tried is wrong", f.bad)}
	}
	return nil
}

func (c *doctorCommand) database(e *env, f *findings, cfg *config.Config) {
	ctx, cancel := context.WithTimeout(e.ctx, 10*time.Second)
	defer cancel()
	pool, err := postgres.Open(ctx, postgres.Params{URL: cfg.DatabaseURL.Reveal(), MaxConns: 1, AppName: "connectlink doctor"})
	f.say("database", err, "Is the server up, and is CONNECTLINK_DATABASE_URL right?")
	if err != nil {
		return
	}
	pool.Close()
	pending, err := postgres.Pending(ctx, cfg.DatabaseURL.Reveal())
	if err == nil && pending > 0 {
		err = fmt.Errorf("%d are pending", pending)
	}
	f.say("migrations", err, "Run `connectlink migrate`.")
	held, err := postgres.HoldLock(ctx, cfg.DatabaseDirectURL.Reveal(), time.Now().UnixNano())
	if err == nil {
		err = held.Release(ctx)
	}
	f.say("direct database connection", err,
		"Behind a transaction pooler set CONNECTLINK_DATABASE_DIRECT_URL to the server itself: locks and notifications need a session.")
}

func (c *doctorCommand) publicURL(e *env, f *findings, cfg *config.Config) {
	if cfg.PublicURL == nil {
		f.note("no public URL: only link_type connect works, and what happens is learnt by polling")
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(cfg.PublicURL.String(), "/")+"/livez", nil)
	if err == nil {
		var resp *http.Response
		if resp, err = http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("it answers %d", resp.StatusCode)
			}
		}
	}
	f.say("public URL", stripURL(err), "It must lead to this service (which has to be running), from wherever recipients are.")
}

func checkVendors(e *env, f *findings, cfg *config.Config, p config.Project) {
	ctx, cancel := context.WithTimeout(e.ctx, 30*time.Second)
	defer cancel()
	for _, fault := range cfg.LiveReady(p) {
		f.note(fmt.Sprintf("project %s cannot serve live keys: %s", p.ID, fault))
	}
	for _, check := range app.Checks(cfg, p) {
		f.say(fmt.Sprintf("project %s: %s", p.ID, check.What), check.Try(ctx), check.Advice)
	}
}

type healthcheckCommand struct {
	URL string `help:"The service's address." env:"CONNECTLINK_HEALTHCHECK_URL"`
}

// Run succeeds when the service on this machine is ready.
func (c *healthcheckCommand) Run(e *env) error {
	base := c.URL
	if base == "" {
		listen, ok := e.lookup("CONNECTLINK_LISTEN")
		if !ok || listen == "" {
			listen = "127.0.0.1:8080"
		}
		host, port, _ := strings.Cut(listen, ":")
		if host == "" || host == "0.0.0.0" {
			host = "127.0.0.1"
		}
		base = "http://" + host + ":" + port
	}
	ctx, cancel := context.WithTimeout(e.ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return &exitError{exitUsage, errors.New("--url is not a URL")}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("not ready: %w", stripURL(err))
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: it answers %d", resp.StatusCode)
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/postgres"
)

type serveCommand struct {
	ConfigFile string `name:"config" short:"c" help:"YAML file; environment variables win over it." type:"path"`
	Role       string `help:"What this process does: api, worker or all." enum:"api,worker,all," default:""`
}

// Run serves until it is told to stop. It refuses to start on a bad
// configuration, naming every fault, and on pending migrations.
func (c *serveCommand) Run(e *env) error {
	cfg, err := load(e, c.ConfigFile)
	if err != nil {
		return err
	}
	if c.Role != "" {
		cfg.Role = c.Role
	}
	log := logger(e, cfg.LogLevel)
	for _, w := range cfg.Warnings() {
		log.Warn("configuration", "warning", w)
	}
	if err := refuseDeaf(cfg); err != nil {
		return err
	}
	a, err := app.New(e.ctx, cfg, app.Options{Log: log})
	if err != nil {
		return err
	}
	log.Info("serving", "role", cfg.Role, "url", a.URL(), "receipts", a.ReceiptSummary())
	return a.Run(e.ctx)
}

// refuseDeaf refuses to send for real where no vendor could report back,
// unless that was asked for.
func refuseDeaf(cfg *config.Config) error {
	if cfg.AllowNoCallbacks {
		return nil
	}
	for _, p := range cfg.Projects {
		if p.Pipedream.Configured() && !cfg.CallbacksReachable(p.Pipedream.APIURL) {
			return fmt.Errorf("project %s has live credentials, but vendors cannot reach this service: set CONNECTLINK_PUBLIC_URL to an "+
				"https URL on a public host, or CONNECTLINK_ALLOW_NO_CALLBACKS=true to learn what happens by polling only", p.ID)
		}
	}
	return nil
}

func load(e *env, file string, mayLack ...string) (*config.Config, error) {
	cfg, err := config.Load(config.Sources{File: file, Env: e.lookup, MayLack: mayLack})
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return cfg, nil
}

func logger(e *env, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(e.stderr, &slog.HandlerOptions{Level: level}))
}

type migrateCommand struct {
	ConfigFile string `name:"config" short:"c" help:"YAML file; environment variables win over it." type:"path"`
}

// Run brings the schema up to date; several at once wait for one another.
func (c *migrateCommand) Run(e *env) error {
	cfg, err := load(e, c.ConfigFile, "CONNECTLINK_KEYSET")
	if err != nil {
		return err
	}
	url := cfg.DatabaseDirectURL.Reveal()
	before, err := postgres.Pending(e.ctx, url)
	if err != nil {
		return err
	}
	if err := postgres.Migrate(e.ctx, url, logger(e, slog.LevelWarn)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%d migrations applied; the schema is up to date.\n", before)
	return err
}

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Say every fault of the configuration, and what it amounts to."`
}

type configCheckCommand struct {
	ConfigFile string `name:"config" short:"c" help:"YAML file; environment variables win over it." type:"path"`
}

// Run prints the configuration without its secrets, warnings and all.
func (c *configCheckCommand) Run(e *env) error {
	cfg, err := load(e, c.ConfigFile)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(e.stdout, cfg.Summary())
	for _, w := range cfg.Warnings() {
		_, werr := fmt.Fprintln(e.stdout, "warning:", w)
		err = errors.Join(err, werr)
	}
	for _, p := range cfg.Projects {
		for _, f := range cfg.LiveReady(p) {
			_, werr := fmt.Fprintf(e.stdout, "project %s cannot serve live keys: %s\n", p.ID, f)
			err = errors.Join(err, werr)
		}
	}
	return err
}

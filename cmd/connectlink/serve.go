package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/trace"
	"github.com/connectlink/connectlink/internal/wire"
)

type serveCommand struct {
	settings
	Role string `help:"Role of this process: api, worker or all. Defaults to CONNECTLINK_ROLE, else all." enum:"api,worker,all," default:"" placeholder:"ROLE"`
}

// Help is shown by serve --help.
func (serveCommand) Help() string {
	return "Refuses to start on a bad configuration, naming every fault at once, and on pending migrations. " +
		"SIGTERM and Ctrl-C let requests under way finish. As --role=api and --role=worker it runs as two kinds of process, " +
		"as many of each as you like; they need the same configuration and find each other through the database."
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(e *env) error {
	cfg, err := c.load(e)
	if err != nil {
		return err
	}
	if c.Role != "" {
		cfg.Role = c.Role
	}
	log := newLogger(e, cfg.LogLevel)
	if bytes, ok := app.LimitMemory(os.DirFS("/"), e.lookup); ok {
		log.Info("memory is limited by the control group", "heap_limit_bytes", bytes)
	}
	for _, w := range app.Warnings(cfg) {
		log.Warn("configuration", "warning", w)
	}
	for _, p := range cfg.Projects {
		if err := app.WebhookFault(e.ctx, p, nil); err != nil {
			log.Warn("configuration", "warning", err)
		}
	}
	if err := refuseUnready(cfg); err != nil {
		return err
	}
	if err := unlock(e, cfg, cfg.DatabaseWait); err != nil {
		return err
	}
	export, err := trace.OpenExport(e.ctx, os.Getenv, wire.Version(), log)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	defer export.Close(e.ctx)
	a, err := app.New(e.ctx, cfg, app.Options{Log: log, Tracer: export.Tracer()})
	if err != nil {
		return err
	}
	// Trying every template takes several times the memory that stays in use; what
	// is free after that is returned now, beside the start, and not over minutes.
	go debug.FreeOSMemory()
	log.Info("serving", "traces", export.Tracer() != nil, "role", cfg.Role, "url", a.URL(), "metrics", a.MetricsURL(), "receipts", a.ReceiptSummary())
	stopped := context.AfterFunc(e.ctx, func() { log.Info("stopping; requests under way may finish") })
	defer stopped()
	if err := a.Run(e.ctx); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// refuseUnready names every project that has live credentials and could not
// use them rightly.
func refuseUnready(cfg *config.Config) error {
	var faults []error
	for _, p := range cfg.Projects {
		if err := listUnready(cfg, p); err != nil {
			faults = append(faults, fmt.Errorf("project %s is not ready for live keys: %w", p.ID, err))
		}
	}
	if len(faults) > 0 {
		return &exitError{exitUsage, errors.Join(faults...)}
	}
	return nil
}

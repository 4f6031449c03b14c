package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/app"
)

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Check the configuration and print its faults, or the effective values without secrets."`
}

type configCheckCommand struct {
	settings
}

// Run prints the configuration without its secrets, warnings and all.
func (c *configCheckCommand) Run(e *env) error {
	cfg, err := c.load(e)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(cfg.Summary())
	for _, w := range app.Warnings(cfg) {
		fmt.Fprintln(&b, "warning:", w)
	}
	fmt.Fprintln(&b, "note:", cfg.Console.SignIn())
	for _, p := range cfg.Projects {
		if err := app.WebhookFault(e.ctx, p, resolveHost); err != nil {
			fmt.Fprintln(&b, "warning:", err)
		}
		for _, l := range listMissing(cfg, p) {
			fmt.Fprintln(&b, "note:", l)
		}
	}
	if _, err := fmt.Fprint(e.stdout, b.String()); err != nil {
		return err
	}
	return refuseUnready(cfg)
}

// listUnready lists why a project with live credentials cannot use them. A
// project without live credentials serves test keys and has no fault.
func listUnready(cfg *config.Config, p config.Project) error {
	if !p.Pipedream.Configured() {
		return nil
	}
	var faults []error
	for _, f := range cfg.LiveReady(p) {
		faults = append(faults, errors.New(f.String()))
	}
	return errors.Join(faults...)
}

// listMissing lists the features that a project's settings leave out, with the
// reason.
func listMissing(cfg *config.Config, p config.Project) []string {
	parts := []struct {
		what   string
		faults []config.Fault
	}{{"send email", p.EmailReady()}, {"send text messages", p.SMSReady()}}
	if !p.Pipedream.Configured() {
		parts = parts[:1]
		parts[0].what, parts[0].faults = "serve live keys", cfg.LiveReady(p)
	}
	var out []string
	for _, part := range parts {
		for _, f := range part.faults {
			out = append(out, fmt.Sprintf("project %s cannot %s: %s", p.ID, part.what, f))
		}
	}
	return out
}

package main

import (
	"fmt"
	"log/slog"

	"github.com/connectlink/connectlink/internal/postgres"
)

type migrateCommand struct {
	settings
	Roles bool `help:"Also create the role connectlink_program, which has the rights that the program needs and cannot change the audit log. Later migrations keep its rights up to date without this flag."`
}

// Run brings the schema up to date; several at once wait for one another.
func (c *migrateCommand) Run(e *env) error {
	cfg, err := c.load(e, keysetVariable)
	if err != nil {
		return err
	}
	url := cfg.DatabaseDirectURL.Reveal()
	log := newLogger(e, slog.LevelWarn)
	if err := postgres.Wait(e.ctx, postgres.WaitParams{URL: url, Within: cfg.DatabaseWait, Log: log}); err != nil {
		return err
	}
	pending, err := postgres.Pending(e.ctx, url)
	if err != nil {
		return err
	}
	if err := postgres.Migrate(e.ctx, url, log); err != nil {
		return err
	}
	word := "Nothing to do"
	if pending > 0 {
		word = "Migrations applied: " + fmt.Sprint(pending)
	}
	if _, err = fmt.Fprintln(e.stdout, word+"; the schema is up to date."); err != nil {
		return err
	}
	granted, err := postgres.GrantProgram(e.ctx, url, !c.Roles)
	if err != nil || !granted {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "The role %[1]s has the program's rights. Make the program's role a member: GRANT %[1]s TO <role>.\n", postgres.ProgramRole)
	return err
}

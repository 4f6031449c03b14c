package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/postgres"
)

type restoreCommand struct {
	Declare restoreDeclareCommand `cmd:"" help:"Take a database into use that was restored to an earlier time, so that nothing is sent twice."`
}

type restoreDeclareCommand struct {
	settings
	NothingLost bool `help:"Only record the new server: nothing was lost, for example after an upgrade with pg_upgrade."`
	Yes         bool `help:"Do not ask for confirmation."`
}

// Help is shown by restore declare --help.
func (restoreDeclareCommand) Help() string {
	return "Run it after every restore of the database to an earlier time, before any process of the service is started. Messages that were queued " +
		"at that time may have been sent since: of each the provider is asked, and those of providers that cannot be asked are held as unknown. " +
		"Fallbacks, and reminders that were due, are skipped. `connectlink doctor` says how many messages are still open. It can be repeated after an interruption."
}

// Run prepares the database and prints counts.
func (c *restoreDeclareCommand) Run(e *env) error {
	cfg, err := c.loadUnlocked(e)
	if err != nil {
		return err
	}
	question := "Was the database restored to an earlier time, and are all processes of the service stopped?"
	if c.NothingLost {
		question = "Was nothing lost when the database moved to this server? If messages are missing, they may be sent twice."
	}
	if !c.Yes {
		if err := askConfirmation(e, question); err != nil {
			return err
		}
	}
	url := cfg.DatabaseDirectURL.Reveal()
	if err := postgres.Wait(e.ctx, postgres.WaitParams{URL: url, Within: cfg.DatabaseWait, Log: newLogger(e, slog.LevelWarn)}); err != nil {
		return err
	}
	if pending, err := postgres.Pending(e.ctx, url); err != nil || pending > 0 {
		return errors.Join(err, refusePending(pending))
	}
	pool, err := postgres.Open(e.ctx, postgres.Params{
		URL: cfg.DatabaseURL.Reveal(), AppName: "connectlink restore", MaxConns: 2, Pooled: cfg.BehindPooler(), StatementTimeout: wholeTable,
	})
	if err != nil {
		return err
	}
	defer pool.Close()
	s, err := app.Restorer(cfg, pool, operatorPrincipal())
	if err != nil {
		return err
	}
	if c.NothingLost {
		if err := s.AcceptMove(e.ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(e.stdout, "The new server is recorded. Start the processes.")
		return err
	}
	r, err := s.Declare(e.ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "May have been sent since: %d queued messages. The providers are asked about them once the processes run.\n"+
		"Skipped: %d reminders that were due, %d fallbacks.\nStart the processes; `connectlink doctor` says how many messages are still open.\n",
		r.Deliveries, r.Reminders, r.Fallbacks)
	return err
}

func refusePending(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d migrations are pending: run `connectlink migrate` first", n)
}

// restoreNote is what doctor says about the last restore.
func restoreNote(p app.RestoreProgress) string {
	return fmt.Sprintf("The database was restored; declared %s. Of %d messages that were queued then, %d are still being asked about and %d are held as unknown "+
		"(console: Needs attention, reason database_restored). Skipped: %d reminders, %d fallbacks.",
		p.DeclaredAt.UTC().Format(time.RFC3339), p.Deliveries, p.Open, p.Held, p.Reminders, p.Fallbacks)
}

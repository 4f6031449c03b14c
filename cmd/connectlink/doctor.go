package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/reseal"
	"github.com/connectlink/connectlink/internal/store/endpoint"
	"github.com/connectlink/connectlink/internal/store/queue"
)

type doctorCommand struct {
	settings
}

// Help is shown by doctor --help.
func (doctorCommand) Help() string {
	return "One line for each thing tried: ok, WRONG with what to do, or a note. Changes nothing and sends no message; " +
		"SendGrid is asked in its sandbox mode. Ends with 1 when anything is wrong."
}

// findings prints one line per check and counts the failures.
type findings struct {
	e   *env
	bad int
}

func (f *findings) tried(what string, err error, advice string) {
	if err == nil {
		_, _ = fmt.Fprintf(f.e.stdout, "ok    %s\n", what)
		return
	}
	f.bad++
	_, _ = fmt.Fprintf(f.e.stdout, "WRONG %s: %v\n      %s\n", what, err, advice)
}

func (f *findings) note(what string) { _, _ = fmt.Fprintf(f.e.stdout, "note  %s\n", what) }

// Run tries everything.
func (c *doctorCommand) Run(e *env) error {
	f := &findings{e: e}
	cfg, err := c.load(e)
	f.tried("configuration", err, "Correct the named settings; `connectlink config check` shows the result. The other checks need a valid configuration.")
	if err != nil {
		return &exitError{exitFailed, errors.New("the configuration is wrong")}
	}
	for _, w := range app.Warnings(cfg) {
		f.note(w)
	}
	f.note(cfg.Console.SignIn())
	f.keyset(cfg)
	f.database(cfg)
	f.publicURL(cfg)
	for _, p := range cfg.Projects {
		f.project(cfg, p)
	}
	if f.bad > 0 {
		return &exitError{exitFailed, fmt.Errorf("wrong: %d of what was tried", f.bad)}
	}
	return nil
}

// keyset unwraps the keyset, if a KMS wraps it.
func (f *findings) keyset(cfg *config.Config) {
	if cfg.KeysetKMS == "" {
		return
	}
	f.tried("keyset at the KMS", unlock(f.e, cfg, 0), "Until the KMS unwraps the keyset, `connectlink serve` does not start (docs/operations.md, Keyset in a KMS).")
}

func (f *findings) database(cfg *config.Config) {
	ctx, cancel := context.WithTimeout(f.e.ctx, 10*time.Second)
	defer cancel()
	pool, err := openPool(ctx, cfg, "connectlink doctor")
	if err == nil {
		defer pool.Close()
		err = tryVersion(ctx, pool)
	}
	f.tried("database", err, "Is the server up, and is CONNECTLINK_DATABASE_URL right? Postgres 15 or later is needed.")

	advice, fault := tryMigrations(ctx, cfg)
	f.tried("migrations", fault, advice)
	if fault == nil && pool != nil {
		for _, note := range listFailingEndpoints(ctx, pool) {
			f.note(note)
		}
		if can, err := postgres.CanAlterAudit(ctx, pool); err == nil && can {
			f.note("The program's database role can alter the audit log; `connectlink migrate --roles` makes one that cannot (docs/operations.md, Audit log).")
		}
		last, any, err := app.CheckDatabase(ctx, pool)
		f.tried("database server", err, "Stop all processes, then: `connectlink restore declare` (docs/operations.md, Backup).")
		if any {
			f.note(restoreNote(last))
		}
		f.tried("queued messages", tryQueue(ctx, pool, cfg), "Configure the project again, or let its invites expire: nothing can send for it until then.")
		f.tried("keys of stored data", tryKeys(ctx, cfg, pool), "Put the keyset that has these keys in place again; `connectlink keyset status` shows all. If they are lost: `connectlink keyset forget`.")
	}

	if fault == nil && pool != nil && !cfg.DatabaseReadURL.IsZero() {
		f.replica(ctx, cfg, pool)
	}
	held, err := postgres.HoldLock(ctx, postgres.LockParams{URL: cfg.DatabaseDirectURL.Reveal(), Key: time.Now().UnixNano()})
	if err == nil {
		err = held.Release(ctx)
	}
	f.tried("direct database connection", err,
		"Behind a transaction pooler set CONNECTLINK_DATABASE_DIRECT_URL to the server itself: locks and notifications need a session.")
}

// replica compares the standby for lists with the primary.
func (f *findings) replica(ctx context.Context, cfg *config.Config, pool *pgxpool.Pool) {
	took, err := postgres.CheckReplica(ctx, postgres.ReplicaParams{URL: cfg.DatabaseReadURL.Reveal(), Primary: pool, AppName: "connectlink doctor"})
	f.tried("replica for lists", err, "Lists and searches come from the primary until it serves them (docs/scaling.md, A replica for lists). `connectlink serve` does not start with a server that is no standby of this database.")
	if err == nil {
		f.note(fmt.Sprintf("The replica for lists replayed what the primary had acknowledged within %s.", took.Round(time.Millisecond)))
	}
}

// tryKeys looks for rows under keys that the keyset lacks.
func tryKeys(ctx context.Context, cfg *config.Config, pool *pgxpool.Pool) error {
	ids, err := keysOf(cfg)
	if err != nil {
		return err
	}
	rows, err := app.MissingKeys(ctx, pool, ids)
	if len(rows) > 0 {
		return fmt.Errorf("rows that cannot be opened or found: %s", reseal.List(rows))
	}
	return err
}

// resolveWithin bounds the look-up of a webhook's name.
const resolveWithin = 3 * time.Second

// resolveHost looks a webhook's name up, for a moment only.
func resolveHost(ctx context.Context, network, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveWithin)
	defer cancel()
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

// tryMigrations asks for the schema's version. A role that may not look into the
// schema finds none there: what the role may not do is told instead.
func tryMigrations(ctx context.Context, cfg *config.Config) (advice string, fault error) {
	pending, err := postgres.Pending(ctx, cfg.DatabaseDirectURL.Reveal())
	var rights error
	switch {
	case err == nil && pending > 0:
		rights = postgres.SchemaRights(ctx, cfg.DatabaseDirectURL.Reveal(), true)
		err = fmt.Errorf("%d are pending", pending)
	case err == nil || !errors.Is(err, postgres.ErrUnavailable):
		rights = postgres.SchemaRights(ctx, cfg.DatabaseURL.Reveal(), false)
	}
	if rights != nil {
		return "Give the role its rights (GRANT … ON SCHEMA, GRANT … ON ALL TABLES IN SCHEMA), or name the role that owns the tables.", rights
	}
	return "Run `connectlink migrate`.", err
}

func tryVersion(ctx context.Context, pool *pgxpool.Pool) error {
	var major int
	if err := pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int / 10000`).Scan(&major); err != nil {
		return postgres.Translate(err)
	}
	if major < 15 {
		return fmt.Errorf("it is Postgres %d", major)
	}
	return nil
}

// failingFor is how long a webhook endpoint fails before it is named.
const failingFor = time.Hour

// listFailingEndpoints names webhook endpoints that have been failing for a while.
// That is a product's matter, so it makes nothing wrong here.
func listFailingEndpoints(ctx context.Context, pool *pgxpool.Pool) []string {
	list, err := endpoint.ListFailing(ctx, pool, time.Now().Add(-failingFor), 20)
	if err != nil {
		return []string{"webhook endpoints: " + err.Error()}
	}
	var notes []string
	for _, w := range list {
		notes = append(notes, fmt.Sprintf("project %s: webhook endpoint %s (%s mode) has been failing since %s; GET /v1/webhook_endpoints/{id}/attempts shows the answers",
			w.Project, w.ID, w.Mode(), w.FailingSince.UTC().Format(time.RFC3339)))
	}
	return notes
}

// tryQueue looks for messages of projects that were removed.
func tryQueue(ctx context.Context, pool *pgxpool.Pool, cfg *config.Config) error {
	list, err := queue.ListOrphans(ctx, pool, cfg.ProjectIDs())
	var faults []error
	for _, a := range list {
		faults = append(faults, fmt.Errorf("%d wait for project %s, which is not configured", a.Waiting, a.ProjectID))
	}
	return errors.Join(append(faults, err)...)
}

func (f *findings) publicURL(cfg *config.Config) {
	if cfg.PublicURL == nil {
		return // a warning of the configuration
	}
	ctx, cancel := context.WithTimeout(f.e.ctx, 10*time.Second)
	defer cancel()
	status, err := getStatus(ctx, cfg.PublicURL.String()+"/livez")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("it answers %d", status)
	}
	f.tried("public URL", err, "It must lead to this service (which has to be running), from wherever recipients and vendors are.")
}

func (f *findings) project(cfg *config.Config, p config.Project) {
	if p.Pipedream.Configured() {
		f.tried("project "+p.ID+": ready for live keys", listUnready(cfg, p), "Until then `connectlink serve` refuses to start.")
	}
	for _, l := range listMissing(cfg, p) {
		f.note(l)
	}
	for _, in := range app.InboundTexts(cfg, p) {
		f.note("project " + p.ID + ": STOP replies are heard once " + in.Provider + " posts incoming messages of the sender to " + in.URL)
	}
	if p.Webhook != nil {
		f.tried("project "+p.ID+": webhook URL", app.WebhookFault(f.e.ctx, p, resolveHost), "Name an address that events may go to, or allow private ones for a product in the same network.")
	}
	ctx, cancel := context.WithTimeout(f.e.ctx, 30*time.Second)
	defer cancel()
	for _, check := range app.Checks(cfg, p) {
		err := check.Try(ctx)
		if errors.Is(err, provider.ErrNotTried) {
			f.note(fmt.Sprintf("project %s: %s: %v", p.ID, check.What, err))
			continue
		}
		f.tried(fmt.Sprintf("project %s: %s", p.ID, check.What), err, checkAdvice(err, check.Advice))
	}
}

// checkAdvice is the check's own, unless no answer came at all: then the key, the
// sender and the account may be right.
func checkAdvice(err error, otherwise string) string {
	var fault interface{ Cause() string }
	if !errors.As(err, &fault) || fault.Cause() == "" {
		return otherwise
	}
	return "No answer came, so that neither key nor account was tried. Look at the name, the network, the firewall, the clock and the certificate that is named."
}

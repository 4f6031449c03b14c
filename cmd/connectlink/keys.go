package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/find"
)

type keysCommand struct {
	Create keysCreateCommand `cmd:"" help:"Create an API key. It is shown only once."`
	List   keysListCommand   `cmd:"" help:"List API keys, newest first; the keys themselves are not stored."`
	Revoke keysRevokeCommand `cmd:"" help:"Revoke an API key; running services reject it within 5 seconds."`
}

type keysCreateCommand struct {
	settings
	Name        string        `help:"Name shown in lists." required:""`
	Project     string        `help:"The key's product." default:"${default_project}"`
	Live        bool          `help:"Create a live key: real providers, real people. Without it, the key is a test key and sends nothing."`
	Environment string        `help:"Pipedream's environment of a live key: development (your own team) or production. Defaults to the project's." enum:"development,production," default:"" placeholder:"NAME"`
	Scope       []string      `help:"Scopes of the key, from ${scopes}. Defaults to the first three." placeholder:"SCOPE"`
	ExpiresIn   time.Duration `help:"Lifetime of the key, for example 2160h. No expiry by default."`
	JSON        bool          `name:"json" help:"Print JSON."`
}

// Run makes a key.
func (c *keysCreateCommand) Run(e *env) error {
	cfg, pool, err := c.database(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	wanted, err := c.wanted(cfg)
	if err != nil {
		return err
	}
	key, made, err := grant.New(pool, time.Now).Create(e.ctx, wanted)
	if err != nil {
		return err
	}
	if c.Live {
		p, _ := cfg.Project(c.Project)
		for _, l := range listMissing(cfg, p) {
			e.say("note: %s", l)
		}
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]any{
			"id": made.ID, "api_key": key.Reveal(), "name": made.Name, "project": made.Project, "livemode": made.Live,
			"pipedream_environment": made.Environment, "scopes": made.Scopes, "expires_at": made.ExpiresAt,
		})
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n\nThis is %s. Keep it now: it is not shown again.\n", key.Reveal(), made.ID)
	return err
}

// wanted checks the flags.
func (c *keysCreateCommand) wanted(cfg *config.Config) (grant.NewKey, error) {
	project, ok := cfg.Project(c.Project)
	if !ok {
		return grant.NewKey{}, usageError("--project: no project %q is configured", c.Project)
	}
	n := grant.NewKey{Place: invite.Place{Project: project.ID, Live: c.Live}, Name: c.Name, Environment: config.Development, Scopes: access.DefaultScopes()}
	switch {
	case c.Live && c.Environment != "":
		n.Environment = c.Environment
	case c.Live:
		n.Environment = project.Pipedream.Environment
	case c.Environment != "":
		return grant.NewKey{}, usageError("--environment is for live keys: add --live")
	}
	if len(c.Scope) > 0 {
		n.Scopes = nil
	}
	for _, s := range c.Scope {
		if !slices.Contains(access.Scopes(), access.Scope(s)) {
			return grant.NewKey{}, usageError("--scope: there is no scope %q; there are %s", s, access.JoinScopes(access.Scopes()))
		}
		n.Scopes = append(n.Scopes, access.Scope(s))
	}
	if c.ExpiresIn < 0 {
		return grant.NewKey{}, usageError("--expires-in: a key cannot end before it begins")
	}
	if c.ExpiresIn > 0 {
		at := time.Now().Add(c.ExpiresIn)
		n.ExpiresAt = &at
	}
	return n, nil
}

type keysListCommand struct {
	settings
	Project string `help:"Only this product's keys." placeholder:"ID"`
}

// Run lists keys.
func (c *keysListCommand) Run(e *env) error {
	_, pool, err := c.database(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	keys, err := grant.New(pool, time.Now).List(e.ctx, c.Project)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tKEY\tPROJECT\tENVIRONMENT\tSCOPES\tLAST USED\tSTATE\tNAME")
	for _, k := range keys {
		used := "never"
		if k.LastUsedAt != nil {
			used = k.LastUsedAt.UTC().Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			k.ID, k.Hint, k.Project, k.Environment, strings.Join(k.Scopes, " "), used, keyState(k), k.Name)
	}
	return w.Flush()
}

func keyState(k account.Key) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case !k.Usable:
		return "expired"
	}
	return "active"
}

type keysRevokeCommand struct {
	settings
	ID            string `arg:"" help:"The key's id, key_…."`
	CancelPending bool   `help:"Also revoke the key's unsent invites: scheduled, waiting for a link, or queued. Needs the keyset."`
}

// Run revokes a key.
func (c *keysRevokeCommand) Run(e *env) error {
	id, err := invite.Parse[invite.KeyID](c.ID)
	if err != nil {
		return usageError("that is not the id of a key: it begins with key_; `connectlink keys list` shows it")
	}
	cfg, pool, err := c.database(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	var pending *issue.Service
	if c.CancelPending {
		if cfg.Keyset.IsZero() {
			return usageError("--cancel-pending writes to timelines, which are sealed: set %s", keysetVariable)
		}
		if pending, err = app.Canceller(cfg, pool, newLogger(e, slog.LevelWarn)); err != nil {
			return err
		}
	}
	changed, err := grant.New(pool, time.Now).Revoke(e.ctx, id)
	if errors.Is(err, account.ErrNotFound) {
		return &exitError{exitNotFound, err}
	}
	if err != nil {
		return err
	}
	word := "is revoked"
	if !changed {
		word = "was revoked before"
	}
	if _, err = fmt.Fprintf(e.stdout, "%s %s.\n", id, word); err != nil {
		return err
	}
	key, err := account.GetKey(e.ctx, pool, id)
	if err != nil {
		return err
	}
	if pending != nil {
		return cancelPending(e, pending, key)
	}
	remain, err := find.CountUnsent(e.ctx, pool, key.Place, id)
	if err == nil && remain > 0 {
		_, err = fmt.Fprintf(e.stdout, "Invites that it made and that are not sent yet: %d. They will be sent, unless you run\n"+
			"    connectlink keys revoke %s --cancel-pending\n", remain, id)
	}
	return err
}

// cancelPending revokes the unsent invites of a key and prints their number.
func cancelPending(e *env, invites *issue.Service, key account.Key) error {
	n, err := invites.CancelUnsent(e.ctx, access.System(key.Place), key.ID)
	if n > 0 || err == nil {
		_, perr := fmt.Fprintf(e.stdout, "Invites that it made and that were not sent yet: %d, revoked.\n", n)
		err = errors.Join(err, perr)
	}
	e.say("Running services take the key for up to 5 seconds more. Run this again then, to revoke what they took meanwhile.")
	return err
}

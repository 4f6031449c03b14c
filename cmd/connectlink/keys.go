package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
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
	Rotate keysRotateCommand `cmd:"" help:"Create a key that replaces another one, which goes on working for a while."`
	Revoke keysRevokeCommand `cmd:"" help:"Revoke an API key; running services reject it within 5 seconds."`
}

type keysCreateCommand struct {
	settings
	Name        string   `help:"Name shown in lists." required:""`
	Project     string   `help:"The key's product." default:"${default_project}"`
	Live        bool     `help:"Create a live key: real providers, real people. Without it, the key is a test key and sends nothing."`
	Environment string   `help:"Pipedream's environment of a live key: development (your own team) or production. Defaults to the project's." enum:"development,production," default:"" placeholder:"NAME"`
	Scope       []string `help:"Scopes of the key, from ${scopes}. Defaults to the first three." placeholder:"SCOPE"`
	lifetime
	JSON bool `name:"json" help:"Print JSON."`
}

// lifetime is the flag of how long a new key works.
type lifetime struct {
	ExpiresIn string `help:"How long the key works, for example 90d or 2160h, or never. Warnings come 30 and 7 days before the end." default:"365d" placeholder:"TIME"`
}

// end returns the time from now at which a key ends; nil: never.
func (l lifetime) end() (*time.Time, error) {
	if l.ExpiresIn == "never" {
		return nil, nil //nolint:nilnil // no end
	}
	d, err := parseDays(l.ExpiresIn)
	if err != nil || d <= 0 {
		return nil, usageError("--expires-in: want a time from now such as 90d or 2160h, or never")
	}
	at := time.Now().Add(d)
	return &at, nil
}

// parseDays reads a duration, with days as a unit too.
func parseDays(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 15)
		return time.Duration(n) * 24 * time.Hour, err //nolint:gosec // 15 bits
	}
	return time.ParseDuration(text)
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
	end, err := c.end()
	if err != nil {
		return grant.NewKey{}, err
	}
	n.ExpiresAt = end
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
	_, _ = fmt.Fprintln(w, "ID\tKEY\tPROJECT\tENVIRONMENT\tSCOPES\tLAST USED\tFROM\tSTATE\tNAME")
	for _, k := range keys {
		used := "never"
		if k.LastUsedAt != nil {
			used = k.LastUsedAt.UTC().Format(time.RFC3339)
		}
		from := k.LastUsedFrom
		if from == "" {
			from = "-"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			k.ID, k.Hint, k.Project, k.Environment, strings.Join(k.Scopes, " "), used, from, keyState(k, time.Now()), k.Name)
	}
	return w.Flush()
}

func keyState(k account.Key, now time.Time) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case !k.Usable:
		return "expired"
	case k.ExpiresAt == nil:
		return "active, never ends"
	case k.ExpiresAt.Sub(now) < account.FirstWarning*24*time.Hour:
		return "ENDS " + k.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return "active until " + k.ExpiresAt.UTC().Format(time.DateOnly)
}

type keysRotateCommand struct {
	settings
	ID      string        `arg:"" help:"The id of the key to replace, key_…."`
	Overlap time.Duration `help:"How long the replaced key goes on working, at most 720h; 0s ends it at once." default:"24h"`
	lifetime
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is shown by keys rotate --help.
func (keysRotateCommand) Help() string {
	return "The new key has the name, project, mode, environment and scopes of the old one. Bring it to the product within the overlap. " +
		"Idempotency keys and limits belong to a key: finish or give up repeats of requests with the old key before the product changes over."
}

// Run replaces a key.
func (c *keysRotateCommand) Run(e *env) error {
	id, err := invite.Parse[invite.KeyID](c.ID)
	if err != nil {
		return usageError("that is not the id of a key: it begins with key_; `connectlink keys list` shows it")
	}
	if c.Overlap < 0 || c.Overlap > grant.MaxOverlap {
		return usageError("--overlap: want a time from 0s to %s", grant.MaxOverlap)
	}
	end, err := c.end()
	if err != nil {
		return err
	}
	_, pool, err := c.database(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	r, err := grant.New(pool, time.Now).Rotate(e.ctx, grant.Rotation{ID: id, ExpiresAt: end, Overlap: c.Overlap})
	switch {
	case errors.Is(err, account.ErrNotFound):
		return &exitError{exitNotFound, err}
	case err != nil:
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]any{
			"id": r.Made.ID, "api_key": r.Key.Reveal(), "name": r.Made.Name, "project": r.Made.Project, "livemode": r.Made.Live,
			"expires_at": r.Made.ExpiresAt, "replaces": id, "replaced_key_ends_at": r.OldEnds.UTC(), "paused": r.Paused,
		})
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n\nThis is %s. Keep it now: it is not shown again.\n%s goes on working until %s.\n",
		r.Key.Reveal(), r.Made.ID, id, r.OldEnds.UTC().Format(time.RFC3339))
	if err == nil && r.Paused {
		_, err = fmt.Fprintln(e.stdout, "It is paused, and the new key is too. A lead resumes them on the console's page Pauses.")
	}
	return err
}

type keysRevokeCommand struct {
	settings
	ID            string `arg:"" help:"The key's id, key_…."`
	CancelPending bool   `aliases:"end-invites" help:"End everything that the key made: also revoke the key's unsent invites: scheduled, waiting for a link, or queued. Client tokens that it asked for end with it in any case. Needs the keyset."`
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
		if err := unlock(e, cfg, 0); err != nil {
			return err
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

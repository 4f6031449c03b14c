package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

type keysCommand struct {
	Create keysCreateCommand `cmd:"" help:"Make an API key. It is shown once."`
	List   keysListCommand   `cmd:"" help:"List API keys."`
	Revoke keysRevokeCommand `cmd:"" help:"End an API key; running services stop taking it within 5 seconds."`
}

type keysCreateCommand struct {
	ConfigFile  string        `name:"config" short:"c" help:"YAML file; environment variables win over it." type:"path"`
	Project     string        `help:"The product the key is for." default:"default"`
	Name        string        `help:"What to tell it by in lists." required:""`
	Live        bool          `help:"A live key: real vendors, real people. Without it the key is a test key."`
	Environment string        `help:"Pipedream's environment of a live key: development (your own team) or production." enum:"development,production," default:""`
	Scope       []string      `help:"What it may do: invites:write, invites:read, links:read, suppressions, webhooks, admin. Default: the first three."`
	ExpiresIn   time.Duration `help:"How long it works, for example 2160h; without end unless given."`
	JSON        bool          `name:"json" help:"Print JSON."`
}

// Run makes a key.
func (c *keysCreateCommand) Run(e *env) error {
	cfg, pool, err := database(e, c.ConfigFile)
	if err != nil {
		return err
	}
	defer pool.Close()
	project, ok := cfg.Project(c.Project)
	if !ok {
		return &exitError{exitUsage, fmt.Errorf("--project: no project %q is configured", c.Project)}
	}
	n := grant.NewKey{ProjectID: project.ID, Name: c.Name, Livemode: c.Live, Environment: config.Development, Scopes: access.DefaultScopes()}
	if c.Live {
		n.Environment = project.Pipedream.Environment
	}
	if c.Environment != "" {
		n.Environment = c.Environment
	}
	if len(c.Scope) > 0 {
		n.Scopes = nil
		for _, s := range c.Scope {
			if !slices.Contains(access.Scopes(), access.Scope(s)) {
				return &exitError{exitUsage, fmt.Errorf("--scope: no scope %q; there are %v", s, access.Scopes())}
			}
			n.Scopes = append(n.Scopes, access.Scope(s))
		}
	}
	if c.ExpiresIn > 0 {
		at := time.Now().Add(c.ExpiresIn)
		n.ExpiresAt = &at
	}
	key, made, err := grant.New(pool, time.Now).Create(e.ctx, n)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(map[string]any{
			"id": made.ID, "api_key": key.Reveal(), "project": made.ProjectID, "livemode": made.Livemode,
			"pipedream_environment": made.Environment, "scopes": made.Scopes,
		})
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n\nThis is %s. Keep it now: it is not shown again.\n", key.Reveal(), made.ID)
	return err
}

type keysListCommand struct {
	ConfigFile string `name:"config" short:"c" help:"YAML file; environment variables win over it." type:"path"`
	Project    string `help:"Only this product's keys."`
}

// Run lists keys, newest first.
func (c *keysListCommand) Run(e *env) error {
	_, pool, err := database(e, c.ConfigFile)
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
		state, used := "active", "never"
		switch {
		case k.RevokedAt != nil:
			state = "revoked"
		case !k.Usable:
			state = "expired"
		}
		if k.LastUsedAt != nil {
			used = k.LastUsedAt.UTC().Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			k.ID, k.Hint, k.ProjectID, k.Environment, strings.Join(k.Scopes, " "), used, state, k.Name)
	}
	return w.Flush()
}

type keysRevokeCommand struct {
	ConfigFile string `name:"config" short:"c" help:"YAML file; environment variables win over it." type:"path"`
	ID         string `arg:"" help:"The key's id, key_…."`
}

// Run revokes a key.
func (c *keysRevokeCommand) Run(e *env) error {
	id, err := invite.Parse[invite.KeyID](c.ID)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("%q is not the id of a key: it begins with key_", c.ID)}
	}
	_, pool, err := database(e, c.ConfigFile)
	if err != nil {
		return err
	}
	defer pool.Close()
	changed, err := grant.New(pool, time.Now).Revoke(e.ctx, id)
	if err != nil {
		return &exitError{exitNotFound, err}
	}
	word := "revoked"
	if !changed {
		word = "was revoked before"
	}
	_, err = fmt.Fprintf(e.stdout, "%s %s.\n", id, word)
	return err
}

func database(e *env, file string) (*config.Config, *pgxpool.Pool, error) {
	cfg, err := load(e, file, "CONNECTLINK_KEYSET")
	if err != nil {
		return nil, nil, err
	}
	pool, err := postgres.Open(e.ctx, postgres.Params{URL: cfg.DatabaseURL.Reveal(), AppName: "connectlink keys", MaxConns: 2})
	return cfg, pool, err
}

type keysetCommand struct {
	Create keysetCreateCommand `cmd:"" help:"Make a new keyset, for CONNECTLINK_KEYSET."`
	Rotate keysetRotateCommand `cmd:"" help:"Read a keyset, add a new primary key, print the result. Old keys still open what they sealed."`
}

type keysetCreateCommand struct{}

// Run prints a new keyset.
func (keysetCreateCommand) Run(e *env) error {
	k, err := seal.NewKeyset()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, k.Encode().Reveal())
	return err
}

type keysetRotateCommand struct{}

// Run rotates the keyset of CONNECTLINK_KEYSET or CONNECTLINK_KEYSET_FILE.
func (keysetRotateCommand) Run(e *env) error {
	text, ok := e.lookup("CONNECTLINK_KEYSET")
	if name, has := e.lookup("CONNECTLINK_KEYSET_FILE"); has && !ok {
		b, err := readFile(name)
		if err != nil {
			return fmt.Errorf("CONNECTLINK_KEYSET_FILE: %w", err)
		}
		text = b
	}
	k, err := seal.ParseKeyset(secret.New(strings.TrimSpace(text)))
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("CONNECTLINK_KEYSET: %w", err)}
	}
	if k, err = k.Rotate(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, k.Encode().Reveal())
	return err
}

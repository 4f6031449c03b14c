package main

import (
	"context"
	"io/fs"
	"log/slog"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
)

// Variables that some commands can do without.
const (
	keysetVariable   = "CONNECTLINK_KEYSET"
	databaseVariable = "CONNECTLINK_DATABASE_URL"
)

// settings are the flags of every command that reads the configuration.
type settings struct {
	ConfigFile string `name:"config" short:"c" placeholder:"FILE" type:"path" help:"YAML file; defaults to CONNECTLINK_CONFIG. Environment variables take precedence."`
}

// load reads the configuration, or says every fault of it. The keyset stays wrapped, if it
// is: unlock and loadUnlocked call the KMS.
func (s settings) load(e *env, mayLack ...string) (*config.Config, error) {
	cfg, err := config.Load(s.sources(e, checkKeyset, mayLack))
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return cfg, nil
}

func (s settings) sources(e *env, check func(secret.Text, string) error, mayLack []string) config.Sources {
	return config.Sources{File: s.ConfigFile, Env: e.lookup, Names: e.names, MayLack: mayLack, CheckKeyset: check, Mode: fileMode}
}

// loadUnlocked reads the configuration with the keyset in the clear, for a command that is
// run by hand: a KMS that does not answer fails it at once.
func (s settings) loadUnlocked(e *env, mayLack ...string) (*config.Config, error) {
	cfg, err := s.load(e, mayLack...)
	if err != nil {
		return nil, err
	}
	return cfg, unlock(e, cfg, 0)
}

func fileMode(name string) (fs.FileMode, error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	return info.Mode(), nil
}

// database reads the configuration as far as the database needs it, and opens
// it for the few statements of one command.
func (s settings) database(e *env) (*config.Config, *pgxpool.Pool, error) {
	cfg, err := s.load(e, keysetVariable)
	if err != nil {
		return nil, nil, err
	}
	pool, err := openPool(e.ctx, cfg, "connectlink keys")
	return cfg, pool, err
}

func openPool(ctx context.Context, cfg *config.Config, as string) (*pgxpool.Pool, error) {
	return postgres.Open(ctx, postgres.Params{URL: cfg.DatabaseURL.Reveal(), AppName: as, MaxConns: 2, Pooled: cfg.BehindPooler()})
}

func newLogger(e *env, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(e.stderr, &slog.HandlerOptions{Level: level}))
}

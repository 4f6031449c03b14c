package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/kms"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// checkKeyset checks a keyset without calling a KMS: its form, and that it is wrapped with
// the configured key, or with none if none is configured.
func checkKeyset(t secret.Text, kmsURI string) error {
	uri, wrapped := seal.FindWrapping(t)
	switch {
	case wrapped && kmsURI == "":
		return fmt.Errorf("the keyset is wrapped by a KMS: set %s to %s", config.KeysetKMSVariable, uri)
	case wrapped && uri != kmsURI:
		return fmt.Errorf("the keyset is wrapped with %s, and %s names another key: correct it, or wrap the keyset with the new key (`connectlink keyset wrap`)", uri, config.KeysetKMSVariable)
	case wrapped:
		return nil
	}
	if _, err := seal.ParseKeyset(t); err != nil {
		return err
	}
	if kmsURI != "" {
		return fmt.Errorf("%s is set, and the keyset is in the clear: wrap it with `connectlink keyset wrap`, or unset the variable", config.KeysetKMSVariable)
	}
	return nil
}

// unlock puts the keyset in the clear into cfg, if it is wrapped. A KMS that cannot be
// reached is asked again for within. A keyset is never replaced by another one.
func unlock(e *env, cfg *config.Config, within time.Duration) error {
	if _, wrapped := seal.FindWrapping(cfg.Keyset); !wrapped {
		return nil
	}
	return kms.Retry(e.ctx, within, newLogger(e, slog.LevelWarn), func(ctx context.Context) error {
		k, err := unwrapKeyset(ctx, cfg.Keyset)
		if err == nil {
			cfg.Keyset = k.Encode()
		}
		return err
	})
}

// unwrapKeyset asks the KMS that a wrapped keyset names.
func unwrapKeyset(ctx context.Context, t secret.Text) (*seal.Keyset, error) {
	uri, _ := seal.FindWrapping(t)
	kek, err := kms.Open(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keysetVariable, err)
	}
	k, err := seal.Unwrap(ctx, t, kek)
	if errors.Is(err, kms.ErrRefused) {
		return nil, fmt.Errorf("%s: %w; the process needs the right to decrypt with %s, under which the keyset was wrapped", keysetVariable, err, uri)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keysetVariable, err)
	}
	return k, nil
}

// printKeyset prints a keyset's text, and warns where it is in the clear (uri is "") and
// others can read it.
func printKeyset(e *env, text secret.Text, uri string) error {
	if uri == "" {
		warnReadable(e)
	}
	_, err := fmt.Fprintln(e.stdout, text.Reveal())
	return err
}

// encodeKeyset returns the text of a keyset, wrapped with the KMS key that uri names; "" leaves
// it in the clear. A wrapped text is unwrapped again, so that a KMS key that encrypts and does not decrypt is noticed before data depends on it.
func encodeKeyset(ctx context.Context, k *seal.Keyset, uri string) (secret.Text, error) {
	if uri == "" {
		return k.Encode(), nil
	}
	kek, err := kms.Open(ctx, uri)
	if err != nil {
		return secret.Text{}, fmt.Errorf("%s: %w", config.KeysetKMSVariable, err)
	}
	text, err := k.Wrap(ctx, uri, kek)
	if err != nil {
		return secret.Text{}, err
	}
	again, err := seal.Unwrap(ctx, text, kek)
	if err != nil {
		return secret.Text{}, fmt.Errorf("open the wrapped keyset again: %w", err)
	}
	if again.Encode().Reveal() != k.Encode().Reveal() {
		return secret.Text{}, seal.ErrKeysetDamaged
	}
	return text, nil
}

type keysetWrapCommand struct {
	settings
}

// Help is shown by keyset wrap --help.
func (keysetWrapCommand) Help() string {
	return "Reads CONNECTLINK_KEYSET and CONNECTLINK_KEYSET_KMS_URI, and prints the keyset to put in its place; nothing else changes. " +
		"A keyset that another KMS key wraps is unwrapped with that one first. The keys stay the same: no data is renewed."
}

// Run prints the wrapped keyset.
func (c *keysetWrapCommand) Run(e *env) error {
	cfg, k, err := c.loadEither(e)
	if err != nil {
		return err
	}
	if cfg.KeysetKMS == "" {
		return usageError("set %s to the key of the KMS", config.KeysetKMSVariable)
	}
	text, err := encodeKeyset(e.ctx, k, cfg.KeysetKMS)
	if err != nil {
		return err
	}
	return printKeyset(e, text, cfg.KeysetKMS)
}

type keysetUnwrapCommand struct {
	settings
}

// Help is shown by keyset unwrap --help.
func (keysetUnwrapCommand) Help() string {
	return "Prints the keyset in the clear, for a move away from the KMS or a copy that does not depend on it. The keys stay the same. " +
		"Anyone with it and the database can read all data."
}

// Run prints the keyset in the clear.
func (c *keysetUnwrapCommand) Run(e *env) error {
	cfg, k, err := c.loadEither(e)
	if err != nil {
		return err
	}
	if _, wrapped := seal.FindWrapping(cfg.Keyset); !wrapped {
		return usageError("%s is not wrapped", keysetVariable)
	}
	return printKeyset(e, k.Encode(), "")
}

// loadEither reads the configuration and the keyset, whether or not the keyset is wrapped as
// configured.
func (s settings) loadEither(e *env) (*config.Config, *seal.Keyset, error) {
	check := func(t secret.Text, _ string) error {
		if _, wrapped := seal.FindWrapping(t); wrapped {
			return nil
		}
		_, err := seal.ParseKeyset(t)
		return err
	}
	cfg, err := config.Load(s.sources(e, check, []string{databaseVariable}))
	if err != nil {
		return nil, nil, &exitError{exitUsage, err}
	}
	if _, wrapped := seal.FindWrapping(cfg.Keyset); wrapped {
		k, err := unwrapKeyset(e.ctx, cfg.Keyset)
		return cfg, k, err
	}
	k, err := seal.ParseKeyset(cfg.Keyset)
	return cfg, k, err
}

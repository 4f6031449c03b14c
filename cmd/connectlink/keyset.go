package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/seal"
)

type keysetCommand struct {
	Create keysetCreateCommand `cmd:"" help:"Print a new keyset, for CONNECTLINK_KEYSET."`
	Rotate keysetRotateCommand `cmd:"" help:"Print the configured keyset with a new primary key. Data sealed with old keys can still be opened."`
	Reseal keysetResealCommand `cmd:"" help:"Renew everything under old keys with the primary key, while the service runs. Can be stopped at any time, and goes on from there."`
	Status keysetStatusCommand `cmd:"" help:"List the keys, the number of values under each, and how far keyset reseal is."`
	Wrap   keysetWrapCommand   `cmd:"" help:"Print the configured keyset, wrapped with the KMS key that CONNECTLINK_KEYSET_KMS_URI names. The keys stay the same."`
	Unwrap keysetUnwrapCommand `cmd:"" help:"Print the configured keyset in the clear. The keys stay the same."`
	Forget keysetForgetCommand `cmd:"" help:"Give up the rows of lost keys, so that the service starts without them."`
}

type keysetCreateCommand struct {
	settings
	Out string `help:"Write to this file, which must not exist yet and which only its owner can read, instead of printing." placeholder:"FILE"`
}

// Help is shown by keyset create --help.
func (keysetCreateCommand) Help() string {
	return "The keyset seals addresses, links and all other personal data: anyone with both the keyset and the database can read all of it, " +
		"and without the keyset nothing can be read. Store it like a password, with a copy in another place. " +
		"With CONNECTLINK_KEYSET_KMS_URI set it is wrapped by that KMS key, and is of no use without the KMS."
}

// Run prints a new keyset.
func (c *keysetCreateCommand) Run(e *env) error {
	uri, err := config.LoadKeysetKMS(c.sources(e, nil, nil))
	if err != nil {
		return &exitError{exitUsage, err}
	}
	k, err := seal.NewKeyset()
	if err != nil {
		return err
	}
	text, err := encodeKeyset(e.ctx, k, uri) // before there is a file
	if err != nil {
		return err
	}
	if c.Out == "" {
		return printKeyset(e, text, uri)
	}
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usageError("--out: %v", err)
	}
	_, err = fmt.Fprintln(f, text.Reveal())
	return errors.Join(err, f.Close())
}

type keysetRotateCommand struct {
	settings
	Introduce bool `xor:"step" help:"Step 1 of 3: add a new key without using it."`
	Promote   bool `xor:"step" help:"Step 2 of 3: seal with the newest key from now on."`
	Retire    bool `xor:"step" help:"Step 3 of 3, after keyset reseal: drop every key but the primary one. Refused while rows of another key are left. Reads the database."`

	KeepHashing bool `help:"With --retire: drop the old sealing keys alone. What old hashing keys hashed is still found."`
}

// Help is shown by keyset rotate --help.
func (keysetRotateCommand) Help() string {
	return "Reads CONNECTLINK_KEYSET (or its file) and prints the keyset to put in its place; nothing else changes.\n\n" +
		"Where every process restarts at once, one step does: `connectlink keyset rotate`. " +
		"Where old and new processes run side by side, the old ones could not read what the new ones write. There, " +
		"rotate with --introduce and deploy the result everywhere, then with --promote and deploy that. " +
		"`connectlink keyset reseal` then renews all data of the old key, and --retire drops the key."
}

// Run prints the next keyset.
func (c *keysetRotateCommand) Run(e *env) error {
	mayLack := []string{databaseVariable}
	if c.Retire {
		mayLack = nil
	}
	if c.KeepHashing && !c.Retire {
		return usageError("--keep-hashing is a part of --retire: add it")
	}
	cfg, err := c.loadUnlocked(e, mayLack...)
	if err != nil {
		return err
	}
	old, err := seal.ParseKeyset(cfg.Keyset)
	if err != nil {
		return usageError("%s: %w", keysetVariable, err)
	}
	step := old.Rotate
	switch {
	case c.Introduce:
		step = old.Introduce
	case c.Promote:
		step = old.Promote
	case c.Retire:
		step = old.Retire
		if c.KeepHashing {
			step = old.RetireSealing
		}
	}
	next, err := step()
	if err != nil {
		return err
	}
	if next.Encode().Reveal() == old.Encode().Reveal() {
		return errors.New("that step changes nothing: the keyset is already there")
	}
	text, err := encodeKeyset(e.ctx, next, cfg.KeysetKMS) // before anything is recorded
	if err != nil {
		return err
	}
	if c.Retire {
		if err := retireKeys(e, cfg, old.IDs(), next.IDs()); err != nil {
			return err
		}
	}
	return printKeyset(e, text, cfg.KeysetKMS)
}

// warnReadable warns of a keyset in the clear that goes into a file that others can read.
func warnReadable(e *env) {
	if f, ok := e.stdout.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
			e.say("warning: every user of this machine can read the file that this is written to: chmod 600 it")
		}
	}
}

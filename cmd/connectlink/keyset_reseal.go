package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/reseal"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/keyring"
)

// wholeTable is the most time for a statement that reads a whole table.
const wholeTable = time.Hour

// keysDatabase opens the database for statements that read whole tables.
func keysDatabase(ctx context.Context, cfg *config.Config) (*pgxpool.Pool, error) {
	return postgres.Open(ctx, postgres.Params{
		URL: cfg.DatabaseURL.Reveal(), AppName: "connectlink keyset", MaxConns: 2, Pooled: cfg.BehindPooler(), StatementTimeout: wholeTable,
	})
}

// keysOf returns the ids of the configured keyset.
func keysOf(cfg *config.Config) (seal.KeyIDs, error) {
	keyset, err := seal.ParseKeyset(cfg.Keyset)
	if err != nil {
		return seal.KeyIDs{}, usageError("%s: %w", keysetVariable, err)
	}
	return keyset.IDs(), nil
}

// openKeys reads the configuration and the ids of its keyset, and opens the database for
// statements that read whole tables.
func (s settings) openKeys(e *env) (*config.Config, seal.KeyIDs, *pgxpool.Pool, error) {
	cfg, err := s.loadUnlocked(e)
	if err != nil {
		return nil, seal.KeyIDs{}, nil, err
	}
	ids, err := keysOf(cfg)
	if err != nil {
		return nil, seal.KeyIDs{}, nil, err
	}
	pool, err := keysDatabase(e.ctx, cfg)
	return cfg, ids, pool, err
}

// clearKeys records that no rows of keys are left or that they are given up, and the act.
func clearKeys(ctx context.Context, pool *pgxpool.Pool, act access.Act, ids seal.KeyIDs) error {
	return postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		if err := keyring.SetCleared(ctx, tx, ids); err != nil {
			return err
		}
		return insertKeysAct(ctx, tx, act, ids)
	})
}

// insertKeysAct adds an entry about keys to the audit log.
func insertKeysAct(ctx context.Context, tx pgx.Tx, act access.Act, ids seal.KeyIDs) error {
	return account.InsertAudit(ctx, tx, account.Entry{By: operatorPrincipal(), Act: act, Data: map[string]string{
		"sealing_keys": joinKeys(ids.Sealing), "hashing_keys": joinKeys(ids.Hashing),
	}})
}

func joinKeys(ids []uint32) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatUint(uint64(id), 10)
	}
	return strings.Join(words, " ")
}

// retireKeys checks that nothing depends on the keys that next lacks, and records it.
func retireKeys(e *env, cfg *config.Config, old, next seal.KeyIDs) error {
	pool, err := keysDatabase(e.ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := reseal.CheckRetired(e.ctx, pool, next); err != nil {
		return err
	}
	gone := func(had, has []uint32) []uint32 {
		return slices.DeleteFunc(slices.Clone(had), func(k uint32) bool { return slices.Contains(has, k) })
	}
	return clearKeys(e.ctx, pool, reseal.ActRetired, seal.KeyIDs{Sealing: gone(old.Sealing, next.Sealing), Hashing: gone(old.Hashing, next.Hashing)})
}

type keysetResealCommand struct {
	settings
	Status    bool `help:"Only show how far it is; the same as keyset status."`
	FullSpeed bool `help:"Do not rest between batches. By default half of the time is rest, for the processes that serve."`
}

// Help is shown by keyset reseal --help.
func (keysetResealCommand) Help() string {
	return "Run it after `keyset rotate --promote` was deployed to every process; it refuses to start before. It renews sealed values and the hashes " +
		"by which people, accounts and suppressions are found, table by table, in small transactions. Its cursor is in the database: " +
		"a run that was stopped or killed goes on from there. The console's System page and the metric connectlink_reseal_progress_ratio show the progress."
}

// Run renews all tables and names the rest.
func (c *keysetResealCommand) Run(e *env) error {
	if c.Status {
		return (&keysetStatusCommand{settings: c.settings}).Run(e)
	}
	cfg, ids, pool, err := c.openKeys(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	rest := 1.0
	if c.FullSpeed {
		rest = 0
	}
	shown := ""
	service, err := app.Resealer(cfg, pool, rest, newLogger(e, slog.LevelWarn), func(p keyring.Progress) {
		// A line for each tenth of a table.
		if line := fmt.Sprintf("%s: pass %d, %d0 %%", p.Table, p.Pass, int(p.Share()*10)); line != shown {
			shown = line
			e.say("%s, %d rows renewed", line, p.Renewed)
		}
	})
	if err != nil {
		return err
	}
	if err := service.Run(e.ctx); err != nil {
		return err
	}
	primary := seal.KeyIDs{Sealing: ids.Sealing[:1], Hashing: ids.Hashing[:1]}
	err = postgres.InTx(e.ctx, pool, func(tx pgx.Tx) error { return insertKeysAct(e.ctx, tx, reseal.ActResealed, primary) })
	if err != nil {
		return err
	}
	all, err := reseal.ListStanding(e.ctx, pool)
	if err != nil {
		return err
	}
	left := reseal.Under(all, primary)
	if len(left) == 0 {
		_, err = fmt.Fprintln(e.stdout, "Everything is under the primary keys. `connectlink keyset rotate --retire` drops the others.")
		return err
	}
	_, err = fmt.Fprintln(e.stdout, "Left under other keys, because the rows do not tell what their hashes are of, or are damaged:")
	for _, s := range left {
		if err == nil {
			_, err = fmt.Fprintf(e.stdout, "  %s: %d under %s key %d%s\n", s.Column, s.N, s.Half, s.Key, inBrackets(s.Waits))
		}
	}
	return err
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

type keysetStatusCommand struct {
	settings
}

// Help is shown by keyset status --help.
func (keysetStatusCommand) Help() string {
	return "Counts all values by key, which reads every table with sealed data and takes minutes in a large database."
}

// Run prints keys, values, processes and progress.
func (c *keysetStatusCommand) Run(e *env) error {
	_, ids, pool, err := c.openKeys(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	all, err := reseal.ListStanding(e.ctx, pool)
	if err != nil {
		return err
	}
	processes, err := keyring.ListProcesses(e.ctx, pool, reseal.SeenWithin)
	if err != nil {
		return err
	}
	progress, err := keyring.ListProgress(e.ctx, pool)
	if err != nil {
		return err
	}
	var b strings.Builder
	printKeys(&b, ids, all)
	writes := 0
	for _, p := range processes {
		if p.WritesWith(keyring.Primary{Sealing: ids.Sealing[0], Hashing: ids.Hashing[0]}) {
			writes++
		}
	}
	fmt.Fprintf(&b, "\nRunning processes: %d; with the primary keys of this keyset: %d\n", len(processes), writes)
	printProgress(&b, ids, progress)
	_, err = fmt.Fprint(e.stdout, b.String())
	return err
}

// printKeys lists the keys of the keyset and those that values are under, and where the
// values of keys other than the primary ones are.
func printKeys(b *strings.Builder, ids seal.KeyIDs, all []reseal.Standing) {
	w := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "HALF\tKEY\tSTATE\tVALUES")
	for _, half := range []keyring.Half{keyring.Sealing, keyring.Hashing} {
		keys := ids.Sealing
		if half == keyring.Hashing {
			keys = ids.Hashing
		}
		counts, known := map[uint32]int64{}, slices.Clone(keys)
		for _, s := range all {
			if s.Half != half {
				continue
			}
			counts[s.Key] += s.N
			if !slices.Contains(known, s.Key) {
				known = append(known, s.Key)
			}
		}
		for i, key := range known {
			state := "old"
			switch {
			case i == 0:
				state = "primary"
			case i >= len(keys):
				state = "MISSING"
			}
			_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%d\n", half, key, state, counts[key])
		}
	}
	_ = w.Flush()
	others := reseal.Under(all, seal.KeyIDs{Sealing: ids.Sealing[:1], Hashing: ids.Hashing[:1]})
	if len(others) > 0 {
		b.WriteString("\nUnder other keys than the primary ones:\n")
	}
	for _, s := range others {
		fmt.Fprintf(b, "  %s: %d under %s key %d%s\n", s.Column, s.N, s.Half, s.Key, inBrackets(s.Waits))
	}
}

func printProgress(b *strings.Builder, ids seal.KeyIDs, list []keyring.Progress) {
	if len(list) == 0 {
		b.WriteString("\nkeyset reseal was not run yet.\n")
		return
	}
	b.WriteString("\n")
	w := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "TABLE\tRESEAL\tPASS\tRENEWED\tLEFT")
	for _, p := range list {
		state := fmt.Sprintf("%d %%", int(p.Share()*100))
		switch {
		case !p.Toward(keyring.Primary{Sealing: ids.Sealing[0], Hashing: ids.Hashing[0]}):
			state = "of another key"
		case p.FinishedAt != nil:
			state = "done " + p.FinishedAt.UTC().Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", p.Table, state, p.Pass, p.Renewed, p.Skipped)
	}
	_ = w.Flush()
}

type keysetForgetCommand struct {
	settings
	Key []string `arg:"" help:"Ids of the lost keys, as keyset status and the service's log name them."`
	Yes bool     `help:"Confirm: nothing under these keys can be opened or found again, and people who opted out under them are written to again." required:""`
}

// Run records that the rows of keys are given up.
func (c *keysetForgetCommand) Run(e *env) error {
	cfg, err := c.loadUnlocked(e)
	if err != nil {
		return err
	}
	ids, err := keysOf(cfg)
	if err != nil {
		return err
	}
	var lost []uint32
	var faults []error
	for _, text := range c.Key {
		key, err := strconv.ParseUint(text, 10, 32)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("%s: not the id of a key, which is a number", text))
		case slices.Contains(ids.Sealing, uint32(key)) || slices.Contains(ids.Hashing, uint32(key)):
			faults = append(faults, fmt.Errorf("%s: is in the keyset, so it is not lost", text))
		default:
			lost = append(lost, uint32(key))
		}
	}
	if len(faults) > 0 {
		return usageError("%w", errors.Join(faults...))
	}
	pool, err := keysDatabase(e.ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	// The halves have ids of their own; a number that is none of a half changes nothing.
	if err := clearKeys(e.ctx, pool, reseal.ActForgotten, seal.KeyIDs{Sealing: lost, Hashing: lost}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "Given up: the rows of %s. The service starts without these keys.\n", strings.Join(c.Key, ", "))
	return err
}

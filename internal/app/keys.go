package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/reseal"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/keyring"
)

const (
	// keysEvery is how often a process records the keys that it holds.
	keysEvery = 30 * time.Second
	// missingCounted is where counting rows of a missing key ends.
	missingCounted = 10_000
)

// ErrMissingKeys means that suppressions stand under keys that the keyset lacks: their
// people would be written to.
var ErrMissingKeys = errors.New("the keyset lacks keys that suppressions are hashed with, so people who opted out would be written to")

// ErrKeysUnchecked means that the search for suppressions under missing keys failed.
var ErrKeysUnchecked = errors.New("the keys of suppressions could not be checked")

// MissingKeys counts the rows under keys that the keyset lacks. Errors: ErrMissingKeys
// if suppressions are among them, ErrKeysUnchecked if suppressions could not be read.
func MissingKeys(ctx context.Context, db *pgxpool.Pool, ids seal.KeyIDs) ([]reseal.Standing, error) {
	suppressions, err := reseal.ListMissingSuppressions(ctx, db, ids, missingCounted)
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrKeysUnchecked, err)
	case len(suppressions) > 0:
		err = ErrMissingKeys
	}
	rows, fault := reseal.ListMissing(ctx, db, ids, missingCounted)
	return append(suppressions, rows...), errors.Join(err, fault)
}

// openKeys records the keys of this process, and names rows under keys that it lacks.
func (a *App) openKeys(ctx context.Context) error {
	a.resealed = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "connectlink_reseal_progress_ratio", Help: "Share of a table that `keyset reseal` went over, 0 to 1; 1 when it is done.",
	}, []string{"table"})
	a.missingRows = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "connectlink_missing_key_rows", Help: "Values under a key that the keyset lacks, by column, counted at the start up to 10000.",
	}, []string{"column"})
	a.registry.MustRegister(a.resealed, a.missingRows)
	rows, err := MissingKeys(ctx, a.work, a.box.KeyIDs())
	for _, r := range rows {
		a.missingRows.WithLabelValues(r.Column).Add(float64(r.N))
	}
	if len(rows) > 0 {
		a.log.Error("rows cannot be opened or found: the keyset lacks their keys", "rows", reseal.List(rows))
	}
	switch {
	case errors.Is(err, ErrMissingKeys):
		return fmt.Errorf("%w (%s): start with the keyset that has them, or give those rows up with `connectlink keyset forget`", ErrMissingKeys, reseal.List(rows))
	case errors.Is(err, ErrKeysUnchecked):
		return err
	case err != nil:
		a.log.Warn("rows of missing keys could not all be counted; `connectlink keyset status` counts without a time limit", "err", err)
	}
	return a.tellKeys(ctx)
}

// tellKeys records the keys of this process, and reads how far re-sealing is.
func (a *App) tellKeys(ctx context.Context) error {
	if err := keyring.SetSeen(ctx, a.work, a.process, a.box.KeyIDs()); err != nil {
		return err
	}
	list, err := keyring.ListProgress(ctx, a.work)
	for _, p := range list {
		a.resealed.WithLabelValues(p.Table).Set(p.Share())
	}
	return err
}

// runKeys goes on recording until ctx ends.
func (a *App) runKeys(ctx context.Context) error {
	t := time.NewTicker(keysEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			// Best effort: the record is ignored after some minutes.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = keyring.DeleteSeen(ctx, a.work, a.process)
			return nil
		case <-t.C:
			if err := a.tellKeys(ctx); err != nil && ctx.Err() == nil {
				a.log.WarnContext(ctx, "the keys of this process are not recorded", "err", err)
			}
		}
	}
}

// Resealer makes the service that renews rows for a command.
func Resealer(cfg *config.Config, db *pgxpool.Pool, rest float64, log *slog.Logger, report func(keyring.Progress)) (*reseal.Service, error) {
	keyset, err := seal.ParseKeyset(cfg.Keyset)
	if err != nil {
		return nil, err
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		return nil, err
	}
	return reseal.New(reseal.Params{DB: db, Box: box, Projects: cfg.Projects, Rest: rest, Log: log, Report: report})
}

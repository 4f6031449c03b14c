package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/migrations"
)

const (
	startFirst = 100 * time.Millisecond // pause after a start that failed
	startMax   = 2 * time.Second
)

// start starts River. Its first connection has no patience of its own: a
// database that is slow or away for a moment, as after an outage when all
// processes start at once, must not end this one. Errors that do not pass are
// returned at once.
func (w *Worker) start(ctx context.Context, cfg *river.Config) (*river.Client[pgx.Tx], error) {
	until := time.Now().Add(w.p.StartWithin)
	for pause := startFirst; ; pause = min(2*pause, startMax) {
		client, err := w.tryStart(ctx, cfg)
		if ctx.Err() != nil && err != nil {
			return nil, ctx.Err() // a stop while the database is away is an orderly end
		}
		if err == nil || !postgres.IsPassing(err) || time.Now().After(until) {
			return client, err
		}
		w.p.Log.WarnContext(ctx, "background work waits for the database", "err", postgres.Translate(err))
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
	}
}

func (w *Worker) tryStart(ctx context.Context, cfg *river.Config) (*river.Client[pgx.Tx], error) {
	owner, err := w.ownsJobs(ctx)
	if err != nil {
		return nil, err
	}
	if !owner {
		cfg.ReindexerSchedule = river.NeverSchedule() // it would fail each night
	}
	client, err := river.NewClient(riverpgxv5.New(w.p.DB), cfg)
	if err != nil {
		return nil, fmt.Errorf("make River's client: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return nil, fmt.Errorf("start River: %w", postgres.Translate(err))
	}
	return client, nil
}

// ownsJobs reports whether the program's role owns River's tables, as only an owner may
// rebuild their indexes.
func (w *Worker) ownsJobs(ctx context.Context) (bool, error) {
	var owner bool
	err := w.p.DB.QueryRow(ctx, `SELECT coalesce(bool_and(pg_has_role(c.relowner, 'USAGE')), false)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'`, migrations.RiverSchema).Scan(&owner)
	if err != nil {
		return false, fmt.Errorf("look at the owner of River's tables: %w", postgres.Translate(err))
	}
	return owner, nil
}

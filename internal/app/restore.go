package app

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/restore"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/recovery"
)

// Restorer makes what takes a restored database into use, for a command.
func Restorer(cfg *config.Config, db *pgxpool.Pool, by access.Principal) (*restore.Service, error) {
	keyset, err := seal.ParseKeyset(cfg.Keyset)
	if err != nil {
		return nil, err
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		return nil, err
	}
	return restore.New(restore.Params{DB: db, Box: box, Publish: publish.NewOutbox(box).Enqueue, By: by})
}

// RestoreProgress is the last declared restore and what became of its messages.
type RestoreProgress = recovery.Progress

// CheckDatabase refuses a database that was restored and not declared, and finds the
// last declared restore, if any. Errors: recovery.ErrRestored, recovery.ErrCopied,
// recovery.ErrHidden.
func CheckDatabase(ctx context.Context, db *pgxpool.Pool) (RestoreProgress, bool, error) {
	if err := recovery.Check(ctx, db); err != nil {
		return RestoreProgress{}, false, err
	}
	return recovery.FindProgress(ctx, db)
}

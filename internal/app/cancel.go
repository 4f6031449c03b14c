package app

import (
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Canceller makes what revokes invites for a command, without a process that
// serves: it can cancel and count, and has no vendors.
func Canceller(cfg *config.Config, db *pgxpool.Pool, log *slog.Logger) (*issue.Service, error) {
	keyset, err := seal.ParseKeyset(cfg.Keyset)
	if err != nil {
		return nil, err
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		return nil, err
	}
	// It mints and sends nothing, so it needs no vendors and wakes no worker.
	outbox := publish.NewOutbox(box)
	pauses, err := pause.NewBoard(db, log)
	if err != nil {
		return nil, err
	}
	return issue.New(issue.Params{
		DB: db, Box: box, Project: cfg.Project, Publish: outbox.Enqueue, Announce: outbox.Created, Log: log,
		Minters: func(invite.Place, string) (*mint.Minter, bool) { return nil, false },
		Senders: func(invite.Place) []string { return nil }, OneWay: func(invite.Place) bool { return false }, Wake: func(invite.Lane) {},
		Uses: func(quota.Message) []ledger.Use { return nil }, Pauses: pauses,
	})
}

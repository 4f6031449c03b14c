package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/provider"
)

// againAfter is the time until data in transit during an erasure has arrived:
// calls have ended, and their results waited for the database for two minutes at
// most.
const againAfter = 5 * time.Minute

func (a *App) openErase() (err error) {
	p := erase.Params{
		DB: a.work, Box: a.box, Senders: a.textSenders, Redactor: a.redactor, Keep: a.keep, Publish: a.follow,
		Later: a.eraseLater, Log: a.log, Metrics: a.registry,
	}
	if a.standins != nil {
		p.Inbox = a.standins.sandbox
	}
	a.Erase, err = erase.New(p)
	return err
}

func (a *App) redactor(name string, place invite.Place) (provider.Redactor, bool) {
	p, ok := a.provider(name, place)
	if !ok {
		return nil, false
	}
	return p.Redactor, true
}

// keep is how long a project keeps invites that ended; one that is not
// configured any more as long as one that says nothing.
func (a *App) keep(project string) time.Duration {
	if p, ok := a.cfg.Project(project); ok {
		return p.Retention
	}
	return config.DefaultRetention
}

func (a *App) eraseLater(ctx context.Context, tx pgx.Tx, ids []invite.ID) error {
	_, err := a.jobs.InsertTx(ctx, tx, job.EraseAgain{Invites: ids}, &river.InsertOpts{ScheduledAt: a.opt.Now().Add(againAfter)})
	if err != nil {
		return fmt.Errorf("enqueue the second sweep of an erasure: %w", err)
	}
	return nil
}

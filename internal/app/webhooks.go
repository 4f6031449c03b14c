package app

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/publish"
)

// openEndpoints makes what owns webhook endpoints and, in a process that works, what
// posts events to them.
func (a *App) openEndpoints() (err error) {
	a.endpoints, err = publish.NewEndpoints(publish.EndpointParams{
		DB: a.api, Box: a.box, Project: a.cfg.Project, Courier: a.courier, Lookup: lookUpHook,
		AllowPrivate: a.opt.Laptop, Now: a.opt.Now,
	})
	if err != nil || !a.runsWorkers() {
		return err
	}
	a.runner, err = publish.NewRunner(publish.RunnerParams{
		DB: a.work, Box: a.box, Project: a.cfg.Project, Courier: a.courier, Tracer: a.opt.Tracer, Metrics: a.registry, Log: a.log, Now: a.opt.Now,
	})
	if err == nil {
		a.outbox.WakeBy(a.runner.Wake)
	}
	return err
}

// lookUpWithin bounds the look-up of a webhook's name while its creator waits.
const lookUpWithin = 3 * time.Second

func lookUpHook(ctx context.Context, network, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

// How often the start looks for a database that is away for a moment.
const configureAgain = 500 * time.Millisecond

// configureWebhooks stores the webhooks of the configuration before the process serves
// and works: what happens from then on is queued for them. A database that is away for a
// moment must not end the start.
func (a *App) configureWebhooks(ctx context.Context) error {
	for until := time.Now().Add(a.cfg.DatabaseWait); ; {
		err := a.endpoints.Configure(ctx, a.cfg.Projects)
		if err == nil || ctx.Err() != nil || !postgres.IsPassing(err) || time.Now().After(until) {
			return err
		}
		a.log.WarnContext(ctx, "the start waits for the database", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(configureAgain):
		}
	}
}

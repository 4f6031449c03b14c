package app

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/httpapi"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/watch"
	"github.com/connectlink/connectlink/internal/web"
)

const (
	// Links that an app may ask for: a person taps a few times.
	opensPerMinute = 10
	// Reads that one client token is good for: who asks every second is well
	// below it, and a loop without a pause is not.
	readsPerMinute = 120
)

func (a *App) openWatch() {
	a.waiting = watch.New(watch.Params{
		Versions: func(ctx context.Context, ids []invite.ID) (map[invite.ID]int, error) {
			return find.Versions(ctx, a.api, ids)
		},
		Log: a.log,
	})
	a.streams = web.NewStreams(web.StreamParams{})
	a.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "connectlink_open_streams", Help: "Event streams that are open to clients.",
	}, func() float64 { return float64(a.streams.Open()) }))
	a.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "connectlink_waiting_requests", Help: "Requests that wait for an invite to move.",
	}, func() float64 { return float64(a.waiting.Waiting()) }))
}

// tell says, once the transaction has committed, that an invite moved: to who
// waits here, and to the other processes. They are told only of what changes
// the invite itself. What merely adds to its timeline, every step of every
// message among it, is found by those who wait when they look next, within a
// second; dispatch need not pay for notifying anyone.
func (a *App) tell(tx pgx.Tx, applied ledger.Applied) {
	before, after := applied.Before, applied.State
	told := before.Status != after.Status || before.Progress != after.Progress || before.AccountID != after.AccountID ||
		!before.ExpiresAt.Equal(after.ExpiresAt)
	postgres.AfterCommit(tx, func() {
		if told {
			a.tellMoved(applied.ID)
			return
		}
		a.waiting.Moved(applied.ID)
	})
}

// tellMoved tells all processes that something beside an invite changed.
func (a *App) tellMoved(id invite.ID) {
	a.waiting.Moved(id)
	a.notifier.Notify(watch.Channel, id.String())
}

// hearOthers listens, on one connection, for what other processes have to say:
// that they accepted something, and that invites moved.
func (a *App) hearOthers(ctx context.Context, g *errgroup.Group) {
	l := postgres.NewListener(postgres.ListenerParams{URL: a.cfg.DatabaseDirectURL.Reveal(), Log: a.log})
	if a.runsWorkers() {
		accepted := l.Listen(dispatch.WakeChannel)
		g.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-accepted:
					a.dispatcher.Wake()
				}
			}
		})
	}
	if a.serves() {
		moved := l.Listen(watch.Channel)
		g.Go(func() error { return orderlyEnd(ctx, a.waiting.Run(ctx, moved)) })
	}
	g.Go(func() error { return orderlyEnd(ctx, l.Run(ctx)) })
}

// inApp is what products' own apps are served with.
func (a *App) inApp() httpapi.InApp {
	return httpapi.InApp{
		Clients: a.Grants, Holders: a.Grants, Opener: a.visit, Waiting: a.waiting,
		Opens:   limit.New(limit.Per(opensPerMinute, time.Minute), opensPerMinute, a.opt.Now),
		Reads:   limit.New(limit.Per(readsPerMinute, time.Minute), readsPerMinute, a.opt.Now),
		Streams: a.streams, AllowsOrigin: a.allowsOrigin,
	}
}

// allowsOrigin reports whether pages of an origin may call /v1/client/ for a
// project, or for any where project is empty.
func (a *App) allowsOrigin(project, origin string) bool {
	return slices.ContainsFunc(a.cfg.Projects, func(p config.Project) bool {
		return (project == "" || p.ID == project) && p.AllowsOrigin(origin)
	})
}

// appLinks gathers the apps of all projects: they share this host.
func appLinks(cfg *config.Config) httpapi.AppLinks {
	var links httpapi.AppLinks
	index := map[string]int{} // of packages
	for _, p := range cfg.Projects {
		links.Apple = append(links.Apple, p.AppleAppIDs...)
		for _, entry := range p.AndroidApps {
			pkg, fingerprint := config.SplitAndroidApp(entry)
			i, ok := index[pkg]
			if !ok {
				i, index[pkg] = len(links.Android), len(links.Android)
				links.Android = append(links.Android, httpapi.AndroidApp{Package: pkg})
			}
			links.Android[i].Fingerprints = append(links.Android[i].Fingerprints, fingerprint)
		}
	}
	return links
}

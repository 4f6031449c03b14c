package app

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/audit"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/logo"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/survey"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/warn"
	"github.com/connectlink/connectlink/internal/worker"
)

// pollsPerSecond is the share of Pipedream's limit (2,000 reads in 5 minutes
// for a project) that looking for missed connections may use.
const pollsPerSecond = 5

// confirmAfter is when a connection that a webhook spoke of is looked for again.
const confirmAfter = 10 * time.Second

func (a *App) openVendors(ctx context.Context) error {
	shop := clientFactory{
		tracer: a.opt.Tracer, mints: mint.NewMetrics(a.registry), wantLogo: func(source string) { a.logos.Want(source) },
		cfg: a.cfg, box: a.box, publicURL: a.public, now: a.opt.Now, reporting: a.receipts.last,
		budget: limit.New(limit.Per(mintsPerMinute, time.Minute), mintsPerMinute, a.opt.Now),
	}
	a.vendors = make(map[invite.Place]*vendors)
	if a.cfg.SandboxEnabled {
		if err := a.openStandins(ctx); err != nil {
			return err
		}
	}
	a.logos = logo.New(logo.Params{DB: a.work, Hosts: a.cfg.LogoHosts, Standin: a.standinLogos(), Log: a.log})
	for _, p := range a.cfg.Projects {
		live, err := shop.open(p, true, a.liveCallbacks(p))
		if err != nil {
			return err
		}
		a.vendors[invite.Place{Project: p.ID, Live: true}] = live
		if a.standins == nil {
			continue
		}
		test, err := shop.open(a.standins.sandboxed(p), false, a.testCallbacks())
		if err != nil {
			return fmt.Errorf("test mode: %w", err)
		}
		a.vendors[invite.Place{Project: p.ID}] = test
	}
	return nil
}

// testCallbacks is where test mode's vendors reach us. They report from the
// process that works; where that is another one, it may be on another machine.
func (a *App) testCallbacks() string {
	if a.runsWorkers() || a.public == "" {
		return a.base
	}
	return a.public
}

// liveCallbacks is where live vendors reach us. It is sent to them only where
// they can: the public internet, or stand-ins on this machine.
func (a *App) liveCallbacks(p config.Project) string {
	if a.cfg.CallbacksReachable(p.Pipedream.APIURL) {
		return a.public
	}
	return ""
}

func (a *App) openDispatch() (err error) {
	a.dispatcher, err = dispatch.New(dispatch.Params{
		DB: a.work, DirectURL: a.cfg.DatabaseDirectURL, Sockets: a.sockets, Box: a.box, Minters: a.minter, Senders: a.senders, Pace: a.pace,
		Project: a.cfg.Project, Composer: a.composer, CallbackURL: a.attemptCallback,
		BlockKeys: a.blockKeys, Publish: a.follow, Log: a.log, Tracer: a.opt.Tracer, Metrics: a.registry, Now: a.opt.Now,
		Lease: a.cfg.LeaseFor, Renew: a.cfg.RenewEvery, Pauses: a.pauses, InFlight: a.shares.sends, PerLane: a.shares.lane,
	})
	return err
}

func (a *App) openWorker() error {
	limits, err := warn.New(warn.Params{DB: a.work, Alerts: a.outbox, Metrics: a.registry, Log: a.log})
	if err != nil {
		return err
	}
	chain, err := audit.New(a.work, a.log)
	if err != nil {
		return err
	}
	counted, err := survey.New(survey.Params{DB: a.work, Box: a.box, Projects: a.cfg.Projects, Alerts: a.outbox, Metrics: a.registry, Log: a.log})
	if err != nil {
		return err
	}
	a.worker = worker.New(worker.Params{
		StartWithin: a.cfg.DatabaseWait,
		DB:          a.work, Track: a.track, Courier: a.courier, Issue: a.Issue, Erase: a.Erase, Warn: limits, Firewall: a.firewall, Survey: counted, Staff: a.Staff, Audit: chain, Pooled: a.cfg.BehindPooler(), Metrics: a.registry, Log: a.log,
	})
	return nil
}

func (a *App) minter(place invite.Place, environment string) (*mint.Minter, bool) {
	v, ok := a.vendors[place]
	if !ok {
		return nil, false
	}
	m, ok := v.minters[environment]
	return m, ok
}

func (a *App) senders(place invite.Place, c invite.Channel) []provider.Sender {
	v, ok := a.vendors[place]
	if !ok {
		return nil
	}
	return v.senders(c)
}

// watched are the projects and modes whose connected accounts are checked.
func (a *App) watched() []invite.Place {
	var out []invite.Place
	for _, p := range a.cfg.Projects {
		if p.WatchConnections != config.WatchDaily {
			continue
		}
		for _, live := range []bool{false, true} {
			if place := (invite.Place{Project: p.ID, Live: live}); a.vendors[place] != nil {
				out = append(out, place)
			}
		}
	}
	return out
}

// reconnects reports whether a project wants an invite for an account that became
// unhealthy.
func (a *App) reconnects(project string) bool {
	p, ok := a.cfg.Project(project)
	return ok && p.OnUnhealthy == config.UnhealthyInvite && p.MaxReconnects > 0
}

func (a *App) accounts(place invite.Place, environment string) (track.Accounts, bool) {
	v, ok := a.vendors[place]
	if !ok {
		return nil, false
	}
	c, ok := v.pipedreams[environment]
	return c, ok
}

func (a *App) provider(name string, place invite.Place) (*provider.Provider, bool) {
	v, ok := a.vendors[place]
	if !ok {
		return nil, false
	}
	return v.named(name)
}

func (a *App) callbacks(name string, place invite.Place) (provider.Callbacks, bool) {
	p, ok := a.provider(name, place)
	if !ok || p.Callbacks == nil {
		return nil, false
	}
	return p.Callbacks, true
}

// attemptCallback is where a provider reports on one attempt.
func (a *App) attemptCallback(place invite.Place, provider, inviteID, attemptID string) string {
	v, ok := a.vendors[place]
	if !ok || v.callbackURL == "" {
		return ""
	}
	return fmt.Sprintf("%s/hooks/%s/status/%s/%s/%s/%s", v.callbackURL, provider, place.Project, place.Mode(), inviteID, attemptID)
}

func (a *App) confirmLater(ctx context.Context, tx pgx.Tx, c track.Check) error {
	// The tracker confirms at once by itself; the job is for when it could not.
	_, err := a.jobs.InsertTx(ctx, tx, job.Confirm{InviteID: c.InviteID, AccountID: c.AccountID},
		&river.InsertOpts{Queue: job.QueueConfirm, ScheduledAt: a.opt.Now().Add(confirmAfter)})
	if err != nil {
		return fmt.Errorf("enqueue confirmation for invite %s: %w", c.InviteID, err)
	}
	return nil
}

// testSilence is how many paces a scripted message may go unconfirmed: every
// fate that says anything has said it by then.
const testSilence = 10

// silence is after how long a message without a receipt is said to have none.
// Test mode keeps the pace of its scripted recipients.
func (a *App) silence() []ledger.Silence {
	pace := a.opt.Pace
	if pace <= 0 {
		pace = time.Second
	}
	var out []ledger.Silence
	for _, ch := range invite.Channels() {
		out = append(out, ledger.Silence{Livemode: true, Channel: ch, After: a.cfg.NoReceipt(string(ch))}, ledger.Silence{Channel: ch, After: testSilence * pace})
	}
	return out
}

func (a *App) sawReport(provider string, place invite.Place) {
	a.receipts.saw(provider, place)
}

// receipts remembers when a provider's reports for a project and mode last came:
// while they come, the lack of one says something.
type receipts struct {
	now  func() time.Time
	seen sync.Map // reporter → *atomic.Int64, Unix nanoseconds
}

// reporter is what reports come from.
type reporter struct {
	invite.Place

	provider string
}

func newReceipts(now func() time.Time) *receipts { return &receipts{now: now} }

func (r *receipts) of(provider string, place invite.Place) *atomic.Int64 {
	v, _ := r.seen.LoadOrStore(reporter{place, provider}, new(atomic.Int64))
	return v.(*atomic.Int64)
}

func (r *receipts) saw(provider string, place invite.Place) {
	r.of(provider, place).Store(r.now().UnixNano())
}

func (r *receipts) last(provider string, place invite.Place) func() time.Time {
	at := r.of(provider, place)
	return func() time.Time {
		if n := at.Load(); n > 0 {
			return time.Unix(0, n)
		}
		return time.Time{}
	}
}

package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// accountRefresh is how old a process's picture of the shared rows may be.
const accountRefresh = 500 * time.Millisecond

// accounts is this process's picture of the provider accounts.
type accounts struct {
	d  *Dispatcher
	mu sync.Mutex
	by map[string]standing
	// tokens are sends taken out of an account's bucket and not used yet.
	tokens map[string]int
	lanes  []invite.Lane
}

type standing struct {
	streak   int // failures in a row that this process saw
	failures int // that the shared row has
	open     bool
	until    time.Time // of the pause; from then on a probe may be sent
	reported time.Time // when the provider last reported anything; zero: never
}

func newAccounts(d *Dispatcher) *accounts {
	return &accounts{d: d, by: make(map[string]standing), tokens: make(map[string]int)}
}

func (a *accounts) get(name string) standing {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.by[name]
}

func (a *accounts) set(name string, change func(*standing)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.by[name]
	change(&s)
	a.by[name] = s
}

// refresh reads the shared rows.
func (a *accounts) refresh(ctx context.Context) error {
	now := a.d.p.Now()
	rows, err := queue.ListAccounts(ctx, a.d.p.DB)
	if err != nil {
		return err
	}
	lanes, err := queue.ListLanes(ctx, a.d.p.DB)
	if err != nil {
		return err
	}
	by := make(map[string]standing, len(rows))
	for _, r := range rows {
		s := standing{failures: r.Failures, open: r.Open}
		if r.Open {
			s.until = now.Add(r.OpenFor)
		}
		if r.ReportedAgo >= 0 {
			s.reported = now.Add(-r.ReportedAgo)
		}
		by[r.Name] = s
		a.d.metrics.breaker.WithLabelValues(r.Name).Set(map[bool]float64{true: 1}[r.Open])
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, old := range a.by {
		if s, ok := by[name]; ok || old.streak > 0 {
			s.streak = old.streak
			by[name] = s
		}
	}
	a.by, a.lanes = by, lanes
	return nil
}

// lanesOf returns the lanes that can send through nothing but this account, or
// through accounts that are all shut.
func (a *accounts) lanesOf(account string) []invite.Lane {
	a.mu.Lock()
	lanes := a.lanes
	a.mu.Unlock()
	var out []invite.Lane
	for _, lane := range lanes {
		senders := a.d.sendersOf(lane)
		uses, free := false, false
		for _, s := range senders {
			uses = uses || s.Account() == account
			free = free || s.Account() != account && !a.get(s.Account()).open
		}
		if uses && !free {
			out = append(out, lane)
		}
	}
	return out
}

func (d *Dispatcher) sendersOf(lane invite.Lane) []provider.Sender {
	return d.p.Senders(lane.Place, lane.Channel)
}

// recordFailure counts a failure against an account. The shared row hears of it only
// when there were enough in a row in this process, when the account itself was
// refused, or when its breaker is open already.
func (d *Dispatcher) recordFailure(ctx context.Context, account string, rest time.Duration) {
	was := d.accounts.get(account)
	d.accounts.set(account, func(s *standing) { s.streak++ })
	if was.streak+1 < d.p.Trip.Threshold && rest <= 0 && !was.open {
		return
	}
	openFor, err := queue.AddFailures(ctx, d.p.DB, queue.FailureReport{
		Account: account, Failures: was.streak + 1, Rest: rest,
		Lanes: d.accounts.lanesOf(account), Grace: d.p.CallDeadline + callMargin,
	}, d.p.Trip)
	if err != nil {
		d.p.Log.WarnContext(ctx, "dispatch step", "step", "strike", "err", err)
		return
	}
	d.accounts.set(account, func(s *standing) { s.open, s.until = openFor > 0, d.p.Now().Add(openFor) })
	if openFor > 0 && !was.open {
		d.p.Log.WarnContext(ctx, "a provider account is resting", "account", account, "for_ms", openFor.Milliseconds())
	}
}

// recordSuccess notes that an account answered.
func (d *Dispatcher) recordSuccess(ctx context.Context, account string) {
	s := d.accounts.get(account)
	if s.streak > 0 {
		d.accounts.set(account, func(s *standing) { s.streak = 0 })
	}
	if s.failures == 0 && !s.open {
		return
	}
	wasOpen, due, err := queue.SetWorking(ctx, d.p.DB, account, d.accounts.lanesOf(account))
	if err != nil {
		d.p.Log.WarnContext(ctx, "dispatch step", "step", "close", "err", err)
		return
	}
	d.accounts.set(account, func(s *standing) { s.failures, s.open = 0, false })
	if wasOpen {
		d.p.Log.InfoContext(ctx, "a provider account works again", "account", account, "due", due)
		d.Wake()
	}
}

// refreshAccounts refreshes the picture, and sends a probe where it is time.
func (d *Dispatcher) refreshAccounts(ctx, working context.Context) error {
	if err := d.accounts.refresh(ctx); err != nil {
		return err
	}
	d.accounts.mu.Lock()
	var ripe []string
	for name, s := range d.accounts.by {
		if s.open && !s.until.After(d.p.Now()) {
			ripe = append(ripe, name)
		}
	}
	d.accounts.mu.Unlock()
	for _, account := range ripe {
		if err := d.probe(ctx, working, account); err != nil {
			return err
		}
	}
	return nil
}

// probe claims one delivery of a paused lane, to try its account.
func (d *Dispatcher) probe(ctx, working context.Context, account string) error {
	lanes := d.accounts.lanesOf(account)
	if len(lanes) == 0 {
		return nil
	}
	ok, err := queue.TakeProbe(ctx, d.p.DB, account, d.p.CallDeadline+callMargin)
	if err != nil || !ok {
		return err
	}
	room := make(map[invite.Lane]int, len(lanes))
	for _, lane := range lanes {
		room[lane] = 1
	}
	n, err := d.claim(working, queue.Want{Batch: 1, PerLane: 1, Room: room, Paused: true}, account)
	if err != nil || n == 0 {
		// No message is due: the next one finds the probe free.
		return queue.DropProbe(ctx, d.p.DB, account)
	}
	return nil
}

// reporting reports whether a sender's provider is known to send delivery
// reports.
func (d *Dispatcher) proof(s provider.Sender) (reporting bool, settle time.Duration) {
	p := s.Proof()
	if p.Deaf {
		return false, p.Settle
	}
	at := d.accounts.get(s.Account()).reported
	return p.Reporting || !at.IsZero() && d.p.Now().Sub(at) < time.Hour, p.Settle
}

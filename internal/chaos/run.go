package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// The kinds of provider.
const (
	Twilio        = "twilio"         // reports: its list can be searched
	SendGrid      = "sendgrid"       // reports by events
	SendGridBlind = "sendgrid-blind" // does not report
)

// Options shape a run. Zero values get the defaults named.
type Options struct {
	URL      string // of a migrated database of the run's own
	Provider string // Twilio
	Workers  int    // 3
	Kills    int    // kill -9; with Points, so many at each of them
	Points   []dispatch.Point
	Freezes  int // SIGSTOP for longer than a lease, then SIGCONT
	// Partitions cut a worker off from the database, the vendors or both, in
	// silence or by resets, in turn, for longer than a lease.
	Partitions int
	// LateReports is the share of SendGrid's reports that come up to a day late,
	// because the post was refused or without any sign of it.
	LateReports float64
	Seed        uint64        // random
	Backlog     int           // 150: deliveries that are open while there is killing to do
	Every       time.Duration // 300 ms: between two kills, on average
	Limit       time.Duration // 15 min: for the whole run
	// Slack is the factor by which a run may exceed the promised times; 1 by
	// default. A larger one is for shared machines, where only delays of
	// another order say something about the program. Lost and extra messages
	// have no slack.
	Slack   float64
	Quiet   bool // no faults but the killing
	Verbose bool
	Knobs   Knobs // 8 s, 2 s, 5 s, 3 s
	Log     *slog.Logger
}

// Report is the result: one line of JSON.
type Report struct {
	Provider   string `json:"provider"`
	Seed       uint64 `json:"seed"`
	Workers    int    `json:"workers"`
	Kills      int    `json:"kills"`
	Freezes    int    `json:"freezes"`
	Deliveries int    `json:"deliveries"`
	// Points is how many died at which place, where places were given.
	Points map[dispatch.Point]int `json:"points,omitempty"`
	// GivenUp is the number of deliveries with too little time left from the
	// start: they end with a reason, and no message is sent.
	GivenUp int `json:"given_up"`
	Calls   int `json:"calls"`
	Lost    int `json:"lost"`
	Extra   int `json:"extra"`
	Unknown int `json:"unknown"`
	// LateShare is the share of reports that were to be delayed; LateReports is how many were.
	LateShare   float64 `json:"late_share,omitempty"`
	LateReports int     `json:"late_reports"`
	// Doubted is how many attempts had no answer and were reconciled.
	Doubted int `json:"doubted"`
	// Orphans is the number of deliveries owned by a process that was killed;
	// the delays are the times until a live one owned the last of each.
	Orphans       int     `json:"orphans"`
	WorstReclaimS float64 `json:"worst_reclaim_s"`
	Partitions    int     `json:"partitions"`
	PartedOrphans int     `json:"parted_orphans"`
	WorstPartedS  float64 `json:"worst_parted_reclaim_s"`
	FrozenOrphans int     `json:"frozen_orphans"`
	WorstFrozenS  float64 `json:"worst_frozen_reclaim_s"`
	LeaseS        float64 `json:"lease_s"`
	RenewS        float64 `json:"renew_s"`
	CallDeadlineS float64 `json:"call_deadline_s"`
	SettleS       float64 `json:"settle_s"`
	Slack         float64 `json:"slack"`
	Seconds       float64 `json:"seconds"`
}

// Check returns the broken promise; nil if all hold.
func (r Report) Check() error {
	var faults []error
	no := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	no(r.Deliveries == 0, "nothing was delivered: the run proves nothing")
	no(r.Lost > 0, "%d messages were lost", r.Lost)
	no(r.Extra > 0, "%d messages were sent twice", r.Extra)
	for p, n := range r.Points {
		no(n == 0, "nobody died at %s: the run proves nothing about it", p)
	}
	no(r.Provider == Twilio && r.Unknown > 0, "%d ended unknown although the provider reports", r.Unknown)
	no(r.LateShare > 0 && r.LateReports == 0, "no report was late: the run proves nothing about late reports")
	no(r.Provider == SendGridBlind && r.Kills > 0 && r.Unknown == 0, "no lost answer ended unknown: the run proves nothing about a blind provider")
	no(r.WorstReclaimS > 5*r.Slack, "work moved again only %.1f s after a kill", r.WorstReclaimS)
	// A frozen process keeps its lock, so its lease has to run out.
	cut := (max(r.LeaseS, r.CallDeadlineS+3) + 2) * r.Slack
	no(r.WorstFrozenS > cut, "work moved again only %.1f s after a freeze", r.WorstFrozenS)
	no(r.WorstPartedS > cut, "work moved again only %.1f s after its worker was cut off", r.WorstPartedS)
	return errors.Join(faults...)
}

func (o Options) withDefaults() Options {
	orDefault(&o.Provider, Twilio)
	orDefault(&o.Workers, 3)
	orDefault(&o.Seed, rand.Uint64())
	orDefault(&o.Backlog, 150)
	orDefault(&o.Every, 300*time.Millisecond)
	orDefault(&o.Limit, 15*time.Minute)
	orDefault(&o.Slack, 1)
	orDefault(&o.Knobs.Lease, 8*time.Second)
	orDefault(&o.Knobs.Renew, 2*time.Second)
	orDefault(&o.Knobs.CallDeadline, 5*time.Second)
	orDefault(&o.Knobs.Settle, 3*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func orDefault[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

// run is one run's state.
type run struct {
	o      Options
	rnd    *rand.Rand
	rig    Rig
	keyset string
	sink   string
	report Report

	mu      sync.Mutex
	workers []*process
	nets    []networks // of the workers, where there are partitions to make
	born    int
	loaded  []Loaded
	late    map[invite.ID]bool // of those loaded, with too little time left
	unsure  map[invite.ID]bool // of those loaded: a worker may have died before it stored them
	feeds   errgroup.Group     // readers of what workers store
	delays  errgroup.Group     // measurements under way

	byInvite map[invite.ID]invite.DeliveryID
	indexed  int
}

// Run does what o says and counts. The error is of the run itself; what the
// run showed is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	begun := time.Now()
	r := &run{o: o, rnd: rand.New(rand.NewPCG(o.Seed, 1)), late: make(map[invite.ID]bool), unsure: make(map[invite.ID]bool)}
	r.report = Report{
		Provider: o.Provider, Seed: o.Seed, Workers: o.Workers, LateShare: o.LateReports, LeaseS: o.Knobs.Lease.Seconds(), RenewS: o.Knobs.Renew.Seconds(),
		CallDeadlineS: o.Knobs.CallDeadline.Seconds(), SettleS: o.Knobs.Settle.Seconds(), Slack: o.Slack,
	}
	err := r.all(ctx)
	r.report.Seconds = time.Since(begun).Round(100 * time.Millisecond).Seconds()
	return r.report, err
}

func (r *run) all(ctx context.Context) error {
	pool, err := postgres.Open(ctx, postgres.Params{URL: r.o.URL, MaxConns: 16, AppName: "chaos", AcquireTimeout: 10 * time.Second})
	if err != nil {
		return err
	}
	defer pool.Close()
	keyset, err := seal.NewKeyset()
	if err != nil {
		return err
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		return err
	}
	sinkProcess, address, err := spawnSink()
	if err != nil {
		return err
	}
	defer sinkProcess.stop()
	r.sink, r.keyset = address, keyset.Encode().Reveal()
	r.rig = Rig{DB: pool, Box: box, SinkURL: address}
	if err := r.setFault(ctx, r.fault()); err != nil {
		return err
	}
	r.workers, r.nets = make([]*process, r.o.Workers), make([]networks, r.o.Workers)
	for i := range r.workers {
		if err := r.hire(i); err != nil {
			return err
		}
	}
	defer func() {
		for i, w := range r.workers {
			w.stop()
			if n := r.nets[i]; n.database != nil {
				n.database.close()
				n.vendors.close()
			}
		}
	}()
	killing, done := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.feed(gctx, killing) })
	g.Go(func() error { defer done(); return r.harm(gctx, ctx) })
	if r.o.Provider == SendGrid {
		reporting, stop := context.WithCancel(ctx)
		defer stop()
		go r.reports(reporting)
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := r.stopFeeding(); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.delays.Wait(); err != nil {
		return err
	}
	return r.count(ctx)
}

// fault is the weather of a run: besides the killing, answers get lost.
func (r *run) fault() sink.Fault {
	// The list lags: believing it before the settle time is over would double.
	f := sink.Fault{Latency: 15 * time.Millisecond, Jitter: 80 * time.Millisecond, ListLag: r.o.Knobs.Settle / 3}
	if !r.o.Quiet {
		f.CutBefore, f.CutAfter, f.Lie503, f.Refuse503, f.Throttle = 0.02, 0.03, 0.02, 0.02, 0.01
	}
	return f
}

func (r *run) setFault(ctx context.Context, f sink.Fault) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return r.ask(ctx, http.MethodPut, "/fault", body, nil)
}

// feed keeps a backlog of open deliveries as long as there is killing to do.
func (r *run) feed(ctx, killing context.Context) error {
	channel := channelOf(r.o.Provider)
	for killing.Err() == nil {
		open, err := r.number(ctx, openDeliveries)
		if err != nil {
			return err
		}
		if n := r.o.Backlog - open; n > 0 {
			if err := r.load(ctx, n, channel); err != nil {
				return err
			}
		}
		waitFor(killing, 50*time.Millisecond)
	}
	return ctx.Err()
}

// channelOf is the channel of a kind of provider.
func channelOf(provider string) invite.Channel {
	if provider == Twilio {
		return invite.SMS
	}
	return invite.Email
}

// load adds deliveries of every kind: most with a link, some whose link is yet to
// be minted, a few for which it is too late.
func (r *run) load(ctx context.Context, n int, channel invite.Channel) error {
	r.mu.Lock()
	at := len(r.loaded)
	r.mu.Unlock()
	var kinds [3]int
	for i := at; i < at+n; i++ {
		kinds[[8]int{1: 1, 3: 2, 5: 1}[i%8]]++
	}
	for kind, l := range []Load{{Channel: channel}, {Channel: channel, Pending: true}, {Channel: channel, Left: time.Minute}} {
		made, err := r.rig.Insert(ctx, kinds[kind], l)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.loaded = append(r.loaded, made...)
		for _, m := range made {
			r.late[m.InviteID] = l.Left > 0
		}
		r.mu.Unlock()
	}
	return nil
}

const openDeliveries = `SELECT count(*) FROM deliveries WHERE status IN ('queued', 'sending')`

// settle waits until nothing is open any more.
func (r *run) settle(ctx context.Context) error {
	r.o.Log.InfoContext(ctx, "no more killing; waiting for what is open")
	for {
		open, err := r.number(ctx, openDeliveries)
		if err != nil {
			return fmt.Errorf("wait for the last deliveries: %w", err)
		}
		if open == 0 {
			return nil
		}
		waitFor(ctx, 200*time.Millisecond)
	}
}

// count compares the requested messages with those that the sink took.
func (r *run) count(ctx context.Context) error {
	var ledger struct {
		Calls int            `json:"calls"`
		Taken []sink.Message `json:"taken"`
	}
	if err := r.ask(ctx, http.MethodGet, "/ledger", nil, &ledger); err != nil {
		return err
	}
	taken := make(map[string]int, len(ledger.Taken))
	for _, m := range ledger.Taken {
		taken[m.Key]++
	}
	rows, err := r.rig.DB.Query(ctx, `SELECT invite_id, status FROM deliveries`)
	if err != nil {
		return err
	}
	status := make(map[invite.ID]string)
	var id invite.ID
	var s string
	if _, err := pgx.ForEachRow(rows, []any{&id, &s}, func() error { status[id] = s; return nil }); err != nil {
		return err
	}
	r.report.Deliveries, r.report.Calls = len(r.loaded), ledger.Calls
	for _, l := range r.loaded {
		n := taken[l.Key]
		if _, stored := status[l.InviteID]; r.unsure[l.InviteID] && !stored && n == 0 {
			r.report.Deliveries--
			continue
		}
		switch st := status[l.InviteID]; {
		case r.late[l.InviteID]:
			// Given up is what must become of it; sent would be one too many.
			if r.report.GivenUp++; st != string(invite.Rejected) {
				r.report.Lost++
				r.o.Log.ErrorContext(ctx, "not given up", "delivery", l.DeliveryID, "invite", l.InviteID, "status", st)
			}
			n++
		case st == string(invite.Unknown):
			r.report.Unknown++
		case n == 0:
			r.report.Lost++
			r.o.Log.ErrorContext(ctx, "lost", "delivery", l.DeliveryID, "invite", l.InviteID, "status", st)
		}
		if n > 1 {
			r.report.Extra += n - 1
			r.o.Log.ErrorContext(ctx, "sent twice", "delivery", l.DeliveryID, "invite", l.InviteID, "times", n)
		}
		delete(taken, l.Key)
	}
	for range taken {
		return errors.New("the sink took a message that nobody loaded: the run cannot count")
	}
	r.report.Doubted, err = r.number(ctx, `SELECT count(*) FROM attempts WHERE outcome <> 'not_sent' AND http_status NOT IN (201, 202)`)
	return err
}

func (r *run) number(ctx context.Context, sql string, args ...any) (int, error) {
	var n int
	err := r.rig.DB.QueryRow(ctx, sql, args...).Scan(&n)
	return n, err
}

func (r *run) ask(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.sink+path, newReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the sink: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("ask the sink: %s", resp.Status)
	}
	if into == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func waitFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

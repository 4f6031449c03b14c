package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"
)

// The ways in which the primary of a Patroni cluster is replaced, besides Frozen: its
// server and its Patroni freeze, with all connections open.
const (
	Killed   = "killed"   // its server and its Patroni by kill -9
	Switched = "switched" // demoted by patronictl switchover
	CutOff   = "cut off"  // its network falls silent; server and Patroni go on
	Isolated = "isolated" // cut off from etcd and its standbys alone: clients still reach it
)

// TakeOvers shape a run in which the primary of a Patroni cluster with synchronous
// replication is replaced under the real program. Zero values get the defaults named.
type TakeOvers struct {
	// Ways are taken one after the other in one cluster; all five. After each of them
	// but the last, the old primary comes back under load. A frozen one is killed first, as
	// a watchdog does it: Patroni 3.0.2 that freezes and goes on without one can take the
	// leader's key back from the new primary, and what that one has acknowledged is lost.
	Ways []string
	// Direct names the three servers in the database's URL, in place of haproxy.
	Direct bool
	Rate   int // 30: accepts a second
	Limit  time.Duration
	Slack  float64 // 1: as in Options
	Log    *slog.Logger
}

// TakeOverReport is the result: one line of JSON.
type TakeOverReport struct {
	Through   string           `json:"through"` // haproxy or hosts
	TakeOvers []TakeOverResult `json:"takeovers"`
	Accepted  int              `json:"accepted"`
	Refused   int              `json:"refused"` // answers 503 with retryable: true
	Lost      int              `json:"lost"`
	Extra     int              `json:"extra"`
	Unknown   int              `json:"unknown"`
	Strange   map[string]int   `json:"strange,omitempty"`
	Rate      int              `json:"rate"`
	Slack     float64          `json:"slack"`
	Seconds   float64          `json:"seconds"`
}

// TakeOverResult is one change of the primary. Times are in seconds.
type TakeOverResult struct {
	Way string `json:"way"`
	// PromotedS is from the fault until another server takes writes: Patroni's part.
	PromotedS float64 `json:"promoted_s"`
	// The others are from then on: as in FailoverResult.
	ServingS float64 `json:"serving_s"`
	MovingS  float64 `json:"moving_s"`
	ReadyS   float64 `json:"ready_s"`
	Open     int     `json:"open"`
	Stuck    int     `json:"stuck"`
}

// servesWithin is promised in seconds from the moment at which a new primary takes writes.
const servesWithin = 15

// Check returns the broken promise; nil if all hold.
func (r TakeOverReport) Check() error {
	var faults []error
	no := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	no(r.Accepted == 0 || len(r.TakeOvers) == 0, "%d accepted, %d primaries replaced: the run proves nothing", r.Accepted, len(r.TakeOvers))
	no(r.Lost > 0, "%d invites were acknowledged and not delivered", r.Lost)
	no(r.Extra > 0, "%d messages were sent twice, or for invites that no caller was told of", r.Extra)
	no(len(r.Strange) > 0, "answers that are no honest refusal: %v", r.Strange)
	for _, t := range r.TakeOvers {
		no(t.Open == 0, "%s: nothing was open at the promotion: the run proves nothing", t.Way)
		no(t.Stuck > 0, "%s: %d of %d deliveries never moved again", t.Way, t.Stuck, t.Open)
		no(t.ServingS > servesWithin*r.Slack, "%s: invites were made again only %.1f s after the promotion", t.Way, t.ServingS)
		no(t.MovingS > servesWithin*r.Slack, "%s: deliveries moved again only %.1f s after the promotion", t.Way, t.MovingS)
		no(t.ReadyS > servesWithin*r.Slack, "%s: processes were ready only %.1f s after the promotion", t.Way, t.ReadyS)
	}
	return errors.Join(faults...)
}

// takeover is the state of a run.
type takeover struct {
	failover
	ways    []string
	cluster *patroni
	primary *node
	results []TakeOverResult
}

// TakeOver runs the real program as two processes on a Patroni cluster of three nodes,
// replaces the primary in the given ways, and counts.
func TakeOver(ctx context.Context, o TakeOvers) (TakeOverReport, error) {
	if len(o.Ways) == 0 {
		o.Ways = []string{Killed, Frozen, CutOff, Isolated, Switched}
	}
	orDefault(&o.Rate, 30)
	orDefault(&o.Limit, 15*time.Minute)
	orDefault(&o.Slack, 1)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	begun := time.Now()
	t := &takeover{ways: o.Ways, failover: failover{outage: newOutage(Outages{Rate: o.Rate, Log: o.Log})}}
	err := t.all(ctx, o.Direct)
	report := TakeOverReport{
		Through: "haproxy", TakeOvers: t.results, Accepted: t.result.Accepted, Refused: t.result.Refused, Lost: t.result.Lost, Extra: t.result.Extra,
		Unknown: t.result.Unknown, Strange: t.result.Strange, Rate: o.Rate, Slack: o.Slack,
		Seconds: time.Since(begun).Round(100 * time.Millisecond).Seconds(),
	}
	if o.Direct {
		report.Through = "hosts"
	}
	return report, err
}

func (t *takeover) all(ctx context.Context, direct bool) (err error) {
	if t.dir, err = os.MkdirTemp("", "connectlink-takeover-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(t.dir) }()
	if err := os.Chmod(t.dir, 0o711); err != nil { // the servers may run as another user
		return err
	}
	if t.cluster, err = newPatroni(ctx, t.dir); err != nil {
		return err
	}
	defer t.cluster.stop()
	address := databaseURL(t.cluster.address)
	if direct {
		address = databaseURL(t.cluster.addresses()...)
	}
	return t.run(ctx, address, steps{
		fail:    t.takeOvers,
		primary: func(context.Context) (string, error) { return t.primary.url(), nil },
		end:     func(context.Context) error { return nil },
	})
}

// takeOvers replaces the primary in each of the ways.
func (t *takeover) takeOvers(ctx context.Context) (err error) {
	if t.primary, err = t.cluster.primary(ctx); err != nil {
		return err
	}
	for i, way := range t.ways {
		waitFor(ctx, 2*time.Second)
		old := t.primary
		if err := t.takeOver(ctx, way); err != nil {
			return fmt.Errorf("%s: %w", way, err)
		}
		if i == len(t.ways)-1 {
			break
		}
		if err := t.bringBack(ctx, way, old); err != nil {
			return fmt.Errorf("%s: bring the old primary back: %w", way, err)
		}
	}
	return nil
}

// takeOver replaces the primary in one way, and measures.
func (t *takeover) takeOver(ctx context.Context, way string) (err error) {
	begun := time.Now()
	switched := make(chan error, 1)
	switch way {
	case Killed:
		err = t.primary.signal(syscall.SIGKILL)
	case Frozen:
		err = t.primary.signal(syscall.SIGSTOP)
	case CutOff, Isolated:
		t.primary.cut(way == CutOff)
	case Switched: // patronictl ends later than the promotion
		old := t.primary
		go func() { switched <- t.cluster.switchOver(ctx, old) }()
		defer func() { err = errors.Join(err, <-switched) }()
	default:
		err = errors.New("there is no such way")
	}
	if err != nil {
		return err
	}
	n, db, err := t.cluster.promoted(ctx, t.primary)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	promoted := time.Now()
	t.primary = n
	if err := t.measure(ctx, db, promoted); err != nil {
		return err
	}
	r := t.result
	t.results = append(t.results, TakeOverResult{
		Way: way, PromotedS: promoted.Sub(begun).Round(10 * time.Millisecond).Seconds(),
		ServingS: r.ServingS, MovingS: r.MovingS, ReadyS: r.ReadyS, Open: r.Open, Stuck: r.Stuck,
	})
	return nil
}

// bringBack has the old primary return under load, which must do no harm, and waits
// until it is a standby.
func (t *takeover) bringBack(ctx context.Context, way string, old *node) error {
	switch way {
	case Frozen:
		if err := old.signal(syscall.SIGKILL); err != nil {
			return err
		}
	case CutOff, Isolated:
		old.mend()
	}
	if way == Frozen || way == Killed {
		<-old.supervisor.ended
		if err := t.cluster.startNode(old); err != nil {
			return err
		}
	}
	return t.cluster.whole(ctx)
}

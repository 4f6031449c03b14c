package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/postgres"
)

// The ways in which a primary vanishes without a word. In each of them no
// connection is closed, and the standby is promoted a little later.
const (
	Frozen = "frozen" // the server stops answering; both hosts are in the URL
	Silent = "silent" // its packets are dropped, for good; both hosts are in the URL
	Moved  = "moved"  // one address goes over to the standby; old connections stay silent
)

// Failovers shape a run in which the primary vanishes under the real program.
// Zero values get the defaults named.
type Failovers struct {
	Count int           // 3: the ways take turns, each with two servers of its own
	Rate  int           // 30: accepts a second
	Dark  time.Duration // 0: between the end of the primary and the promotion; else drawn, up to 4 s
	Seed  uint64        // random
	Limit time.Duration
	Slack float64 // 1: as in Options
	Log   *slog.Logger
}

// FailoverReport is the result: one line of JSON.
type FailoverReport struct {
	Failovers []FailoverResult `json:"failovers"`
	Seed      uint64           `json:"seed"`
	Rate      int              `json:"rate"`
	Slack     float64          `json:"slack"`
	Seconds   float64          `json:"seconds"`
}

// FailoverResult is one failover.
type FailoverResult struct {
	Way      string  `json:"way"`
	DarkS    float64 `json:"dark_s"`
	Accepted int     `json:"accepted"`
	Refused  int     `json:"refused"` // answers 503 with retryable: true
	Lost     int     `json:"lost"`
	Extra    int     `json:"extra"`
	Unknown  int     `json:"unknown"`
	// Open is how many deliveries were in work or due at the promotion.
	Open int `json:"open"`
	// Stuck is how many of them had not moved at the limit's end.
	Stuck int `json:"stuck"`
	// From the promotion to: the first invite that was asked for since, the last
	// open delivery that a worker took up or settled, every process ready.
	ServingS float64 `json:"serving_s"`
	MovingS  float64 `json:"moving_s"`
	ReadyS   float64 `json:"ready_s"`
	// At the end the new primary is frozen too: how long until no process calls
	// itself ready, and how long a stop takes then.
	UnreadyS float64        `json:"unready_s"`
	StopS    float64        `json:"stop_s"`
	Strange  map[string]int `json:"strange,omitempty"`
}

// Promised times.
const (
	movesWithin  = 10 // s, from the promotion
	unreadyAfter = 12 // s, from the silence
	stopWithin   = 30 // s, what containers are given
)

// Check returns the broken promise; nil if all hold.
func (r FailoverReport) Check() error {
	var faults []error
	for _, f := range r.Failovers {
		no := func(bad bool, format string, args ...any) {
			if bad {
				faults = append(faults, fmt.Errorf(f.Way+": "+format, args...))
			}
		}
		no(f.Accepted == 0 || f.Open == 0, "%d accepted, %d open at the promotion: the run proves nothing", f.Accepted, f.Open)
		no(f.Lost > 0, "%d invites were acknowledged and not delivered", f.Lost)
		no(f.Extra > 0, "%d messages were sent twice, or for invites that no caller was told of", f.Extra)
		no(f.Stuck > 0, "%d of %d deliveries never moved again", f.Stuck, f.Open)
		no(f.ServingS > movesWithin*r.Slack, "invites were made again only %.1f s after the promotion", f.ServingS)
		no(f.MovingS > movesWithin*r.Slack, "deliveries moved again only %.1f s after the promotion", f.MovingS)
		no(f.ReadyS > movesWithin*r.Slack, "processes were ready only %.1f s after the promotion", f.ReadyS)
		no(f.UnreadyS > unreadyAfter*r.Slack, "a process called itself ready for %.1f s without a database", f.UnreadyS)
		no(f.StopS > stopWithin*r.Slack, "a stop took %.1f s without a database", f.StopS)
		no(len(f.Strange) > 0, "answers that are no honest refusal: %v", f.Strange)
	}
	return errors.Join(append(faults, noFailover(r))...)
}

func noFailover(r FailoverReport) error {
	if len(r.Failovers) == 0 {
		return errors.New("no failover was made: the run proves nothing")
	}
	return nil
}

// failover is one of them: an outage's customers and program, and two servers.
type failover struct {
	*outage
	way      string
	dark     time.Duration
	slack    float64
	primary  *devpg.Server
	standby  *devpg.Server
	first    *proxy // to the primary
	second   *proxy // to the standby; nil where one address moves
	sinkURL  string
	programs []*program
	result   FailoverResult
}

// FailOver runs the real program as two processes, makes the primary of its
// database vanish the given number of times, and counts. Replication is
// synchronous, so acknowledged data is on the standby.
func FailOver(ctx context.Context, o Failovers) (FailoverReport, error) {
	orDefault(&o.Count, 3)
	orDefault(&o.Rate, 30)
	orDefault(&o.Seed, rand.Uint64())
	orDefault(&o.Limit, 15*time.Minute)
	orDefault(&o.Slack, 1)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	begun := time.Now()
	report := FailoverReport{Seed: o.Seed, Rate: o.Rate, Slack: o.Slack}
	rnd := rand.New(rand.NewPCG(o.Seed, 3))
	var err error
	for n := range o.Count {
		f := &failover{
			outage: newOutage(Outages{Rate: o.Rate, Log: o.Log}),
			way:    []string{Frozen, Silent, Moved}[n%3], dark: o.Dark, slack: o.Slack,
		}
		if f.dark == 0 {
			f.dark = 500*time.Millisecond + time.Duration(rnd.Int64N(int64(3500*time.Millisecond)))
		}
		err = f.all(ctx)
		report.Failovers = append(report.Failovers, f.result)
		if err != nil {
			err = fmt.Errorf("%s: %w", f.way, err)
			break
		}
	}
	report.Seconds = time.Since(begun).Round(100 * time.Millisecond).Seconds()
	return report, err
}

func (f *failover) all(ctx context.Context) (err error) {
	f.result.Way, f.result.DarkS = f.way, f.dark.Round(10*time.Millisecond).Seconds()
	if f.dir, err = os.MkdirTemp("", "connectlink-failover-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(f.dir) }()
	if err := os.Chmod(f.dir, 0o711); err != nil { // Postgres may run as another user
		return err
	}
	defer f.stopServers(ctx)
	if err := f.startServers(ctx); err != nil {
		return err
	}
	address, err := f.connect()
	if err != nil {
		return err
	}
	return f.run(ctx, address, steps{
		fail: f.failOver, end: f.end,
		primary: func(context.Context) (string, error) { return f.standby.URL(), nil },
	})
}

// steps are the parts of a run in which failovers differ.
type steps struct {
	fail    func(ctx context.Context) error           // has the primary fail under load, and measures
	primary func(ctx context.Context) (string, error) // the primary's URL after that
	end     func(ctx context.Context) error           // after the count, while the processes still run
}

// run runs two processes of the program on the database at address under load,
// carries the steps out, and compares acknowledged invites with sent messages.
func (f *failover) run(ctx context.Context, address string, s steps) error {
	sinkProcess, sinkURL, err := spawnSink()
	if err != nil {
		return err
	}
	defer sinkProcess.stop()
	f.sinkURL = sinkURL
	// Calls take so long that some are under way at any moment.
	if err := setFault(ctx, sinkURL, sink.Fault{Latency: 600 * time.Millisecond, Jitter: 600 * time.Millisecond}); err != nil {
		return err
	}
	defer func() {
		for _, p := range f.programs {
			p.kill()
		}
	}()
	if err := f.startPrograms(ctx, address); err != nil {
		return err
	}

	asking, enough := context.WithCancel(ctx)
	var customers sync.WaitGroup
	customers.Go(func() { f.ask(ctx, asking) })
	err = s.fail(ctx)
	enough()
	if err != nil {
		f.result.Strange = f.report.Strange
		return err
	}
	customers.Wait()
	database, err := s.primary(ctx)
	if err != nil {
		return err
	}
	counting, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	if err := f.count(counting, database, sinkURL); err != nil {
		return err
	}
	f.result.Accepted, f.result.Refused, f.result.Lost = f.report.Accepted, f.report.Refused, f.report.Lost
	f.result.Extra, f.result.Unknown, f.result.Strange = f.report.Extra, f.report.Unknown, f.report.Strange
	return s.end(ctx)
}

// countWithin is how long the last deliveries may take; more is stuck.
const countWithin = time.Minute

func setFault(ctx context.Context, sinkURL string, fault sink.Fault) error {
	body, err := json.Marshal(fault)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, sinkURL+"/fault", newReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("set the sink's fault: %w", err)
	}
	return resp.Body.Close()
}

// startPrograms starts two processes of the real program on the database at address.
func (f *failover) startPrograms(ctx context.Context, address string) error {
	main, err := buildProgram(ctx, f.dir, address, f.sinkURL)
	if err != nil {
		return err
	}
	main.env = append(main.env, "CONNECTLINK_SETTLE_TWILIO=2s")
	if _, err := main.run(ctx, "migrate"); err != nil {
		return err
	}
	if f.key, err = main.key(ctx); err != nil {
		return err
	}
	other, err := main.beside("worker")
	if err != nil {
		return err
	}
	f.program, f.programs = main, []*program{main, other}
	for _, p := range f.programs {
		if err := p.serve(ctx); err != nil {
			return err
		}
	}
	return nil
}

// connect lays the networks, and returns the database's URL.
func (f *failover) connect() (string, error) {
	cfg, err := pgx.ParseConfig(f.primary.URL())
	if err != nil {
		return "", fmt.Errorf("read the database's URL: %w", err)
	}
	network, target, _, err := throughProxy(f.primary.URL())
	if err != nil {
		return "", err
	}
	if f.first, err = newProxy(network, target); err != nil {
		return "", err
	}
	hosts := f.first.addr()
	if f.way != Moved {
		if network, target, _, err = throughProxy(f.standby.URL()); err != nil {
			return "", err
		}
		if f.second, err = newProxy(network, target); err != nil {
			return "", err
		}
		hosts += "," + f.second.addr()
	}
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", url.UserPassword(cfg.User, cfg.Password), hosts, cfg.Database), nil
}

// failOver lets the primary vanish under load, promotes the standby and measures.
func (f *failover) failOver(ctx context.Context) error {
	waitFor(ctx, 2*time.Second)
	if f.way == Silent {
		f.first.set(silent)
	} else if err := signalFamily(f.primary.PID(), syscall.SIGSTOP); err != nil {
		return fmt.Errorf("freeze the primary: %w", err)
	}
	waitFor(ctx, f.dark)
	db, err := pgx.Connect(ctx, f.standby.URL())
	if err != nil {
		return postgres.Translate(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	if _, err := db.Exec(ctx, `SELECT pg_promote()`); err != nil {
		return postgres.Translate(err)
	}
	if f.way == Moved {
		network, target, _, err := throughProxy(f.standby.URL())
		if err != nil {
			return err
		}
		f.first.move(network, target)
	}
	if err := f.measure(ctx, db, time.Now()); err != nil {
		return err
	}
	waitFor(ctx, time.Second)
	return ctx.Err()
}

// measure waits until everything moves again after a promotion, and records how long
// that took. db is a connection to the new primary.
func (f *failover) measure(ctx context.Context, db *pgx.Conn, promoted time.Time) (err error) {
	var all sync.WaitGroup
	faults := make([]error, 2)
	all.Go(func() { faults[0] = f.moving(ctx, db, promoted) })
	all.Go(func() {
		faults[1] = f.served(ctx, promoted)
		f.mu.Lock()
		defer f.mu.Unlock()
		if n := len(f.report.ServingS); n > 0 {
			f.result.ServingS = f.report.ServingS[n-1]
		}
	})
	all.Wait()
	if err := errors.Join(faults...); err != nil {
		return err
	}
	f.result.ReadyS, err = f.become(ctx, promoted, true)
	return err
}

// watchFor bounds each measurement.
const watchFor = 30 * time.Second

// moving measures until all that was open at the promotion was taken up or settled.
func (f *failover) moving(ctx context.Context, db *pgx.Conn, since time.Time) error {
	rows, err := db.Query(ctx, `SELECT invite_id, lease_token FROM deliveries WHERE next_at IS NOT NULL AND status IN ('queued', 'sending')`)
	if err != nil {
		return err
	}
	var ids []string
	var tokens []int64
	var id string
	var token int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &token}, func() error { ids, tokens = append(ids, id), append(tokens, token); return nil }); err != nil {
		return err
	}
	f.result.Open = len(ids)
	for deadline := since.Add(watchFor); ; waitFor(ctx, 20*time.Millisecond) {
		if err := db.QueryRow(ctx, `
			SELECT count(*) FROM deliveries d JOIN unnest($1::uuid[], $2::bigint[]) AS t(invite_id, token) USING (invite_id)
			WHERE d.lease_token = t.token AND d.next_at IS NOT NULL AND d.status IN ('queued', 'sending')`, ids, tokens).Scan(&f.result.Stuck); err != nil {
			return err
		}
		f.result.MovingS = time.Since(since).Round(time.Millisecond).Seconds()
		if f.result.Stuck == 0 || time.Now().After(deadline) || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// become measures until every process calls itself ready, or none does.
func (f *failover) become(ctx context.Context, since time.Time, ready bool) (float64, error) {
	for deadline := since.Add(watchFor); ; waitFor(ctx, 50*time.Millisecond) {
		as := 0
		for _, p := range f.programs {
			if p.ready(ctx) == ready {
				as++
			}
		}
		if as == len(f.programs) || time.Now().After(deadline) || ctx.Err() != nil {
			return time.Since(since).Round(10 * time.Millisecond).Seconds(), ctx.Err()
		}
	}
}

// end freezes the new primary too, and has the processes stop.
func (f *failover) end(ctx context.Context) (err error) {
	if err := signalFamily(f.standby.PID(), syscall.SIGSTOP); err != nil {
		return fmt.Errorf("freeze the new primary: %w", err)
	}
	if f.result.UnreadyS, err = f.become(ctx, time.Now(), false); err != nil {
		return err
	}
	begun := time.Now()
	for _, p := range f.programs {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop a process: %w", err)
		}
	}
	late := time.After(watchFor)
	for _, p := range f.programs {
		select {
		case <-p.ended:
		case <-late:
		}
	}
	f.result.StopS = time.Since(begun).Round(10 * time.Millisecond).Seconds()
	return nil
}

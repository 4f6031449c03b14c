package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Outages shape a run in which the database stops under the real program while
// it accepts. Zero values get the defaults named.
type Outages struct {
	Stops int    // 20: stops of the database, as pg_ctl stop -m immediate makes them
	Rate  int    // 50: accepts a second
	Seed  uint64 // random
	Limit time.Duration
	Slack float64 // 1: as in Options
	Log   *slog.Logger
}

// OutageReport is the result: one line of JSON.
type OutageReport struct {
	Stops    int    `json:"stops"`
	Seed     uint64 `json:"seed"`
	Rate     int    `json:"rate"`
	Accepted int    `json:"accepted"`
	// Replayed is how many were accepted by a request that had been refused, or
	// had gone without an answer, before: asked again under the same key.
	Replayed int `json:"replayed"`
	Refused  int `json:"refused"` // answers 503 with retryable: true
	Lost     int `json:"lost"`
	Extra    int `json:"extra"`
	Unknown  int `json:"unknown"`
	// Strange counts answers that were neither an invite nor an honest refusal.
	Strange map[string]int `json:"strange,omitempty"`
	// ServingS is from when the database accepts connections to the first invite
	// that was made from then on; by stop.
	ServingS      []float64 `json:"serving_s"`
	WorstServingS float64   `json:"worst_serving_s"`
	RefusalP50Ms  float64   `json:"refusal_p50_ms"`
	RefusalMaxMs  float64   `json:"refusal_max_ms"`
	Slack         float64   `json:"slack"`
	Seconds       float64   `json:"seconds"`
}

// Check returns the broken promise; nil if all hold.
func (r OutageReport) Check() error {
	var faults []error
	no := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	no(r.Accepted == 0 || r.Refused == 0, "%d accepted, %d refused: the run proves nothing", r.Accepted, r.Refused)
	no(r.Lost > 0, "%d invites were acknowledged and not delivered", r.Lost)
	no(r.Extra > 0, "%d messages were sent twice, or for invites that no caller was told of", r.Extra)
	no(len(r.Strange) > 0, "answers that are no honest refusal: %v", r.Strange)
	no(len(r.ServingS) != r.Stops || r.WorstServingS > 2*r.Slack, "invites were made again only %.1f s after the database was back", r.WorstServingS)
	no(r.RefusalMaxMs > 2000*r.Slack, "a refusal took %.0f ms", r.RefusalMaxMs)
	return errors.Join(faults...)
}

// outage is one run's state.
type outage struct {
	o        Outages
	rnd      *rand.Rand
	dir      string
	database *devpg.Server
	program  *program
	key      string
	client   *http.Client
	// What a run may have of its own: variables of the program, what customers do with
	// an invite that was made, what happens while they ask, and when all is counted.
	env      []string
	accepted func(ctx context.Context, link string)
	work     func(context.Context) error
	counted  func(context.Context) error

	mu       sync.Mutex
	report   OutageReport
	made     []string    // links of acknowledged invites
	acks     []time.Time // when each of them was acknowledged
	asked    []time.Time // and asked for
	refusals []time.Duration
}

// newOutage makes the run of o, with the client of a product that asks.
func newOutage(o Outages) *outage {
	r := &outage{
		o: o, report: OutageReport{Strange: make(map[string]int)},
		client:   &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100}},
		accepted: func(context.Context, string) {},
		counted:  func(context.Context) error { return nil },
	}
	r.work = r.stops
	return r
}

// Stop runs the real program, stops its database as often as asked for, and
// counts. Every request is repeated under its Idempotency-Key until it is
// answered with an invite, as a product would do it.
func Stop(ctx context.Context, o Outages) (OutageReport, error) {
	orDefault(&o.Stops, 20)
	orDefault(&o.Rate, 50)
	orDefault(&o.Seed, rand.Uint64())
	orDefault(&o.Limit, 15*time.Minute)
	orDefault(&o.Slack, 1)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	begun := time.Now()
	r := newOutage(o)
	r.rnd = rand.New(rand.NewPCG(o.Seed, 2))
	r.report.Seed, r.report.Rate, r.report.Slack = o.Seed, o.Rate, o.Slack
	err := r.all(ctx)
	r.report.Seconds = time.Since(begun).Round(100 * time.Millisecond).Seconds()
	return r.report, err
}

func (r *outage) all(ctx context.Context) (err error) {
	if r.dir, err = os.MkdirTemp("", "connectlink-outage-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(r.dir) }()
	if err := os.Chmod(r.dir, 0o711); err != nil { // Postgres may run as another user
		return err
	}
	if err := r.startDatabase(ctx); err != nil {
		return err
	}
	defer func() {
		_ = r.database.Stop(context.WithoutCancel(ctx))
		_ = os.RemoveAll(r.database.Home())
	}()
	sinkProcess, sinkURL, err := spawnSink()
	if err != nil {
		return err
	}
	defer sinkProcess.stop()
	if r.program, err = buildProgram(ctx, r.dir, r.database.URL(), sinkURL); err != nil {
		return err
	}
	r.program.env = append(r.program.env, r.env...)
	if _, err := r.program.run(ctx, "migrate"); err != nil {
		return err
	}
	if r.key, err = r.program.key(ctx); err != nil {
		return err
	}
	if err := r.program.serve(ctx); err != nil {
		return err
	}
	defer r.program.stop()

	asking, enough := context.WithCancel(ctx)
	var customers sync.WaitGroup
	customers.Go(func() { r.ask(ctx, asking) })
	err = r.work(ctx)
	enough()
	customers.Wait()
	if err != nil {
		return err
	}
	if err := r.count(ctx, r.database.URL(), sinkURL); err != nil {
		return err
	}
	return r.counted(ctx)
}

// startDatabase starts the server on the same data as before.
func (r *outage) startDatabase(ctx context.Context) (err error) {
	r.database, err = devpg.Start(ctx, devpg.Params{Dir: filepath.Join(r.dir, "pg"), Settings: map[string]string{"max_connections": "100"}})
	return err
}

// stops makes the outages: some seconds of work, an end without a checkpoint or
// a good-bye, up to one and a half seconds of darkness.
func (r *outage) stops(ctx context.Context) error {
	for range r.o.Stops {
		waitFor(ctx, 1500*time.Millisecond+time.Duration(r.rnd.Int64N(int64(1500*time.Millisecond))))
		if err := syscall.Kill(r.database.PID(), syscall.SIGQUIT); err != nil { // what pg_ctl sends
			return fmt.Errorf("stop the database: %w", err)
		}
		<-r.database.Done()
		if err := r.database.Stop(ctx); err != nil { // gives its folder free
			return err
		}
		waitFor(ctx, time.Duration(r.rnd.Int64N(int64(1500*time.Millisecond))))
		if err := r.startDatabase(ctx); err != nil {
			return err
		}
		if err := r.served(ctx, time.Now()); err != nil {
			return err
		}
	}
	waitFor(ctx, time.Second)
	return ctx.Err()
}

// served waits for the first invite that was asked for and made since a moment.
func (r *outage) served(ctx context.Context, since time.Time) error {
	for ; time.Since(since) < 30*time.Second; waitFor(ctx, 5*time.Millisecond) {
		r.mu.Lock()
		first := time.Duration(-1)
		for i := len(r.acks) - 1; i >= 0 && r.acks[i].After(since); i-- {
			if d := r.acks[i].Sub(since); r.asked[i].After(since) && (first < 0 || d < first) {
				first = d
			}
		}
		if first >= 0 {
			r.report.Stops++
			took := first.Round(time.Millisecond).Seconds()
			r.report.ServingS = append(r.report.ServingS, took)
			r.report.WorstServingS = max(r.report.WorstServingS, took)
		}
		r.mu.Unlock()
		if first >= 0 || ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("no invite was made within 30 s of the database's return: %s", r.program.lastWords())
}

// count compares the acknowledged invites with the messages that the
// vendors took.
func (r *outage) count(ctx context.Context, database, sinkURL string) error {
	db, err := pgx.Connect(ctx, database)
	if err != nil {
		return postgres.Translate(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	for {
		var open int
		if err := db.QueryRow(ctx, openDeliveries).Scan(&open); err != nil {
			return fmt.Errorf("wait for the last deliveries: %w", err)
		}
		if open == 0 {
			break
		}
		waitFor(ctx, 100*time.Millisecond)
	}
	if err := db.QueryRow(ctx, `SELECT count(*) FROM deliveries WHERE status = 'unknown'`).Scan(&r.report.Unknown); err != nil {
		return err
	}
	var ledger struct {
		Taken []sink.Message `json:"taken"`
	}
	if err := fetchJSON(ctx, sinkURL+"/ledger", &ledger); err != nil {
		return err
	}
	taken := make(map[string]int, len(ledger.Taken))
	for _, m := range ledger.Taken {
		taken[m.Key]++
	}
	for _, key := range r.made {
		n := taken[key]
		delete(taken, key)
		switch {
		case n == 0:
			r.report.Lost++
		case n > 1:
			r.report.Extra += n - 1
		}
	}
	r.report.Lost -= min(r.report.Unknown, r.report.Lost) // held, and the invite says so
	for _, n := range taken {
		r.report.Extra += n // an invite whose response was lost
	}
	slices.Sort(r.refusals)
	if n := len(r.refusals); n > 0 {
		ms := func(d time.Duration) float64 { return d.Round(100*time.Microsecond).Seconds() * 1000 }
		r.report.RefusalP50Ms, r.report.RefusalMaxMs = ms(r.refusals[n/2]), ms(r.refusals[n-1])
	}
	r.report.Accepted = len(r.made)
	return nil
}

func fetchJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return json.NewDecoder(resp.Body).Decode(into)
}

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/processtest"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Soaks shape a run of the real program under a steady load without any fault. Zero
// values get the defaults named.
type Soaks struct {
	Length time.Duration // 30 min
	Rate   int           // 100: accepts a second
	Log    *slog.Logger
}

// Sample is what the program and its database hold at one moment.
type Sample struct {
	AtS         float64 `json:"at_s"`
	Invites     int64   `json:"invites"`
	MemoryMiB   float64 `json:"memory_mib"` // anonymous and resident
	Goroutines  float64 `json:"goroutines"`
	Descriptors float64 `json:"descriptors"`
	TableBytes  int64   `json:"table_bytes"` // with indexes and TOAST
	DeadShare   float64 `json:"dead_share"`  // of the rows of all tables
	WALBytes    int64   `json:"wal_bytes"`
	LogBytes    int64   `json:"log_bytes"`
	Waiting     int64   `json:"waiting"` // deliveries that are not finished
}

// SoakReport is the result. The first third of a run warms it up; growth compares the
// medians of the other two.
type SoakReport struct {
	Minutes          float64        `json:"minutes"`
	Rate             int            `json:"rate"`
	Accepted         int            `json:"accepted"`
	Opened           int            `json:"opened"` // pages opened, and gone on from
	Refused          int            `json:"refused"`
	Lost             int            `json:"lost"`
	Extra            int            `json:"extra"`
	Unknown          int            `json:"unknown"`
	Strange          map[string]int `json:"strange,omitempty"`
	MemoryGrowth     float64        `json:"memory_growth"`
	GoroutineGrowth  float64        `json:"goroutine_growth"`
	DescriptorGrowth float64        `json:"descriptor_growth"`
	// TableGrowth compares the bytes that an invite takes in tables and indexes.
	TableGrowth    float64 `json:"table_growth"`
	TableBytesEach float64 `json:"table_bytes_per_invite"`
	WALBytesEach   float64 `json:"wal_bytes_per_invite"`
	LogBytesEach   float64 `json:"log_bytes_per_invite"`
	WorstDeadShare float64 `json:"worst_dead_share"`
	WorstWaiting   int64   `json:"worst_waiting"`
	// RetiredPerS is how many invites with all their rows retention deletes in a second,
	// on one connection.
	RetiredPerS float64  `json:"retired_per_s"`
	Samples     []Sample `json:"samples"`
}

// Bounds of what counts as flat. Each leaves room for the noise of one sample among
// others, not for a leak: at a rate of 100 one byte kept for each invite's page, message
// and request would not show, a kilobyte would.
const (
	flat      = 1.15
	flatCount = 1.3   // of goroutines and descriptors: connections come and go
	fewDead   = 0.2   // what autovacuum's default lets stand,
	ofMany    = 10000 // in tables that it does not take for empty
	soakParts = 60    // samples
)

// Check returns the broken promise; nil if all hold.
func (r SoakReport) Check() error {
	var faults []error
	for _, c := range []struct {
		bad  bool
		text string
	}{
		{r.Accepted == 0 || r.Opened == 0, fmt.Sprintf("%d accepted, %d opened: the run proves nothing", r.Accepted, r.Opened)},
		{float64(r.Accepted) < 0.95*float64(r.Rate)*r.Minutes*60, fmt.Sprintf("%d were accepted, %.0f were to be asked for", r.Accepted, float64(r.Rate)*r.Minutes*60)},
		{r.Lost > 0, fmt.Sprintf("%d invites were acknowledged and not delivered", r.Lost)},
		{r.Extra > 0, fmt.Sprintf("%d messages were sent twice", r.Extra)},
		{r.Refused > 0 || len(r.Strange) > 0, fmt.Sprintf("%d requests were refused; other answers: %v", r.Refused, r.Strange)},
		{r.MemoryGrowth > flat, fmt.Sprintf("memory grew by a factor of %.2f", r.MemoryGrowth)},
		{r.GoroutineGrowth > flatCount, fmt.Sprintf("goroutines grew by a factor of %.2f", r.GoroutineGrowth)},
		{r.DescriptorGrowth > flatCount, fmt.Sprintf("descriptors grew by a factor of %.2f", r.DescriptorGrowth)},
		{r.TableGrowth > flat, fmt.Sprintf("the bytes of an invite in tables grew by a factor of %.2f", r.TableGrowth)},
		{r.RetiredPerS < 2*float64(r.Rate), fmt.Sprintf("retention deletes %.0f invites a second: too few beside %d new ones", r.RetiredPerS, r.Rate)},
		{r.WorstDeadShare > fewDead, fmt.Sprintf("%.0f %% of the rows were dead", 100*r.WorstDeadShare)},
	} {
		if c.bad {
			faults = append(faults, errors.New(c.text))
		}
	}
	return errors.Join(faults...)
}

// soak is one run's state.
type soak struct {
	*outage

	report SoakReport
	began  time.Time
}

// Soak runs the real program for a while, under invites whose messages are sent and
// whose pages are opened and gone on from, and watches its memory, descriptors and tables.
func Soak(ctx context.Context, o Soaks) (SoakReport, error) {
	orDefault(&o.Length, 30*time.Minute)
	orDefault(&o.Rate, 100)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &soak{outage: newOutage(Outages{Rate: o.Rate, Log: o.Log})}
	s.accepted = s.open
	s.env = []string{"CONNECTLINK_TRUSTED_PROXIES=127.0.0.1/32"} // each recipient is at an address of their own
	s.work = func(ctx context.Context) error { return s.watch(ctx, o.Length) }
	s.counted = s.retire
	err := s.all(ctx)
	s.report.Minutes, s.report.Rate = o.Length.Minutes(), o.Rate
	s.report.Accepted, s.report.Refused = s.outage.report.Accepted, s.outage.report.Refused
	s.report.Lost, s.report.Extra, s.report.Unknown = s.outage.report.Lost, s.outage.report.Extra, s.outage.report.Unknown
	s.report.Strange = s.outage.report.Strange
	s.report.compare()
	return s.report, err
}

// open does what a recipient does: looks at the page, moves, and goes on to Pipedream.
// A request that looks like a robot's does not count as a visit, and the spend firewall
// pauses text messages without visits.
func (s *soak) open(ctx context.Context, link string) {
	address := fmt.Sprintf("2001:db8:%x:%x::1", rand.IntN(1<<16), rand.IntN(1<<16))
	for _, step := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodGet, "", "", http.StatusOK},
		{http.MethodPost, "/seen", "js=1&g=1", http.StatusNoContent},
		{http.MethodPost, "", "js=1&g=1&from=page", http.StatusSeeOther},
	} {
		req, err := http.NewRequestWithContext(ctx, step.method, s.program.base+strings.TrimPrefix(link, PublicURL)+step.path, strings.NewReader(step.body))
		if err != nil {
			s.strange("a link that is none")
			return
		}
		req.Header.Set("X-Forwarded-For", address)
		req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
		req.Header.Set("Accept-Language", "en-US,en;q=0.5")
		req.Header.Set("Origin", PublicURL)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := s.client.Transport.RoundTrip(req) // Pipedream is not followed to
		if err != nil {
			if ctx.Err() == nil {
				s.strange("no page")
			}
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != step.want {
			s.strange(fmt.Sprintf("%s of a page%s: %d", step.method, step.path, resp.StatusCode))
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Opened++
}

// watch takes samples until the run is over.
func (s *soak) watch(ctx context.Context, length time.Duration) error {
	s.began = time.Now()
	db, err := pgx.Connect(ctx, s.database.URL())
	if err != nil {
		return fmt.Errorf("connect to take samples: %w", err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	tick := time.NewTicker(length / soakParts)
	defer tick.Stop()
	for range soakParts {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.program.ended:
			return fmt.Errorf("the program ended: %s", s.program.lastWords())
		case <-tick.C:
		}
		one, err := s.sample(ctx, db)
		if err != nil {
			return fmt.Errorf("take a sample: %w", err)
		}
		s.report.Samples = append(s.report.Samples, one)
		s.o.Log.InfoContext(ctx, "sample", "of", fmt.Sprintf("%d/%d", len(s.report.Samples), soakParts), "values", fmt.Sprintf("%+v", one))
	}
	return nil
}

func (s *soak) sample(ctx context.Context, db *pgx.Conn) (Sample, error) {
	one := Sample{AtS: time.Since(s.began).Round(time.Millisecond).Seconds()}
	s.mu.Lock()
	one.Invites = int64(len(s.made))
	s.mu.Unlock()
	err := db.QueryRow(ctx, `
		SELECT (SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables),
			(SELECT coalesce(sum(n_dead_tup) / nullif(sum(n_dead_tup + n_live_tup), 0), 0)::float8 FROM pg_stat_user_tables),
			pg_current_wal_lsn() - '0/0'::pg_lsn, (`+openDeliveries+`)`).Scan(&one.TableBytes, &one.DeadShare, &one.WALBytes, &one.Waiting)
	if err != nil {
		return one, err
	}
	log, err := os.Stat(s.program.log)
	if err != nil {
		return one, err
	}
	one.LogBytes = log.Size()
	if one.MemoryMiB, err = processtest.AnonymousMemory(s.program.cmd.Process.Pid); err != nil {
		return one, err
	}
	return one, s.readMetrics(ctx, map[string]*float64{"go_goroutines": &one.Goroutines, "process_open_fds": &one.Descriptors})
}

// retire deletes all invites, as retention does when they ended long ago.
func (s *soak) retire(ctx context.Context) error {
	db, err := pgx.Connect(ctx, s.database.URL())
	if err != nil {
		return fmt.Errorf("connect to retire: %w", err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	if _, err := db.Exec(ctx, `UPDATE invites SET wiped_at = now() - interval '10 years'`); err != nil {
		return fmt.Errorf("end all invites: %w", err)
	}
	began, total := time.Now(), 0
	for {
		n, err := ledger.DeleteEnded(ctx, db, "default", 24*time.Hour, erase.BatchSize)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		total += n
	}
	if total != len(s.made) {
		return fmt.Errorf("retention deleted %d of %d invites", total, len(s.made))
	}
	s.report.RetiredPerS = float64(total) / time.Since(began).Seconds()
	return nil
}

// readMetrics reads metrics without labels from the program.
func (s *soak) readMetrics(ctx context.Context, into map[string]*float64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.program.base+"/metrics", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	missing := len(into)
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if to := into[name]; to != nil {
			if *to, err = strconv.ParseFloat(value, 64); err != nil {
				return err
			}
			missing--
		}
	}
	if missing != 0 {
		return fmt.Errorf("%d metrics are missing from /metrics (%d)", missing, resp.StatusCode)
	}
	return nil
}

// compare computes growth from the samples.
func (r *SoakReport) compare() {
	third := len(r.Samples) / 3
	if third < 2 {
		return
	}
	middle, last := r.Samples[third:2*third], r.Samples[len(r.Samples)-third:]
	growth := func(of func(Sample) float64) float64 { return medianOf(last, of) / max(medianOf(middle, of), 1) }
	r.MemoryGrowth = growth(func(s Sample) float64 { return s.MemoryMiB })
	r.GoroutineGrowth = growth(func(s Sample) float64 { return s.Goroutines })
	r.DescriptorGrowth = growth(func(s Sample) float64 { return s.Descriptors })
	each := func(of []Sample, value func(Sample) int64) float64 {
		from, to := of[0], of[len(of)-1]
		return float64(value(to)-value(from)) / float64(max(to.Invites-from.Invites, 1))
	}
	tables := func(s Sample) int64 { return s.TableBytes }
	r.TableBytesEach = each(last, tables)
	r.TableGrowth = r.TableBytesEach / max(each(middle, tables), 1)
	r.WALBytesEach = each(last, func(s Sample) int64 { return s.WALBytes })
	r.LogBytesEach = each(last, func(s Sample) int64 { return s.LogBytes })
	for _, s := range slices.Concat(middle, last) {
		r.WorstWaiting = max(r.WorstWaiting, s.Waiting)
		if s.Invites >= ofMany {
			r.WorstDeadShare = max(r.WorstDeadShare, s.DeadShare)
		}
	}
}

func medianOf(samples []Sample, of func(Sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

package firewall_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/firewall"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// place is a country that a simulated project sends to.
type place struct {
	code    string
	prefix  string  // of its mobile numbers
	digits  int     // that follow
	perDay  float64 // messages
	rate    float64 // visited in the end
	median  time.Duration
	weekend float64 // part of the volume at weekends
}

// honest are 20 countries: large and small, quick and slow, from 20 to 80 % of visits.
func honest() []place {
	m := time.Minute
	return []place{
		{"US", "+1202555", 4, 400, 0.62, 4 * m, 0.4}, {"GB", "+447400", 6, 220, 0.55, 6 * m, 0.3}, {"DE", "+4915123", 6, 180, 0.48, 25 * m, 0.2},
		{"FR", "+336123", 5, 120, 0.40, 60 * m, 0.3}, {"IN", "+918123", 6, 300, 0.30, 90 * m, 0.8}, {"BR", "+551196", 7, 150, 0.35, 45 * m, 0.6},
		{"JP", "+819012", 6, 60, 0.70, 15 * m, 0.2}, {"AU", "+61412", 6, 80, 0.58, 10 * m, 0.4}, {"MX", "+525512", 6, 90, 0.33, 120 * m, 0.7},
		{"ES", "+346123", 5, 50, 0.45, 40 * m, 0.3}, {"IT", "+393123", 6, 40, 0.42, 75 * m, 0.3}, {"NL", "+31612", 6, 30, 0.66, 5 * m, 0.3},
		{"PL", "+4851234", 4, 25, 0.50, 30 * m, 0.4}, {"SE", "+46701", 6, 20, 0.72, 8 * m, 0.2}, {"TR", "+905012", 6, 60, 0.25, 150 * m, 0.9},
		{"NG", "+234802", 7, 100, 0.20, 240 * m, 0.9}, {"ID", "+628123", 6, 110, 0.24, 200 * m, 0.8}, {"PH", "+639051", 6, 70, 0.28, 180 * m, 0.9},
		{"LV", "+371212", 5, 8, 0.80, 3 * m, 0.5}, {"EE", "+3725123", 4, 4, 0.60, 20 * m, 0.5},
	}
}

// simulation is a project with real tables and its own time.
type simulation struct {
	t      testing.TB
	db     *pgxpool.Pool
	random *rand.Rand
	now    time.Time
	wall   *firewall.Service
	places []place
	zones  map[string]*time.Location
	// visits that are to come
	visits []visit
	sent   int
	mood   map[string]float64 // of a country's day
	told   []quota.Alert
	known  map[string]bool // pauses that were expected
}

type visit struct {
	at time.Time
	of traffic.Sent
}

func (s *simulation) Raise(_ context.Context, _ pgx.Tx, at invite.Place, a quota.Alert, _ time.Time) error {
	if !at.Live || a.Kind != quota.AlertPaused {
		s.t.Errorf("raised %+v at %v", a, at)
	}
	s.told = append(s.told, a)
	return nil
}

func newSimulation(t testing.TB, seed uint64, f config.Firewall) *simulation {
	t.Helper()
	s := &simulation{
		t: t, db: postgrestest.Pool(t), random: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 9, 7, 0, 0, 0, 0, time.UTC),
		places: honest(), zones: make(map[string]*time.Location), mood: make(map[string]float64), known: make(map[string]bool),
	}
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		t.Fatal(err)
	}
	s.wall, err = firewall.New(firewall.Params{
		DB: s.db, Box: box, Alerts: s, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.now },
		Project: func(string) (config.Project, bool) { return config.Project{ID: "acme", Firewall: f}, true },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.places {
		zones := contact.PhoneZones(p.number(s.random))
		if len(zones) == 0 || traffic.CountryOf(p.number(s.random)) != p.code {
			t.Fatalf("%s: the numbers are of %s, in %d zones", p.code, traffic.CountryOf(p.number(s.random)), len(zones))
		}
		s.zones[p.code] = zones[len(zones)-1]
	}
	return s
}

func (p place) number(r *rand.Rand) string {
	n := p.prefix
	for range p.digits {
		n += string(rune('0' + r.IntN(10)))
	}
	return n
}

// local is the hour of the day in a country.
func (s *simulation) local(p place, at time.Time) float64 {
	l := at.In(s.zones[p.code])
	return float64(l.Hour()) + float64(l.Minute())/60
}

// intensity is the part of a country's daily messages within an hour.
func (s *simulation) intensity(p place) float64 {
	h := s.local(p, s.now)
	weight := 0.15 // people who work at night, and programs that never sleep
	if h >= 7 && h < 22 {
		weight = 1
	}
	if day := s.now.In(s.zones[p.code]).Weekday(); day == time.Saturday || day == time.Sunday {
		weight *= p.weekend
	}
	return p.perDay * weight / (15 + 9*0.15)
}

// step passes time with honest traffic.
func (s *simulation) step(d time.Duration) {
	if s.now.Truncate(24*time.Hour) != s.now.Add(-d).Truncate(24*time.Hour) {
		for _, p := range s.places { // days differ
			s.mood[p.code] = 0.75 + 0.5*s.random.Float64()
		}
	}
	var sent []traffic.Sent
	for _, p := range s.places {
		for range s.poisson(s.intensity(p) * d.Hours()) {
			one := traffic.Sent{Project: "acme", To: p.number(s.random), At: s.now.Add(time.Duration(s.random.Int64N(int64(d))))}
			sent = append(sent, one)
			s.maybeVisit(p, one)
		}
	}
	s.now = s.now.Add(d)
	s.count(sent)
	s.visit()
}

func (s *simulation) maybeVisit(p place, one traffic.Sent) {
	rate := p.rate
	if m, ok := s.mood[p.code]; ok {
		rate *= m
	}
	if s.random.Float64() >= rate {
		return
	}
	at := one.At.Add(time.Duration(float64(p.median) * math.Exp(1.2*s.random.NormFloat64())))
	// Who sleeps looks in the morning, but for a few.
	if h := s.local(p, at); (h < 7 || h >= 23) && s.random.Float64() > 0.15 {
		morning := math.Mod(7-h+24, 24) + 3*s.random.Float64()
		at = at.Add(time.Duration(morning * float64(time.Hour)))
	}
	s.visits = append(s.visits, visit{at, one})
}

func (s *simulation) poisson(mean float64) int {
	n, limit, p := 0, math.Exp(-mean), s.random.Float64()
	for p > limit {
		n++
		p *= s.random.Float64()
	}
	return n
}

func (s *simulation) count(sent []traffic.Sent) {
	s.sent += len(sent)
	batch := &pgx.Batch{}
	traffic.QueueSent(batch, sent)
	if batch.Len() == 0 {
		return
	}
	if err := s.db.SendBatch(s.t.Context(), batch).Close(); err != nil {
		s.t.Fatal(err)
	}
}

// visit makes the visits that are due.
func (s *simulation) visit() {
	due := slices.Collect(func(yield func(visit) bool) {
		for _, v := range s.visits {
			if !v.at.After(s.now) && !yield(v) {
				return
			}
		}
	})
	if len(due) == 0 {
		return
	}
	s.visits = slices.DeleteFunc(s.visits, func(v visit) bool { return !v.at.After(s.now) })
	slices.SortFunc(due, func(a, b visit) int { return a.at.Compare(b.at) })
	err := postgres.InTx(s.t.Context(), s.db, func(tx pgx.Tx) error {
		for _, v := range due {
			if err := traffic.AddVisit(s.t.Context(), tx, v.of, v.at.Sub(v.of.At)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *simulation) judge() []traffic.Pause {
	n, err := s.wall.Judge(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if n == 0 {
		return nil
	}
	list, err := traffic.ListPauses(s.t.Context(), s.db)
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(p traffic.Pause) bool { return s.known[p.Name] })
}

func defaults() config.Firewall { return config.Firewall{FloorPercent: 25, LeastMessages: 40} }

// attack is a range of numbers that is pumped beside honest traffic.
type attack struct {
	name   string
	place  place
	hour   int           // UTC, of its begin
	every  time.Duration // between two messages
	atMost int           // messages that may get out
	isSlow bool          // it takes hundreds of simulated minutes
}

func attacks() []attack {
	return []attack{
		{"a country with history, by day", place{code: "GB", prefix: "+4474019", digits: 5}, 12, 5 * time.Second, 320, false},
		{"a country with history, by night", place{code: "GB", prefix: "+4474018", digits: 5}, 1, 5 * time.Second, 900, true},
		{"a slow country, by day", place{code: "NG", prefix: "+23480391", digits: 5}, 10, 5 * time.Second, 2000, true},
		{"numbers spread over a country", place{code: "PL", prefix: "+4851", digits: 7}, 10, 5 * time.Second, 900, false},
		{"a country without history, by day", place{code: "ZA", prefix: "+2782123", digits: 4}, 9, 5 * time.Second, 700, false},
	}
}

// isSpread reports whether the numbers are of many ranges.
func (a attack) isSpread() bool { return a.place.digits > 5 }

// judgedEvery is how often the program judges.
const judgedEvery = 15 * time.Second

// pump sends messages that no person visits until their range is paused. It returns how
// many got out, and how long after there were enough to judge they were stopped.
func (s *simulation) pump(a attack) (out int, late time.Duration) {
	s.t.Helper()
	var times []time.Time
	var enough time.Time
	for begun := s.now; s.now.Sub(begun) < 8*time.Hour; {
		var sent []traffic.Sent
		for at := s.now; at.Before(s.now.Add(judgedEvery)); at = at.Add(a.every) {
			sent = append(sent, traffic.Sent{Project: "acme", To: a.place.number(s.random), At: at})
			times = append(times, at)
		}
		s.count(sent)
		s.step(judgedEvery)
		if enough.IsZero() && firewall.IsEnough(times, 0, a.place.code, s.baseline(a.place.code), config.Project{Firewall: defaults()}, s.now) {
			enough = s.now
		}
		for _, p := range s.judge() {
			s.known[p.Name] = true
			want := traffic.PrefixOf(a.place.number(s.random))
			if a.isSpread() {
				want = a.place.code
			}
			if p.Name != want {
				s.t.Errorf("%s: %s is paused, want %s: %+v", a.name, p.Name, want, p.Figures)
			}
			if a.isSpread() {
				return len(times), 0 // honest visits to the country are counted too
			}
			if enough.IsZero() {
				return len(times), 0 // buckets of five minutes are a little ahead of the exact times
			}
			return len(times), s.now.Sub(enough)
		}
	}
	s.t.Fatalf("%s: not stopped after %d messages", a.name, len(times))
	return 0, 0
}

func (s *simulation) baseline(country string) traffic.Baseline {
	list, err := traffic.ListBaselines(s.t.Context(), s.db)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range list {
		if b.Country == country {
			return b
		}
	}
	return traffic.Baseline{}
}

// Seven days of honest traffic from a project's first message on are not disturbed, and
// ranges of numbers that are pumped then, by day or by night, are stopped. Pauses that
// hit an honest country are counted.
func TestFirewallStopsPumpedNumbersAndNoHonestCountry(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation by one goroutine, of weeks; the race detector finds nothing in it")
	}
	t.Parallel()
	seeds, step, judged, all := []uint64{1}, 30*time.Minute, time.Hour, attacks()
	if longtest.Wanted() {
		step, judged = 10*time.Minute, 10*time.Minute
	} else {
		all = slices.DeleteFunc(all, func(a attack) bool { return a.isSlow })
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			s := newSimulation(t, seed, defaults())
			begun := s.now
			for s.now.Sub(begun) < 7*24*time.Hour {
				s.step(step)
				if s.now.Sub(begun)%judged != 0 {
					continue
				}
				for _, p := range s.judge() {
					t.Fatalf("after %v %s is paused: %+v", s.now.Sub(begun), p.Name, p.Figures)
				}
			}
			t.Logf("%d honest messages in 7 days to 20 countries, no pause", s.sent)
			for _, a := range all {
				for s.now.Hour() != a.hour {
					s.step(15 * time.Minute)
				}
				told := len(s.told)
				out, late := s.pump(a)
				t.Logf("%s: stopped %v after there was enough to judge; %d texts got out", a.name, late, out)
				if late > time.Minute || late < 0 {
					t.Errorf("%s: stopped %v after there was enough to judge", a.name, late)
				}
				if out > a.atMost {
					t.Errorf("%s: %d texts got out, want at most %d", a.name, out, a.atMost)
				}
				if len(s.told) == told {
					t.Errorf("%s: no alert", a.name)
				}
			}
			if n := len(s.judge()); n > 0 {
				t.Errorf("%d more pauses", n)
			}
		})
	}
}

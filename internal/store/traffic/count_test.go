package traffic_test

import (
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

var noon = time.Date(2026, 9, 7, 12, 1, 0, 0, time.UTC)

func queue(t *testing.T, tx pgx.Tx, list ...traffic.Sent) {
	t.Helper()
	batch := &pgx.Batch{}
	traffic.QueueSent(batch, list)
	if err := tx.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
}

func add(t *testing.T, tx pgx.Tx, s traffic.Sent, delays ...time.Duration) {
	t.Helper()
	for _, d := range delays {
		if err := traffic.AddVisit(t.Context(), tx, s, d); err != nil {
			t.Fatal(err)
		}
	}
}

func cohorts(t *testing.T, tx pgx.Tx, active time.Time) map[string]traffic.Cohort {
	t.Helper()
	list, err := traffic.ListCohorts(t.Context(), tx, noon.Add(-24*time.Hour), active)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]traffic.Cohort)
	for _, c := range list {
		out[c.Area+c.Bucket.UTC().Format(" 15:04")] = c
	}
	return out
}

func TestMessagesAndVisitsAreCountedByCountryAndRange(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	at := func(to string, after time.Duration) traffic.Sent {
		return traffic.Sent{Project: "acme", To: to, At: noon.Add(after)}
	}
	first := at("+447400123456", 0)
	queue(t, tx, first, at("+447400199999", 2*time.Minute), at("+447400200000", time.Minute))
	queue(t, tx, at("+447400123456", 3*time.Minute+30*time.Second), at("+447400123456", 6*time.Minute))
	queue(t, tx)
	add(t, tx, first, 30*time.Second, 3*time.Minute, 23*time.Hour, 25*time.Hour)
	add(t, tx, at("+12025550123", 0), time.Minute) // nothing was counted there

	got := cohorts(t, tx, noon.Add(-time.Hour))
	for name, want := range map[string]traffic.Cohort{
		"GB 12:00":       {Sent: 4, Visited: 3, Mean: noon.Add(97 * time.Second)},
		"GB 12:05":       {Sent: 1, Mean: noon.Add(6 * time.Minute)},
		"+4474001 12:00": {Sent: 3, Visited: 3, Mean: noon.Add(110 * time.Second)},
		"+4474001 12:05": {Sent: 1, Mean: noon.Add(6 * time.Minute)},
		"+4474002 12:00": {Sent: 1, Mean: noon.Add(time.Minute)},
	} {
		c := got[name]
		if c.Sent != want.Sent || c.Visited != want.Visited || c.Country != "GB" || c.Mean.Sub(want.Mean).Abs() > time.Second || c.IsPrefix() != (name[0] == '+') {
			t.Errorf("%s: %+v, want %+v", name, c, want)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d cohorts", len(got))
	}
	if got := cohorts(t, tx, noon.Add(time.Hour)); len(got) != 0 {
		t.Errorf("%d cohorts of areas without recent messages", len(got))
	}
}

func TestPausedRangeIsForgottenAlsoByItsCountry(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	pumped, other := traffic.Sent{Project: "acme", To: "+447400123456", At: noon}, traffic.Sent{Project: "acme", To: "+447400999999", At: noon}
	elsewhere := traffic.Sent{Project: "beta", To: "+447400123456", At: noon}
	queue(t, tx, pumped, pumped, pumped, other, other, elsewhere)
	add(t, tx, pumped, time.Minute)
	add(t, tx, other, time.Minute, time.Hour)
	if err := traffic.Forget(t.Context(), tx, "acme", "+4474001", "GB"); err != nil {
		t.Fatal(err)
	}
	list, err := traffic.ListCohorts(t.Context(), tx, noon.Add(-time.Hour), noon.Add(-time.Hour))
	if err != nil || len(list) != 4 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, c := range list {
		if c.Project == "acme" && (c.Sent != 2 || c.Visited != 2) || c.Project == "beta" && c.Sent != 1 {
			t.Errorf("%+v", c)
		}
	}
	add(t, tx, pumped, time.Minute) // late: no row, no error
	if err := traffic.Forget(t.Context(), tx, "acme", "GB", "GB"); err != nil {
		t.Fatal(err)
	}
	if list, err := traffic.ListCohorts(t.Context(), tx, noon.Add(-time.Hour), noon.Add(-time.Hour)); err != nil || len(list) != 2 {
		t.Errorf("the country: %+v, %v", list, err)
	}
}

func TestOldMessagesBecomeTheBaselineAndFade(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	learn := func(before time.Time, n, want int) {
		t.Helper()
		if got, err := traffic.Learn(t.Context(), tx, before, n); err != nil || got != want {
			t.Fatalf("learned %d rows, %v; want %d", got, err, want)
		}
	}
	s := traffic.Sent{Project: "acme", To: "+447400123456", At: noon}
	queue(t, tx, s, s, s, s)
	add(t, tx, s, 30*time.Second, 10*time.Minute)
	learn(noon.Add(-time.Hour), 10, 0)
	learn(noon.Add(time.Hour), 1, 1)
	learn(noon.Add(time.Hour), 10, 1)
	learn(noon.Add(time.Hour), 10, 0)
	baseline := func() traffic.Baseline {
		t.Helper()
		list, err := traffic.ListBaselines(t.Context(), tx)
		if err != nil || len(list) != 1 || list[0].Country != "GB" || list[0].Project != "acme" {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0]
	}
	slot := traffic.SlotOf(noon)
	if b := baseline(); slot != 4 || b.Sent[slot] != 4 || b.Visits[slot][0] != 1 || b.Visits[slot][2] != 1 || b.Visits[slot][1] != 0 || b.Sent[0] != 0 {
		t.Errorf("slot %d: %+v", slot, b)
	}
	// Two weeks later the first messages weigh half.
	s.At = s.At.Add(14 * 24 * time.Hour)
	queue(t, tx, s, s)
	add(t, tx, s, 30*time.Second)
	learn(noon.Add(14*24*time.Hour+time.Hour), 10, 2)
	if b := baseline(); math.Abs(b.Sent[slot]-4) > 1e-6 || math.Abs(b.Visits[slot][0]-1.5) > 1e-6 || math.Abs(b.Visits[slot][2]-0.5) > 1e-6 {
		t.Errorf("after two weeks: %+v", b)
	}
}

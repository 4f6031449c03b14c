package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Report is the result of a run.
type Report struct {
	Time       time.Time   `json:"time"`
	Cores      int         `json:"cores"`
	Postgres   string      `json:"postgres"`
	FlushMS    float64     `json:"flush_ms"` // mean time in which the disk makes 8 KB durable
	Rounds     int         `json:"rounds"`
	Seconds    float64     `json:"seconds"`
	Due        int         `json:"due"`
	Benchmarks []Benchmark `json:"benchmarks"`
}

// Benchmark is the result of one measurement.
type Benchmark struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Figures []Figure `json:"figures"`
	Usages  []Usage  `json:"usage"`
}

// Figure is one value of each round. The floor must be met and the aim is the
// goal; both are 0 where nothing is promised.
type Figure struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit,omitempty"`
	Values []float64 `json:"values"`
	Min    float64   `json:"min"`
	Median float64   `json:"median"`
	Max    float64   `json:"max"`
	Floor  float64   `json:"floor,omitempty"`
	Aim    float64   `json:"aim,omitempty"`
	Less   bool      `json:"less_is_better,omitempty"`
}

// Usage is the median cost of one program's load, and what bounded it.
type Usage struct {
	Of        string  `json:"of"`
	Busy      float64 `json:"processors_busy"`
	Others    float64 `json:"processors_busy_by_others"`
	Flushing  float64 `json:"disk_flushing"`
	Flushes   float64 `json:"flushes_per_s"`
	WriteRate float64 `json:"commits_per_s"`
	Writes    float64 `json:"commits_per_unit"`
	Process   float64 `json:"process_cpu_ms_per_unit"`
	Postgres  float64 `json:"postgres_cpu_ms_per_unit"`
	Limit     string  `json:"limit"`

	rounds []usage
	paced  bool
}

// add appends a round's value to a figure.
func (b *Benchmark) add(name, unit string, value float64) *Figure {
	at := slices.IndexFunc(b.Figures, func(f Figure) bool { return f.Name == name })
	if at < 0 {
		at = len(b.Figures)
		b.Figures = append(b.Figures, Figure{Name: name, Unit: unit})
	}
	f := &b.Figures[at]
	f.Values = append(f.Values, value)
	return f
}

// hold sets what a figure must reach.
func (f *Figure) hold(floor, aim float64, less bool) { f.Floor, f.Aim, f.Less = floor, aim, less }

// use appends a round's cost of one program's load.
func (b *Benchmark) use(of string, u usage, paced bool) {
	at := slices.IndexFunc(b.Usages, func(u Usage) bool { return u.Of == of })
	if at < 0 {
		at = len(b.Usages)
		b.Usages = append(b.Usages, Usage{Of: of, paced: paced})
	}
	b.Usages[at].rounds = append(b.Usages[at].rounds, u)
}

// settle computes the figures of all rounds.
func (b *Benchmark) settle() {
	for i := range b.Figures {
		f := &b.Figures[i]
		f.Min, f.Median, f.Max = slices.Min(f.Values), median(f.Values), slices.Max(f.Values)
	}
	for i := range b.Usages {
		u := &b.Usages[i]
		of := func(value func(usage) float64) float64 {
			all := make([]float64, len(u.rounds))
			for i, r := range u.rounds {
				all[i] = value(r)
			}
			return median(all)
		}
		u.Busy, u.Others = of(func(u usage) float64 { return u.Busy }), of(func(u usage) float64 { return u.Others })
		u.Flushing, u.Flushes = of(func(u usage) float64 { return u.Flushing }), of(func(u usage) float64 { return u.Flushes })
		u.Writes, u.WriteRate = of(func(u usage) float64 { return u.Writes }), of(func(u usage) float64 { return u.WriteRate })
		u.Process, u.Postgres = of(func(u usage) float64 { return u.Process }), of(func(u usage) float64 { return u.Postgres })
		u.Limit = u.limit()
	}
}

// limit names the resource that bounded a load.
func (u Usage) limit() string {
	const saturated = 0.85
	switch {
	case u.Busy >= saturated && u.Others >= 0.25:
		return "processors, which other programs use too"
	case u.Busy >= saturated:
		return "processors"
	case u.paced:
		return "none: the load is paced"
	case u.Flushing >= saturated:
		return "disk flushes"
	case u.Flushing >= 0.4:
		return "disk flushes and the steps between them"
	}
	return "waiting between steps"
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	half := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[half-1] + sorted[half]) / 2
	}
	return sorted[half]
}

// Verdict compares a figure's median with its floor and aim; "" without them.
func (f Figure) Verdict() string {
	reached := func(bound float64) bool { return f.Median >= bound && !f.Less || f.Median <= bound && f.Less }
	switch {
	case f.Floor == 0:
		return ""
	case reached(f.Aim):
		return "aim reached"
	case reached(f.Floor):
		return "floor met"
	}
	return "BELOW THE FLOOR"
}

// Print writes a report for people.
func (r Report) Print(to io.Writer) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(to, format, args...) }
	p("%s, %d cores, PostgreSQL %s, disk flush of 8 KB %.2f ms (%.0f/s one after the other), %d rounds of %g s, %d due\n",
		r.Time.Format("2006-01-02 15:04 MST"), r.Cores, r.Postgres, r.FlushMS, 1000/max(r.FlushMS, 0.001), r.Rounds, r.Seconds, r.Due)
	for _, b := range r.Benchmarks {
		p("\n%s: %s\n", b.Name, b.Title)
		p("  %-58s %10s %10s %10s\n", "", "median", "min", "max")
		for _, f := range b.Figures {
			p("  %-58s %10s %10s %10s", strings.TrimSuffix(f.Name+", "+f.Unit, ", "), number(f.Median), number(f.Min), number(f.Max))
			if v := f.Verdict(); v != "" {
				p("  %s (floor %g, aim %g)", v, f.Floor, f.Aim)
			}
			p("\n")
		}
		for _, u := range b.Usages {
			p("  limit of %s: %s\n", u.Of, u.Limit)
			p("    processors %.0f %% busy (%.0f %% by others), %.0f commits/s, %.0f flushes/s during %.0f %% of the time\n",
				100*u.Busy, 100*u.Others, u.WriteRate, u.Flushes, 100*u.Flushing)
			if u.Process > 0 {
				p("    a unit: %.2f ms of the process, %.2f ms of Postgres, %.2f commits\n", u.Process, u.Postgres, u.Writes)
			}
		}
	}
}

// number has three significant digits, and all digits before the point.
func number(v float64) string {
	switch {
	case v >= 100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.4f", v)
}

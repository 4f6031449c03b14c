package bench_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/bench"
)

// promised are the figures that have a floor and an aim.
func promised() map[string]string {
	return map[string]string{
		"this service, dispatch running ÷ plain":             "accept",
		"this service, accept only ÷ plain":                  "accept",
		"idle ÷ fresh statistics":                            "drain",
		"this service ÷ River":                               "drain",
		"this service ÷ River, p50":                          "latency",
		"this service ÷ River, p99":                          "latency",
		"this service ÷ River, processor time with Postgres": "latency",
		"this service, memory at start":                      "memory",
		"this service, memory at 64 clients, highest":        "memory",
		"200 ms ÷ 0 ms":                                      "slow",
		"honest p99 beside ÷ alone":                          "leaked",
	}
}

// The values mean nothing here: loads are short, and other tests run beside them.
func TestEveryFigureIsMeasured(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds two programs and starts them some twenty times")
	}
	report, err := bench.Run(t.Context(), bench.Options{Rounds: 1, Length: 300 * time.Millisecond, Due: 40, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	missing := promised()
	for _, b := range report.Benchmarks {
		names = append(names, b.Name)
		checkBenchmark(t, b)
		for _, f := range b.Figures {
			if f.Floor == 0 {
				continue
			}
			if missing[f.Name] != b.Name {
				t.Errorf("%s: %q has a floor and is not among the promised figures", b.Name, f.Name)
			}
			delete(missing, f.Name)
		}
	}
	if !slices.Equal(names, bench.Names()) {
		t.Errorf("measured %q of %q", names, bench.Names())
	}
	if len(missing) > 0 {
		t.Errorf("not measured: %q", missing)
	}
	if report.Cores < 1 || report.Postgres == "" || report.FlushMS <= 0 {
		t.Errorf("the machine is not described: %+v", report)
	}
	checkOutput(t, report)
}

// checkBenchmark checks the form of one benchmark's values.
func checkBenchmark(t *testing.T, b bench.Benchmark) {
	t.Helper()
	if len(b.Figures) == 0 || len(b.Usages) == 0 {
		t.Errorf("%s has %d figures and %d usages", b.Name, len(b.Figures), len(b.Usages))
	}
	for _, f := range b.Figures {
		if len(f.Values) != 1 || f.Min != f.Values[0] || f.Median != f.Min || f.Max != f.Min {
			t.Errorf("%s, %s: %v in one round", b.Name, f.Name, f.Values)
		}
		if strings.HasPrefix(f.Name, "accept without the call") {
			continue // a difference of two measurements: on a busy machine it may be negative
		}
		zero := strings.HasSuffix(f.Name, "refused") || strings.HasSuffix(f.Name, "later") || f.Unit == "ms/invite" || strings.Contains(f.Name, "processor time")
		if math.IsNaN(f.Median) || math.IsInf(f.Median, 0) || f.Median < 0 || f.Median == 0 && !zero {
			t.Errorf("%s, %s = %v", b.Name, f.Name, f.Median)
		}
		if f.Unit == "%" && f.Median > 100 {
			t.Errorf("%s, %s = %v %%", b.Name, f.Name, f.Median)
		}
	}
	for _, u := range b.Usages {
		if u.Limit == "" || u.Busy < 0 || u.Busy > 1 || u.Others > u.Busy || u.Flushing < 0 || u.Flushing > 1 {
			t.Errorf("%s, %s: %+v", b.Name, u.Of, u)
		}
	}
}

func checkOutput(t *testing.T, report bench.Report) {
	t.Helper()
	var text bytes.Buffer
	report.Print(&text)
	for _, b := range report.Benchmarks {
		for _, f := range b.Figures {
			if !strings.Contains(text.String(), f.Name) {
				t.Errorf("the tables lack %s, %s:\n%s", b.Name, f.Name, text.String())
			}
		}
	}
	t.Logf("%s", text.String())
	if _, err := json.Marshal(report); err != nil {
		t.Error(err)
	}
}

func TestAnUnknownMeasurementIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := bench.Run(t.Context(), bench.Options{Rounds: 1, Only: []string{"speed"}}); err == nil || !strings.Contains(err.Error(), `"drain"`) {
		t.Errorf("the error %v does not name the measurements", err)
	}
}

func TestVerdictComparesTheMedianWithFloorAndAim(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]bench.Figure{
		"":                {Median: 3},
		"aim reached":     {Median: 2, Floor: 1.2, Aim: 2},
		"floor met":       {Median: 1.1, Floor: 1.3, Aim: 1, Less: true},
		"BELOW THE FLOOR": {Median: 1.4, Floor: 1.3, Aim: 1, Less: true},
	} {
		if got := f.Verdict(); got != want {
			t.Errorf("%+v: %q, not %q", f, got, want)
		}
	}
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"
)

// Options of a run.
type Options struct {
	Rounds     int           // times that each measurement is repeated
	Length     time.Duration // of one load
	Due        int           // deliveries in a queue that is drained
	Only       []string      // names of measurements; all when empty
	NoRiver    bool          // without the River prototype
	BuildFlags []string      // of the service
	Log        *slog.Logger  // progress
}

// measurement is one kind of benchmark. A round appends values to the benchmark.
type measurement struct {
	name, title string
	round       func(r *rig, ctx context.Context, b *Benchmark, round int) error
}

func measurements() []measurement {
	return []measurement{
		{"accept", "64 clients in a closed loop; ratios to the plain transaction at 64 clients", (*rig).accept},
		{"drain", "a queue that is due, sent by one worker; from the first call to the last", (*rig).drain},
		{"latency", "50 creates a second; from the answer to the call of the provider, and the cost", (*rig).latency},
		{"alone", "one client, against one client of the plain transaction", (*rig).alone},
		{"memory", "start, and anonymous memory 2 s later and under 64 clients", (*rig).memory},
		{"slow", "accept at 100/s beside a provider that takes 200 ms", (*rig).slowProvider},
		{"leaked", "20 creates a second beside a leaked key that asks on 48 connections beyond its limits", (*rig).leaked},
		{"read", "one client that lists 25 invites, and one that searches by address", (*rig).read},
	}
}

// Names are the names of all measurements.
func Names() []string {
	var names []string
	for _, m := range measurements() {
		names = append(names, m.name)
	}
	return names
}

// Run makes the measurements one after the other, each in all rounds.
func Run(ctx context.Context, o Options) (_ Report, err error) {
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return Report{}, fmt.Errorf("there is no measurement %q; there are: %q", name, Names())
		}
	}
	report := Report{Time: time.Now().UTC(), Cores: runtime.NumCPU(), Rounds: o.Rounds, Seconds: o.Length.Seconds(), Due: o.Due}
	r, err := newRig(ctx, o)
	defer r.close()
	if err != nil {
		return report, err
	}
	if err := r.describe(ctx, &report); err != nil {
		return report, err
	}
	for _, m := range measurements() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, m.name) {
			continue
		}
		b := Benchmark{Name: m.name, Title: m.title}
		for round := range o.Rounds {
			o.Log.Info("measure", "benchmark", m.name, "round", round+1, "of", o.Rounds)
			if err := m.round(r, ctx, &b, round); err != nil {
				return report, fmt.Errorf("%s, round %d: %w", m.name, round+1, errors.Join(err, context.Cause(ctx)))
			}
		}
		b.settle()
		report.Benchmarks = append(report.Benchmarks, b)
	}
	return report, nil
}

// describe writes down the server and the disk.
func (r *rig) describe(ctx context.Context, report *Report) error {
	flush, err := FlushTime(r.dir)
	if err != nil {
		return err
	}
	report.FlushMS = ms(flush)
	version, err := r.count(ctx, r.pg.URL(), `SELECT current_setting('server_version_num')::bigint / 10000`)
	report.Postgres = fmt.Sprint(version)
	return err
}

// inTurn runs the parts of a round, in reverse order in every other round, so
// that a machine that becomes slower or faster does not favor one of them.
func inTurn(round int, parts ...func() error) error {
	if round%2 == 1 {
		slices.Reverse(parts)
	}
	for _, part := range parts {
		if part == nil {
			continue
		}
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// programs are those that are compared: the service, and River unless it is left out.
func (r *rig) programs() []*program {
	if r.river == nil {
		return []*program{r.service}
	}
	return []*program{r.service, r.river}
}

// Chaos kills dispatching processes while they work and counts lost and
// doubled messages. It prints one line of JSON and ends with 1 if a promise
// was broken:
//
//	go run ./internal/chaos/cmd/chaos -kills 200 -workers 3
//	go run ./internal/chaos/cmd/chaos -points all -kills 20 -settle 2s -provider sendgrid
//	go run ./internal/chaos/cmd/chaos -provider sendgrid -late-reports 0.2 -kills 50
//	go run ./internal/chaos/cmd/chaos -partitions 12 -freezes 50
//	go run ./internal/chaos/cmd/chaos -stops 20
//	go run ./internal/chaos/cmd/chaos -failovers 3
//	go run ./internal/chaos/cmd/chaos -takeovers haproxy
//	go run ./internal/chaos/cmd/chaos -soak 30m -rate 100
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/postgres"
)

func main() {
	chaos.Child()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run() error {
	var o chaos.Options
	flag.StringVar(&o.URL, "database", "", "URL of an empty database of its own; default: a private server for the run")
	flag.StringVar(&o.Provider, "provider", chaos.Twilio, "twilio, sendgrid (reports by events) or sendgrid-blind")
	flag.IntVar(&o.Workers, "workers", 3, "processes that dispatch")
	flag.IntVar(&o.Kills, "kills", 200, "kills with -9")
	points := flag.String("points", "", "places to die at, -kills times at each: their names with commas, or all; default: at any moment")
	flag.IntVar(&o.Freezes, "freezes", 0, "freezes for longer than a lease")
	flag.IntVar(&o.Partitions, "partitions", 0, "before the killing: times at which a worker is cut off from the database, the vendors or both")
	flag.Float64Var(&o.LateReports, "late-reports", 0, "share of SendGrid's reports that come up to 24 h late or whose post is refused, such as 0.2")
	flag.Uint64Var(&o.Seed, "seed", 0, "of the order of events; default: random")
	flag.IntVar(&o.Backlog, "backlog", 0, "deliveries that are open at any time; default 150")
	flag.DurationVar(&o.Every, "every", 0, "time between two kills; default 300ms")
	flag.DurationVar(&o.Limit, "limit", 0, "time for the whole run; default 15m")
	flag.DurationVar(&o.Knobs.Lease, "lease", 0, "default 8s")
	flag.DurationVar(&o.Knobs.Renew, "renew", 0, "default 2s")
	flag.DurationVar(&o.Knobs.CallDeadline, "call-deadline", 0, "default 5s")
	flag.DurationVar(&o.Knobs.Settle, "settle", 0, "how long a lookup that finds nothing is not believed; default 3s")
	flag.Float64Var(&o.Slack, "slack", 1, "how many times the promised times it may take; more on a machine that others use")
	flag.BoolVar(&o.Quiet, "quiet", false, "no lost answers besides the killing")
	flag.BoolVar(&o.Verbose, "v", false, "the workers' logs on standard error")
	var down chaos.Outages
	flag.IntVar(&down.Stops, "stops", 0, "instead of killing workers: stop the database of the real program so often while it accepts")
	flag.IntVar(&down.Rate, "rate", 0, "accepts a second, where the real program runs; default 50, of a soak 100")
	var over chaos.Failovers
	flag.IntVar(&over.Count, "failovers", 0, "instead of killing workers: have the primary of the real program's database vanish without a word so often, and promote its standby")
	flag.DurationVar(&over.Dark, "dark", 0, "time between the primary's end and the promotion; default: drawn, up to 4s")
	through := flag.String("takeovers", "", "instead of killing workers: replace the primary of a Patroni cluster under the real program in each way; haproxy or hosts, by which the program finds it")
	soak := flag.Duration("soak", 0, "instead of killing workers: run the real program so long without a fault, and watch memory, descriptors and tables")
	flag.Parse()

	if err := choose(&o, *points); err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	if down.Stops > 0 {
		down.Seed, down.Limit, down.Slack, down.Log = o.Seed, o.Limit, o.Slack, o.Log
		report, err := chaos.Stop(ctx, down)
		return result(report, err)
	}
	if over.Count > 0 {
		over.Rate, over.Seed, over.Limit, over.Slack, over.Log = down.Rate, o.Seed, o.Limit, o.Slack, o.Log
		report, err := chaos.FailOver(ctx, over)
		return result(report, err)
	}
	if *through != "" {
		report, err := chaos.TakeOver(ctx, chaos.TakeOvers{Direct: *through == "hosts", Rate: down.Rate, Limit: o.Limit, Slack: o.Slack, Log: o.Log})
		return result(report, err)
	}
	if *soak > 0 {
		report, err := chaos.Soak(ctx, chaos.Soaks{Length: *soak, Rate: down.Rate, Log: o.Log})
		return result(report, err)
	}
	if o.URL == "" {
		url, done, err := server(ctx)
		if err != nil {
			return err
		}
		defer done()
		o.URL = url
	}
	if err := postgres.Migrate(ctx, o.URL, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	report, err := chaos.Run(ctx, o)
	return result(report, err)
}

// result prints a report and returns its verdict.
func result(report interface{ Check() error }, err error) error {
	line, jsonErr := json.Marshal(report)
	if jsonErr != nil {
		return jsonErr
	}
	fmt.Println(string(line))
	return errors.Join(err, report.Check())
}

// choose reads the names of places.
func choose(o *chaos.Options, names string) error {
	all := chaos.Points()
	switch names {
	case "":
		return nil
	case "all":
		o.Points = all
		return nil
	}
	for name := range strings.SplitSeq(names, ",") {
		p := dispatch.Point(name)
		if !slices.Contains(all, p) {
			return fmt.Errorf("there is no place %q; there are: %q", name, all)
		}
		o.Points = append(o.Points, p)
	}
	return nil
}

// server starts a private Postgres for the run.
func server(ctx context.Context) (string, func(), error) {
	dir, err := os.MkdirTemp("", "connectlink-chaos-")
	if err != nil {
		return "", nil, err
	}
	s, err := devpg.Start(ctx, devpg.Params{Dir: dir, Settings: map[string]string{"max_connections": "200"}})
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s.URL(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = s.Stop(ctx)
		_ = os.RemoveAll(s.Home())
		_ = os.RemoveAll(dir)
	}, nil
}

// Bench measures the service beside a plain transaction and beside a prototype on
// River, on a durable Postgres of its own, and prints the ratios:
//
//	go run ./internal/bench/cmd/bench
//	go run ./internal/bench/cmd/bench -only accept,drain -rounds 3
//	go run ./internal/bench/cmd/bench -only drain -due 100000
//	go run ./internal/bench/cmd/bench -json > figures.json
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
	"strings"
	"syscall"
	"time"

	"github.com/connectlink/connectlink/internal/bench"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	o := bench.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	flag.IntVar(&o.Rounds, "rounds", 5, "times that each measurement is repeated")
	seconds := flag.Float64("seconds", 4, "length of each load")
	flag.IntVar(&o.Due, "due", 8000, "deliveries in a queue that is drained")
	only := flag.String("only", "", "measurements with commas: "+strings.Join(bench.Names(), ", ")+"; default: all")
	flag.BoolVar(&o.NoRiver, "no-river", false, "leave the River prototype out")
	flags := flag.String("build-flags", "", "flags of go build for the service, such as -race")
	asJSON := flag.Bool("json", false, "print one JSON document instead of tables")
	flag.Parse()
	if o.Rounds < 1 || *seconds <= 0 || o.Due < 2 || flag.NArg() > 0 {
		return fmt.Errorf("needs -rounds of 1 or more, -seconds above 0, -due of 2 or more, and no arguments")
	}
	o.Length = time.Duration(*seconds * float64(time.Second))
	o.BuildFlags = strings.Fields(*flags)
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := bench.Run(ctx, o)
	if len(report.Benchmarks) == 0 {
		return err
	}
	// Measurements that were complete before an error are printed too.
	if *asJSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return errors.Join(err, out.Encode(report))
	}
	report.Print(os.Stdout)
	return err
}

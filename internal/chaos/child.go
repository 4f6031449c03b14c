package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// roleVariable tells a copy of this program what it is.
const roleVariable = "CONNECTLINK_CHAOS_ROLE"

const (
	roleSink   = "sink"
	roleWorker = "worker"
)

// Knobs are the times that a run is made with; they are printed with its result.
type Knobs struct {
	Lease        time.Duration `json:"lease"`
	Renew        time.Duration `json:"renew"`
	CallDeadline time.Duration `json:"call_deadline"`
	Settle       time.Duration `json:"settle"`
}

// childConfig goes to a worker by its standard input; the input's end is its
// parent's, and so its own.
type childConfig struct {
	URL      string `json:"url"`
	Name     string `json:"name"`
	SinkURL  string `json:"sink_url"`
	Keyset   string `json:"keyset"`
	Provider string `json:"provider"`
	Verbose  bool   `json:"verbose"`
	Knobs    Knobs  `json:"knobs"`
}

// Child runs this process as a worker or as the sink when its parent started it
// as one, and does not come back then. Programs that call Run call it first.
func Child() {
	role := os.Getenv(roleVariable)
	if role == "" {
		return
	}
	err := fmt.Errorf("no role %q", role)
	switch role {
	case roleSink:
		err = serveSink()
	case roleWorker:
		err = runWorker()
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "chaos", role+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serveSink() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: sink.New(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if _, err := fmt.Printf("http://%s\n", l.Addr()); err != nil {
		return err
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// perWorker keeps one worker from taking the whole backlog, so that there
// are others to kill.
const perWorker = 32

func runWorker() error {
	in := json.NewDecoder(os.Stdin)
	var c childConfig
	if err := in.Decode(&c); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	feeding, stopFeeding := context.WithCancel(ctx)
	defer stopFeeding()
	var armed trap
	go func() {
		defer cancel()
		for {
			var o order
			if in.Decode(&o) != nil {
				return
			}
			if o.Quiet {
				stopFeeding()
				continue
			}
			armed.set(o)
		}
	}()
	keyset, err := seal.ParseKeyset(secret.New(c.Keyset))
	if err != nil {
		return err
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, postgres.Params{URL: c.URL, MaxConns: 6, AppName: c.Name, AcquireTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer pool.Close()
	log := slog.New(slog.DiscardHandler)
	if c.Verbose {
		log = slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("worker", c.Name)
	}
	rig := Rig{
		DB: pool, DirectURL: nameConnection(c.URL, c.Name), Box: box, SinkURL: c.SinkURL, Settle: c.Knobs.Settle, Log: log,
		SendGridReports: c.Provider == SendGrid, Passing: armed.pass,
	}
	p, err := rig.Params()
	if err != nil {
		return err
	}
	p.Lease, p.Renew, p.CallDeadline = c.Knobs.Lease, c.Knobs.Renew, c.Knobs.CallDeadline
	p.PerLane = perWorker
	d, err := dispatch.New(p)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error {
		return feeder{rig: rig, channel: channelOf(c.Provider), d: d, told: os.Stdout}.feed(feeding)
	})
	g.Go(func() error { return d.Run(ctx) })
	return g.Wait()
}

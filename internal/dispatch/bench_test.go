package dispatch_test

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/bench"
	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// durable starts a server that keeps its promises, unlike the tests' shared one:
// without fsync a commit costs nothing, and grouping commits gains nothing.
func durable(b *testing.B) (string, int) {
	b.Helper()
	dir, err := os.MkdirTemp("", "connectlink-bench-")
	if err != nil {
		b.Fatal(err)
	}
	s, err := devpg.Start(b.Context(), devpg.Params{Dir: dir, Settings: map[string]string{"max_connections": "200"}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = s.Stop(ctx)
		_ = os.RemoveAll(s.Home())
		_ = os.RemoveAll(dir)
	})
	if err := postgres.Migrate(b.Context(), s.URL(), slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	return s.URL(), s.PID()
}

func open(b *testing.B, url string, conns int32) *pgxpool.Pool {
	b.Helper()
	pool, err := postgres.Open(b.Context(), postgres.Params{URL: url, MaxConns: conns, AcquireTimeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// plainWord is the yardstick: transactions a second of three plain inserts, by 64
// clients at once.
func plainWord(b *testing.B, url string, lasts time.Duration) float64 {
	b.Helper()
	pool := open(b, url, 64)
	if _, err := pool.Exec(b.Context(), `
		CREATE SCHEMA IF NOT EXISTS bench;
		CREATE TABLE IF NOT EXISTS bench.a (id bigserial PRIMARY KEY, t text);
		CREATE TABLE IF NOT EXISTS bench.b (id bigserial PRIMARY KEY, t text);
		CREATE TABLE IF NOT EXISTS bench.c (id bigserial PRIMARY KEY, t text)`); err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(b.Context(), lasts)
	defer cancel()
	for range 64 {
		wg.Go(func() {
			for ctx.Err() == nil {
				err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
					for _, table := range []string{"a", "b", "c"} {
						if _, err := tx.Exec(ctx, `INSERT INTO bench.`+table+` (t) VALUES ('a row of about the size of an event')`); err != nil {
							return err
						}
					}
					return nil
				})
				if err == nil {
					n.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / lasts.Seconds()
}

// BenchmarkDrain loads a queue and times how fast it empties, beside the plain
// transaction's rate on the same server in the same run. It is for profiles:
// the dispatcher runs in this process. internal/bench measures the program.
func BenchmarkDrain(b *testing.B) {
	n := 4000
	if v, err := strconv.Atoi(os.Getenv("CONNECTLINK_BENCH_DELIVERIES")); err == nil {
		n = v
	}
	url, pid := durable(b)
	w := benchWorld(b, url)
	yard := plainWord(b, url, 3*time.Second)
	var rate float64
	var ours, servers time.Duration
	for b.Loop() {
		w.load(n, chaos.Load{})
		b.ResetTimer()
		ourBegin, serverBegin := bench.CPUTime(os.Getpid(), false), bench.CPUTime(pid, true)
		begun := time.Now()
		_, stop := w.run(w.benchParams())
		for w.count(`SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL`) > 0 {
			time.Sleep(50 * time.Millisecond)
		}
		rate = float64(n) / time.Since(begun).Seconds()
		stop()
		ours, servers = bench.CPUTime(os.Getpid(), false)-ourBegin, bench.CPUTime(pid, true)-serverBegin
	}
	b.ReportMetric(rate, "deliveries/s")
	b.ReportMetric(yard, "plain_tx/s")
	b.ReportMetric(rate/yard, "ratio")
	// On a machine that others use too, these say more than the rates: what one
	// delivery costs this process (the vendors' stand-in included) and the server.
	b.ReportMetric(float64(ours.Microseconds())/float64(n), "own_cpu_us/delivery")
	b.ReportMetric(float64(servers.Microseconds())/float64(n), "server_cpu_us/delivery")
	reportFlush(b)
}

// BenchmarkLatency measures from the commit of an accepted delivery to the call,
// at 50 a second.
func BenchmarkLatency(b *testing.B) {
	url, _ := durable(b)
	w := benchWorld(b, url)
	arrived := make(chan time.Time, 1)
	w.sink.OnTaken(func(sink.Message) { arrived <- time.Now() })
	d, _ := w.run(w.benchParams())
	var all []time.Duration
	for b.Loop() {
		for range 100 {
			w.load(1, chaos.Load{})
			begun := time.Now()
			d.Wake()
			all = append(all, (<-arrived).Sub(begun))
			time.Sleep(20 * time.Millisecond)
		}
	}
	quantile := func(q float64) float64 {
		sorted := append([]time.Duration(nil), all...)
		for i := range sorted {
			for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
				sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
			}
		}
		return float64(sorted[int(q*float64(len(sorted)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(quantile(0.5), "p50_ms")
	b.ReportMetric(quantile(0.99), "p99_ms")
	reportFlush(b)
}

func benchWorld(b *testing.B, url string) *world {
	b.Helper()
	keyset, err := seal.NewKeyset()
	if err != nil {
		b.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		b.Fatal(err)
	}
	s := sink.New()
	server := httptest.NewServer(s)
	b.Cleanup(server.Close)
	pool := open(b, url, 10)
	return &world{t: b, url: url, db: pool, sink: s, rig: chaos.Rig{
		DB: pool, DirectURL: url, Box: box, SinkURL: server.URL, Settle: time.Second,
		// A real handler, so that the cost of the lines is in the numbers.
		Log: slog.New(slog.NewJSONHandler(io.Discard, nil)),
	}}
}

// reportFlush reports the time of one small durable write, in microseconds.
func reportFlush(b *testing.B) {
	b.Helper()
	took, err := bench.FlushTime("")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(took.Microseconds()), "fsync_us")
}

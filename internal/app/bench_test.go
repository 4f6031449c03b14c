package app_test

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// benchRounds is how often each measurement alternates with its yardstick; the
// median counts.
const benchRounds = 3

// benchLength is how long one measurement takes.
func benchLength() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("CONNECTLINK_BENCH_SECONDS")); err == nil {
		return time.Duration(n) * time.Second
	}
	return 4 * time.Second
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkService measures the program against plain inserts into the same
// durable Postgres. Run it with -benchtime=1x.
func BenchmarkService(b *testing.B) {
	r := newBenchRig(b)
	b.Run("accept", r.accept)
	b.Run("latency", r.latency)
	b.Run("send", r.send)
	b.Run("slow provider", r.slowProvider)
	b.Run("drain", r.drain)
	b.Run("start and memory", r.startAndMemory)
}

// drive makes requests and waits until every accepted one was handed to the
// provider, for 10 s at most.
func (r *benchRig) drive(b *testing.B, s *service, l load) outcome {
	b.Helper()
	out, late := r.offer(b, s, l)
	if late > 0 {
		b.Errorf("%d of %d accepted were not sent within 10 s", late, len(out.accepted))
	}
	return out
}

func (r *benchRig) offer(b *testing.B, s *service, l load) (out outcome, late int) {
	b.Helper()
	l.base, l.key, l.first = s.base, r.key, r.next
	r.vendors.expect(r.next + 1_000_000)
	out = l.run(b)
	for _, a := range out.accepted {
		r.next = max(r.next, a.number+1)
	}
	if len(out.refused) > 0 {
		b.Errorf("refused, by status: %v", out.refused)
	}
	deadline := time.Now().Add(10 * time.Second)
	for r.vendors.sent.Load() < int64(len(out.accepted)) && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	for _, a := range out.accepted {
		if _, ok := r.vendors.at(a.number); !ok {
			late++
		}
	}
	if n := r.vendors.doubled.Load(); n > 0 {
		b.Errorf("%d messages were sent twice", n)
	}
	return out, late
}

// accept: durable creates a second through the whole API at 64 clients.
func (r *benchRig) accept(b *testing.B) {
	var plains, rates, ratios, p50s, p99s []float64
	for range b.N {
		for range benchRounds {
			before, _ := r.plain(64, benchLength())
			s := r.serve(b)
			out := r.drive(b, s, load{clients: 64, length: benchLength()})
			s.stop()
			after, _ := r.plain(64, benchLength())
			plain := (before + after) / 2
			plains, rates, ratios = append(plains, plain), append(rates, out.rate()), append(ratios, out.rate()/plain)
			p50s, p99s = append(p50s, ms(out.latency(0.5))), append(p99s, ms(out.latency(0.99)))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), "accepts/P64")
	b.ReportMetric(median(rates), "accepts/s")
	b.ReportMetric(median(plains), "P64/s")
	b.ReportMetric(ms(r.fsync()), "fsync-ms")
	b.ReportMetric(median(p50s), "p50-ms")
	b.ReportMetric(median(p99s), "p99-ms")
}

// latency: one create at a time, against one transaction at a time.
func (r *benchRig) latency(b *testing.B) {
	var ratios, whole, plains, mints []float64
	for range b.N {
		s := r.serve(b)
		for range benchRounds {
			_, plain := r.plain(1, benchLength())
			out := r.drive(b, s, load{clients: 1, length: benchLength()})
			mint := r.mintLatency(b)
			p50 := out.latency(0.5)
			plains, whole, mints = append(plains, ms(plain)), append(whole, ms(p50)), append(mints, ms(mint))
			ratios = append(ratios, float64(p50-mint)/float64(plain))
		}
		s.stop()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), "accept/plain")
	b.ReportMetric(median(whole), "accept-p50-ms")
	b.ReportMetric(median(mints), "mint-ms")
	b.ReportMetric(median(plains), "plain-p50-ms")
	b.ReportMetric(ms(r.fsync()), "fsync-ms")
}

// mintLatency is what a call to the stub Pipedream costs a Go program at best.
func (r *benchRig) mintLatency(b *testing.B) time.Duration {
	b.Helper()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	var all []time.Duration
	for range 300 {
		begun := time.Now()
		resp, err := client.Post(r.vendors.url()+"/v1/connect/proj_1/tokens", "application/json", strings.NewReader(`{"external_user_id":"u"}`))
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
		all = append(all, time.Since(begun))
	}
	return quantile(all, 0.5)
}

// send: from the answer to a create to the provider's being called, at 50/s.
func (r *benchRig) send(b *testing.B) {
	var p50s, p99s []float64
	for range b.N {
		s := r.serve(b)
		r.drive(b, s, load{clients: 8, length: time.Second, rate: 50}) // connections and caches
		for range benchRounds {
			out := r.drive(b, s, load{clients: 16, length: benchLength(), rate: 50})
			var all []time.Duration
			for _, a := range out.accepted {
				if at, ok := r.vendors.at(a.number); ok {
					all = append(all, max(at.Sub(a.at), 0))
				}
			}
			p50s, p99s = append(p50s, ms(quantile(all, 0.5))), append(p99s, ms(quantile(all, 0.99)))
		}
		s.stop()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(p50s), "p50-ms")
	b.ReportMetric(median(p99s), "p99-ms")
	b.ReportMetric(ms(r.fsync()), "fsync-ms")
}

// slowProvider: a provider that takes 200 ms must not slow accepting down.
func (r *benchRig) slowProvider(b *testing.B) {
	var ratios, fast, slow []float64
	for range b.N {
		s := r.serve(b)
		one := func(delay time.Duration) float64 {
			r.vendors.delay.Store(int64(delay))
			return ms(r.drive(b, s, load{clients: 32, length: benchLength(), rate: 100}).latency(0.99))
		}
		one(0)
		for range benchRounds {
			f, sl := one(0), one(200*time.Millisecond)
			fast, slow, ratios = append(fast, f), append(slow, sl), append(ratios, sl/f)
		}
		r.vendors.delay.Store(0)
		s.stop()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), "slow/fast")
	b.ReportMetric(median(fast), "p99-fast-ms")
	b.ReportMetric(median(slow), "p99-slow-ms")
}

// drain: a queue that waits, sent as fast as one worker can.
func (r *benchRig) drain(b *testing.B) {
	const queued = 4000
	var rates, ratios []float64
	for range b.N {
		for range benchRounds {
			api := r.serve(b, "--role=api")
			l := load{clients: 64, length: time.Minute, requests: queued, base: api.base, key: r.key, first: r.next}
			r.vendors.expect(r.next + queued)
			accepted := len(l.run(b).accepted)
			r.next += queued
			api.stop()
			before, _ := r.plain(64, benchLength())
			begun := time.Now()
			worker := r.serve(b, "--role=worker")
			for r.vendors.sent.Load() < int64(accepted) {
				if time.Since(begun) > time.Minute {
					b.Fatalf("%d of %d were sent in a minute", r.vendors.sent.Load(), accepted)
				}
				time.Sleep(time.Millisecond)
			}
			took := time.Duration(r.vendors.lastAt.Load() - r.vendors.firstAt.Load())
			worker.stop()
			after, _ := r.plain(64, benchLength())
			rate := float64(accepted) / took.Seconds()
			rates, ratios = append(rates, rate), append(ratios, rate*2/(before+after))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), "drain/P64")
	b.ReportMetric(median(rates), "drained/s")
}

// startAndMemory: a warm start to /readyz, and the anonymous memory of the
// program at rest and under 64 clients.
func (r *benchRig) startAndMemory(b *testing.B) {
	var starts, idle, busy []float64
	for range b.N {
		for range benchRounds {
			s := r.serve(b)
			starts = append(starts, ms(s.ready))
			time.Sleep(2 * time.Second) // what a start needed may be given back
			idle = append(idle, s.memory())
			r.drive(b, s, load{clients: 64, length: benchLength()})
			busy = append(busy, s.peak())
			s.stop()
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(starts), "start-ms")
	b.ReportMetric(median(idle), "idle-MiB")
	b.ReportMetric(median(busy), "busy-MiB")
}

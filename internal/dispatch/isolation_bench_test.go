package dispatch_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/postgres"
)

// stream makes mails of one project at a steady rate and returns how long each
// took from its commit to the vendor, in order of length.
func (w *world) stream(d *dispatch.Dispatcher, s *sink.Sink, project string, n int, every time.Duration) []time.Duration {
	w.t.Helper()
	var mu sync.Mutex
	from := make(map[string]time.Time, n)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var making sync.WaitGroup
	for range n {
		<-tick.C
		making.Go(func() {
			made, err := w.rig.Insert(w.t.Context(), 1, chaos.Load{Project: project})
			if err != nil {
				w.t.Error(err)
				return
			}
			at := time.Now()
			d.Wake()
			mu.Lock()
			defer mu.Unlock()
			from[made[0].Key] = at
		})
	}
	making.Wait()
	var all []time.Duration
	w.until("all are taken", func() bool {
		got := s.Count()
		for key := range from {
			if got[key] == 0 {
				return false
			}
		}
		return true
	})
	for _, m := range s.Taken() {
		if at, ok := from[m.Key]; ok {
			all = append(all, max(m.At.Sub(at), 0))
		}
	}
	slices.Sort(all)
	return all
}

// isolated is a world on a server that keeps its promises, with a vendor that
// takes 20 ms.
func isolated(b *testing.B) (*world, *dispatch.Dispatcher) {
	w := newWorld(b)
	w.url, _ = durable(b)
	w.db = open(b, w.url, 20)
	w.rig.DB, w.rig.DirectURL = w.db, w.url
	work, err := postgres.Open(b.Context(), postgres.Params{URL: w.url, MaxConns: 16, AcquireTimeout: 5 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(work.Close)
	w.sink.SetFault(sink.Fault{Latency: 20 * time.Millisecond})
	p := w.benchParams()
	p.DB = work
	d, _ := w.run(p)
	w.stream(d, w.sink, "others", 50, 20*time.Millisecond) // warm
	return w, d
}

func (w *world) report(b *testing.B, alone, beside []time.Duration) {
	b.Helper()
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(alone[len(alone)/2]), "ms-p50-alone")
	b.ReportMetric(ms(p99(alone)), "ms-p99-alone")
	b.ReportMetric(ms(beside[len(beside)/2]), "ms-p50-beside")
	b.ReportMetric(ms(p99(beside)), "ms-p99-beside")
	b.ReportMetric(float64(p99(beside))/float64(p99(alone)), "ratio-p99")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkBesideAnImport: one tenant has 10,000 invites at once; how much
// longer do the messages of another take?
func BenchmarkBesideAnImport(b *testing.B) {
	for b.Loop() {
		w, d := isolated(b)
		alone := w.stream(d, w.sink, "others", 400, 20*time.Millisecond)
		w.load(10_000, chaos.Load{Project: "importer"})
		d.Wake()
		beside := w.stream(d, w.sink, "others", 400, 20*time.Millisecond)
		left := w.count(`SELECT count(*) FROM deliveries WHERE status = 'queued' AND lane LIKE 'importer/%'`)
		b.ReportMetric(float64(left), "left-of-import")
		w.report(b, alone, beside)
	}
}

// BenchmarkBesideABrokenMessage: one of a thousand messages cannot be made.
func BenchmarkBesideABrokenMessage(b *testing.B) {
	for b.Loop() {
		w, d := isolated(b)
		alone := w.stream(d, w.sink, "others", 1000, 10*time.Millisecond)
		w.exec(`UPDATE lanes SET paused_until = now() + interval '1 hour'`) // while it is being broken
		broken := w.load(1, chaos.Load{Project: "others"})[0]
		w.exec(`UPDATE invites SET content = decode('00', 'hex') WHERE id = $1`, broken.InviteID)
		w.exec(`UPDATE lanes SET paused_until = NULL`)
		d.Wake()
		beside := w.stream(d, w.sink, "others", 1000, 10*time.Millisecond)
		if n := w.sink.Count()[broken.Key]; n != 0 {
			b.Errorf("the broken message was sent %d times", n)
		}
		if n := w.count(`SELECT poisoned FROM deliveries WHERE id = $1`, broken.DeliveryID); n == 0 {
			b.Error("the broken message was never tried")
		}
		w.report(b, alone, beside)
	}
}

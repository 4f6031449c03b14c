package limit_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/connectlink/connectlink/internal/limit"
)

// clock is set by hand.
type clock struct{ at time.Time }

func newClock() *clock                   { return &clock{at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }
func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func TestBurstThenRate(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limit.New(limit.Per(60, time.Minute), 3, c.now)
	for i := range 3 {
		if ok, _ := l.Allow("a"); !ok {
			t.Fatalf("event %d of the burst was refused", i)
		}
	}
	ok, after := l.Allow("a")
	if ok || after != time.Second {
		t.Fatalf("after the burst: %v, retry after %v; want refused, 1s", ok, after)
	}
	// Refusals cost nothing, and waiting for the returned time is enough.
	for range 100 {
		l.Allow("a")
	}
	c.advance(after - 1)
	if ok, after := l.Allow("a"); ok || after != 1 {
		t.Fatalf("a nanosecond early: %v, %v", ok, after)
	}
	c.advance(1)
	if ok, _ := l.Allow("a"); !ok {
		t.Fatal("refused although the time that was said is over")
	}
	if ok, _ := l.Allow("a"); ok {
		t.Fatal("one second gave two events")
	}
	// A long rest gives the burst back, and no more.
	c.advance(time.Hour)
	got := 0
	for range 10 {
		if ok, _ := l.Allow("a"); ok {
			got++
		}
	}
	if got != 3 {
		t.Fatalf("%d events after a rest, want 3", got)
	}
}

func TestKeysDoNotShare(t *testing.T) {
	t.Parallel()
	l := limit.New(limit.Per(1, time.Hour), 1, newClock().now)
	long := strings.Repeat("x", 100)
	for _, key := range []string{"a", "b", "", long + "1", long + "2"} {
		if ok, _ := l.Allow(key); !ok {
			t.Errorf("%.5q… was refused because of another key", key)
		}
		if ok, _ := l.Allow(key); ok {
			t.Errorf("%.5q… was allowed twice", key)
		}
	}
}

func TestNothingAllowsNothing(t *testing.T) {
	t.Parallel()
	for _, l := range []*limit.Keyed{
		limit.New(0, 5, time.Now), limit.New(limit.Per(0, time.Second), 5, time.Now), limit.New(limit.Per(5, 0), 5, time.Now), limit.New(1, 0, time.Now), limit.New(-1, -1, time.Now),
	} {
		if ok, after := l.Allow("a"); ok || after <= 0 {
			t.Errorf("Allow = %v, %v", ok, after)
		}
	}
}

func TestExtremeRatesDoNotOverflow(t *testing.T) {
	t.Parallel()
	c := newClock()
	slow := limit.New(limit.Rate(1e-300), 1000, c.now)
	for i := range 1000 {
		if ok, _ := slow.Allow("a"); !ok {
			t.Fatalf("slow: event %d of the burst was refused", i)
		}
	}
	if ok, after := slow.Allow("a"); ok || after <= 0 {
		t.Fatalf("slow: %v, %v", ok, after)
	}
	fast := limit.New(limit.Rate(math.MaxFloat64), 1, c.now)
	fast.Allow("a")
	c.advance(time.Microsecond)
	if ok, _ := fast.Allow("a"); !ok {
		t.Fatal("fast: refused")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limit.NewBounded(limit.Per(1, time.Hour), 1, 100, c.now)
	for i := range 10_000 {
		if ok, _ := l.Allow(fmt.Sprint("key", i)); !ok {
			t.Fatalf("a flood of keys made the limiter refuse a new one (%d)", i)
		}
	}
	if l.Len() != 100 {
		t.Fatalf("%d keys are remembered, want 100", l.Len())
	}
	if ok, _ := l.Allow("key9999"); ok {
		t.Fatal("the most recently used key was forgotten")
	}
	// A refusal counts as use: a client that keeps trying is not forgotten.
	for i := range 99 {
		l.Allow("key9999")
		l.Allow(fmt.Sprint("other", i))
	}
	for i := range 1000 {
		l.Allow(fmt.Sprint("more", i))
		if ok, _ := l.Allow("key9999"); ok {
			t.Fatal("a key in constant use was forgotten")
		}
	}
	// Full buckets go by themselves.
	c.advance(2 * time.Hour)
	for range 100 {
		l.Allow("a")
	}
	if l.Len() > 1 {
		t.Fatalf("%d keys are remembered although all but one are full", l.Len())
	}
}

func TestClockSetBackLocksNobodyOut(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limit.New(limit.Per(60, time.Minute), 2, c.now)
	l.Allow("a")
	c.advance(-24 * time.Hour)
	if _, after := l.Allow("a"); after > 2*time.Second {
		t.Fatalf("retry after %v", after)
	}
	c.advance(2 * time.Second)
	if ok, _ := l.Allow("a"); !ok {
		t.Fatal("still locked out")
	}
}

// In any window of time no more events pass than burst plus refill, and a
// caller that waits for the returned time is served.
func TestNeverMoreThanBurstPlusRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := newClock()
		burst := rapid.IntRange(1, 5).Draw(rt, "burst")
		every := time.Duration(rapid.IntRange(1, 5000).Draw(rt, "every")) * time.Millisecond
		l := limit.New(limit.Per(1, every), burst, c.now)
		start, passed := c.at, 0
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, 8000), 1, 60).Draw(rt, "steps") {
			c.advance(time.Duration(step) * time.Millisecond)
			ok, after := l.Allow("a")
			if ok {
				passed++
			}
			if most := burst + int(c.at.Sub(start)/(every-1)); passed > most {
				rt.Fatalf("%d events in %v, at most %d", passed, c.at.Sub(start), most)
			}
			if !ok {
				c.advance(after)
				if ok, _ := l.Allow("a"); !ok {
					rt.Fatalf("refused after waiting %v as told", after)
				}
				passed++
			}
		}
	})
}

func TestSeveralGoroutinesShareOneBudget(t *testing.T) {
	t.Parallel()
	l := limit.New(limit.Per(1, time.Hour), 500, newClock().now)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if ok, _ := l.Allow("a"); ok {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 500 {
		t.Fatalf("%d events passed, want 500", passed.Load())
	}
}

func BenchmarkAllow(b *testing.B) {
	l := limit.New(limit.Per(100, time.Minute), 100, time.Now)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint("user-", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Allow(keys[i%len(keys)])
	}
}

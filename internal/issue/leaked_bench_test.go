package issue_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/issue"
)

// BenchmarkHonestBesideLeakedKey measures the creates of an honest key alone and while a
// leaked key asks for text messages from 48 connections without pause:
// attacked-per-undisturbed is the median ratio of the p99 in five turns. The attack runs
// in the same process without HTTP between, so it takes all processors that it can get:
// the figure is an upper bound.
func BenchmarkHonestBesideLeakedKey(b *testing.B) {
	w := newWorld(b)
	s, leaked := w.limited(config.Limits{
		RecipientPerHour: 5, RecipientPerDay: 10, UserPerDay: 1000, KeyPerDay: 20_000, ProjectPerDay: 10_000_000, CountryPerDay: 2000, BlockPerDay: 50,
		SMSCountries: []string{"US"},
	})
	honest := w.newKey()
	honest.Live, honest.Environment = true, config.Production
	n := 0
	p99 := func() time.Duration {
		took := make([]time.Duration, 0, 400)
		for range cap(took) {
			n++
			begun := time.Now()
			if _, err := s.Create(b.Context(), honest, to(fmt.Sprintf("honest-%d", n), fmt.Sprintf("pat%d@customer.example", n)), issue.Meta{}); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	p99()
	for b.Loop() {
		var ratios []float64
		for range 5 {
			alone := p99()
			stop := attack(b.Context(), s, leaked)
			beside := p99()
			stop()
			ratios = append(ratios, float64(beside)/float64(alone))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[2], "attacked-per-undisturbed")
	}
}

// attack asks for messages from 48 connections until it is stopped.
func attack(ctx context.Context, s *issue.Service, key access.Principal) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i := range 48 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r := ask(fmt.Sprintf("leaked-%d", i))
				r.Channel, r.Recipient = "sms", &issue.RecipientRequest{Phone: fmt.Sprintf("+1%d5551%03d", 212+i%4, n%1000)}
				_, _ = s.Create(ctx, key, r, issue.Meta{}) // refused by its limits, most of the time
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

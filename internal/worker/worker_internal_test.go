package worker

import (
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/connectlink/connectlink/internal/job"
)

// River takes 0 for its default of a second.
func TestQueuesThatWakesReachAreLookedAtLessOften(t *testing.T) {
	t.Parallel()
	for _, pooled := range []bool{false, true} {
		w := &Worker{p: Params{Pooled: pooled}, queues: []string{river.QueueDefault, job.QueueConfirm, job.QueuePeriodic, job.QueueEvents}}
		want := map[string]time.Duration{}
		if !pooled {
			want = map[string]time.Duration{river.QueueDefault: retryPoll, job.QueueConfirm: retryPoll, job.QueuePeriodic: periodicPoll, job.QueueEvents: periodicPoll}
		}
		for q, c := range w.bounds() {
			if c.FetchPollInterval != want[q] {
				t.Errorf("pooled %v, %s: every %v, want %v", pooled, q, c.FetchPollInterval, want[q])
			}
		}
	}
}

package counts_test

import (
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/store/counts"
)

func TestQuantileOfBins(t *testing.T) {
	t.Parallel()
	bounds := []time.Duration{time.Minute, 4 * time.Minute, 16 * time.Minute}
	for _, c := range []struct {
		bins []int
		q    float64
		want time.Duration
	}{
		{[]int{0, 10, 0, 0}, 0.5, 2 * time.Minute}, // the middle of 1 to 4, on the log axis
		{[]int{10, 0, 0, 0}, 1, time.Minute},
		{[]int{9, 0, 1, 0}, 0.95, 8 * time.Minute},
		{[]int{0, 0, 0, 3}, 0.5, 16 * time.Minute}, // at least
	} {
		got, ok := counts.Quantile(bounds, c.bins, c.q)
		if !ok || (got-c.want).Abs() > time.Millisecond {
			t.Errorf("%v at %v: %s (%v), want %s", c.bins, c.q, got, ok, c.want)
		}
	}
	if _, ok := counts.Quantile(bounds, []int{0, 0, 0, 0}, 0.5); ok {
		t.Error("nothing has a median")
	}
}

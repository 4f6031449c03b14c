package counts

import (
	"math"
	"time"
)

// ConnectBounds are the ends of the bins of the time from creation to connection; the last
// bin has no end.
func ConnectBounds() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{
		time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 12 * time.Hour, day, 3 * day, 7 * day, 30 * day,
	}
}

// MessageBounds are the ends of the bins of the times to acceptance and to delivery; the
// last bin has no end.
func MessageBounds() []time.Duration {
	return []time.Duration{
		250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour,
	}
}

// Quantile estimates the time below which a part q of the counted ones are, on the
// logarithmic scale of the bins; ok is false where nothing was counted. A time in the last
// bin is given as its start.
func Quantile(bounds []time.Duration, bins []int, q float64) (d time.Duration, ok bool) {
	total := 0
	for _, n := range bins {
		total += n
	}
	if total == 0 {
		return 0, false
	}
	rank, below := q*float64(total), 0.0
	for i, n := range bins {
		if n == 0 || below+float64(n) < rank {
			below += float64(n)
			continue
		}
		if i >= len(bounds) {
			return bounds[len(bounds)-1], true
		}
		from := bounds[0] / 2
		if i > 0 {
			from = bounds[i-1]
		}
		part := (rank - below) / float64(n)
		return time.Duration(float64(from) * math.Pow(float64(bounds[i])/float64(from), part)), true
	}
	return bounds[len(bounds)-1], true
}

// Add returns the sums of two histograms of the same bins.
func Add(a, b []int) []int {
	out := make([]int, max(len(a), len(b)))
	copy(out, a)
	for i, n := range b {
		out[i] += n
	}
	return out
}

// seconds are bounds as the database compares them.
func seconds(bounds []time.Duration) []float64 {
	out := make([]float64, len(bounds))
	for i, d := range bounds {
		out[i] = d.Seconds()
	}
	return out
}

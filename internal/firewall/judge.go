package firewall

import (
	"math"
	"slices"
	"time"

	"github.com/connectlink/connectlink/internal/store/traffic"
)

// Rules are how strictly a project's traffic is judged.
type Rules struct {
	// Floor is the part of the usual visits that is demanded, above 0 and below 1.
	Floor float64
	// LeastSent is how many messages a window must have to be judged.
	LeastSent int
}

// doubt is the probability below which so few visits are no coincidence.
const doubt = 1e-4

// windows are the times of sending that are judged, the shortest first.
func windows() []time.Duration {
	return []time.Duration{30 * time.Minute, 2 * time.Hour, 8 * time.Hour, 24 * time.Hour}
}

// judge returns the figures of the first window in which people visited too few of an
// area's messages; ok is false where there is none. Cohorts are the area's, by time.
func judge(cohorts []traffic.Cohort, c curves, r Rules, now time.Time) (f traffic.Figures, ok bool) {
	for _, window := range windows() {
		sent, visited := 0, 0
		expected, usual := 0.0, 0.0
		for _, one := range cohorts {
			age := now.Sub(one.Mean)
			if age < 0 || now.Sub(one.Bucket) > window+traffic.BucketOf {
				continue
			}
			own := c[traffic.SlotOf(one.Mean)]
			sent += one.Sent
			visited += one.Visited
			expected += r.Floor * float64(one.Sent) * own.at(age)
			usual += float64(one.Sent) * own.last()
		}
		if sent < r.LeastSent || float64(visited) >= expected || poissonBelow(visited, expected) >= doubt {
			continue
		}
		return traffic.Figures{
			Sent: sent, Visited: visited, Expected: math.Round(expected*10) / 10, Rate: math.Round(usual/float64(sent)*1000) / 1000,
			WindowS: int(window / time.Second),
		}, true
	}
	return traffic.Figures{}, false
}

// lack is how many visits the messages of an area lack to the floor.
func lack(cohorts []traffic.Cohort, c curves, r Rules, now time.Time) float64 {
	sum := 0.0
	for _, one := range cohorts {
		sum += r.Floor*float64(one.Sent)*c[traffic.SlotOf(one.Mean)].at(now.Sub(one.Mean)) - float64(one.Visited)
	}
	return sum
}

// worse returns that of two areas that lacks more visits.
func worse(a, b []traffic.Cohort, c curves, r Rules, now time.Time) []traffic.Cohort {
	if len(a) > 0 && lack(a, c, r, now) >= lack(b, c, r, now) {
		return a
	}
	return b
}

// minus returns the messages of a country without those of one range of numbers: one
// pumped range is paused by itself, and does not pause its country.
func minus(country, numbers []traffic.Cohort) []traffic.Cohort {
	of := make(map[time.Time]traffic.Cohort, len(numbers))
	for _, one := range numbers {
		of[one.Bucket] = one
	}
	out := slices.Clone(country)
	for i := range out {
		r := of[out[i].Bucket]
		out[i].Sent, out[i].Visited = max(out[i].Sent-r.Sent, 0), max(out[i].Visited-r.Visited, 0)
	}
	return out
}

// largeMean is where the Poisson distribution is as good as the normal one; its first
// term would underflow beyond 700.
const largeMean = 400

// poissonBelow is the probability that a Poisson variable of a mean is at most n.
func poissonBelow(n int, mean float64) float64 {
	if mean > largeMean {
		return 0.5 * math.Erfc((mean-float64(n)-0.5)/math.Sqrt(2*mean))
	}
	term := math.Exp(-mean)
	sum := term
	for i := 1; i <= n; i++ {
		term *= mean / float64(i)
		sum += term
	}
	return sum
}

package firewall

import (
	"time"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// curve is the share of messages that people have visited, by the end of each delay.
type curve []float64

// The curves for a country without history. They are below those of honest countries
// with the fewest and the slowest visits that the simulation has.
func dayCurve() curve   { return curve{0.01, 0.04, 0.08, 0.14, 0.20, 0.28, 0.32} }
func nightCurve() curve { return curve{0.002, 0.006, 0.010, 0.016, 0.03, 0.16, 0.28} }

const (
	// priorWeight is how many messages the prior counts for.
	priorWeight = 60
	// slotCaution is the part of a country's usual early visits that is expected in a
	// part of the day without history.
	slotCaution = 0.2
	// slowDelays is the number of delays that a night can outlast.
	slowDelays = 5
	// leastRate is the share of visits within a day that is demanded of any traffic, so
	// that pumped messages cannot lower the baseline without end.
	leastRate = 0.04
)

// at returns the share visited by an age, linear between the delays.
func (c curve) at(age time.Duration) float64 {
	before, share := time.Duration(0), 0.0
	for i, end := range traffic.Delays() {
		if age < end {
			return share + (c[i]-share)*float64(age-before)/float64(end-before)
		}
		before, share = end, c[i]
	}
	return share
}

// last is the share visited in the end.
func (c curve) last() float64 { return c[len(c)-1] }

// curves are the curves of one country, by the part of the day of sending.
type curves [traffic.Slots]curve

// learn returns a country's curves: its own history, and the prior as far as that is
// short.
func learn(country string, b traffic.Baseline) curves {
	delays := len(traffic.Delays())
	var all float64
	overall := make([]float64, delays) // visits by the delay, of all parts of the day
	for slot := range traffic.Slots {
		all += b.Sent[slot]
		for i, v := range cumulative(b.Visits[slot], delays) {
			overall[i] += v
		}
	}
	var out curves
	for slot := range traffic.Slots {
		prior := priorOf(country, slot)
		own := cumulative(b.Visits[slot], delays)
		c := make(curve, delays)
		for i := range c {
			// The prior of a part of the day is what the whole day teaches, cautiously.
			caution := 1.0
			if i < slowDelays {
				caution = slotCaution
			}
			day := (caution*overall[i] + priorWeight*prior[i]) / (all + priorWeight)
			c[i] = (own[i] + priorWeight*day) / (b.Sent[slot] + priorWeight)
			c[i] = max(c[i], leastRate*prior[i]/prior.last())
			if i > 0 {
				c[i] = max(c[i], c[i-1])
			}
		}
		out[slot] = c
	}
	return out
}

func cumulative(visits []float64, delays int) []float64 {
	out := make([]float64, delays)
	sum := 0.0
	for i := range out {
		if i < len(visits) {
			sum += visits[i]
		}
		out[i] = sum
	}
	return out
}

// priorOf is the curve for a part of the day of a country without history: the night's
// where the part touches the night anywhere in the country.
func priorOf(country string, slot int) curve {
	zones := contact.RegionZones(country)
	if len(zones) == 0 {
		return nightCurve()
	}
	day := time.Date(2026, 3, 18, slot*24/traffic.Slots, 0, 0, 0, time.UTC)
	for _, zone := range zones {
		for hour := range 24 / traffic.Slots {
			// Who gets a message in the evening may read it in the morning.
			if h := day.Add(time.Duration(hour) * time.Hour).In(zone).Hour(); h < wakes || h >= rests {
				return nightCurve()
			}
		}
	}
	return dayCurve()
}

// The hours between which people are expected to answer within the day.
const (
	wakes = 7
	rests = 19
)

package invite

import "time"

// FallbackAfter is the condition for the fallback to the other channel.
type FallbackAfter string

const (
	// AfterFailure: the message did not get through.
	AfterFailure FallbackAfter = "failure"
	// AfterNotVisited: the page was not opened in time. A failed message
	// cannot lead to a visit, so a failure is enough too.
	AfterNotVisited FallbackAfter = "not_visited"
)

// DefaultNotVisitedDelay is how long a visit is waited for where nothing else is said.
const DefaultNotVisitedDelay = time.Hour

// Fallback is the one other channel an invite may still turn to. The zero
// Fallback stands for none, or for one that was used or is not needed any more.
type Fallback struct {
	Channel Channel
	After   FallbackAfter
	Delay   time.Duration // from the failure, or from when the message was to leave
	At      time.Time     // when it is due; zero while nothing calls for it
}

// Open reports whether the fallback may still come.
func (f Fallback) Open() bool { return f.Channel != "" }

// failed is the fallback once a message did not get through, at the given time.
func (f Fallback) failed(at time.Time) Fallback {
	if f.After == AfterFailure {
		at = at.Add(f.Delay)
	}
	if f.At.IsZero() || at.Before(f.At) {
		f.At = at
	}
	return f
}

// arrived takes back what a failure that was never true called for.
func (f Fallback) arrived() Fallback {
	if f.After == AfterFailure {
		f.At = time.Time{}
	}
	return f
}

// Daytime, in a person's own time: when we may write to them of our own accord.
const (
	dayBegins = 8  // o'clock
	dayEnds   = 21 // o'clock
)

// UntilDaytime is how long to wait until it is day in every one of the zones;
// 0 when it is, and with no zone that of UTC counts. Zones of one number may lie
// so far apart that it is never day in all of them: then the first decides.
func UntilDaytime(now time.Time, zones ...*time.Location) time.Duration {
	if len(zones) == 0 {
		zones = []*time.Location{time.UTC}
	}
	for t, n := now, 0; n < 8; n++ {
		var wait time.Duration
		for _, zone := range zones {
			wait = max(wait, untilDay(t, zone))
		}
		if wait == 0 {
			return t.Sub(now)
		}
		t = t.Add(wait)
	}
	return untilDay(now, zones[0])
}

func untilDay(now time.Time, zone *time.Location) time.Duration {
	local := now.In(zone)
	year, month, day := local.Date()
	switch {
	case local.Hour() < dayBegins:
	case local.Hour() >= dayEnds:
		day++
	default:
		return 0
	}
	return time.Date(year, month, day, dayBegins, 0, 0, 0, zone).Sub(now)
}

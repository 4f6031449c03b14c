package quota

import (
	"math"
	"strconv"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// The kinds of alerts.
const (
	AlertNear    = "limit_near"     // 80 % of a day's limit are used
	AlertReached = "limit_reached"  // the next message is refused
	AlertPaused  = "sending_paused" // the service paused a country, a range of numbers or a key
	AlertKeyEnds = "key_expires"    // an API key ends within 30 or 7 days, and has no replacement

	// Thresholds, of which the end is told as well.
	AlertBounces  = "bounce_rate"      // percent of the messages of an hour did not arrive
	AlertQueue    = "queue_age"        // seconds that a message waits after it is due
	AlertConnects = "connect_failures" // percent of the attempts of an hour to connect failed
)

// Alert is a sending limit or an API key that staff should look at. It names no
// recipient.
type Alert struct {
	Kind     string     `json:"kind"`
	Limit    string     `json:"limit"`   // as in GET /v1/limits, "key_per_day"; of a pause, visits or reports
	Scope    string     `json:"scope"`   // the counted kind of subject, "key"
	Subject  *string    `json:"subject"` // the key, country or block of numbers; null: the project
	Used     string     `json:"used"`    // when the alert was raised: messages, or an amount of money; of a pause, visits or reports
	Max      string     `json:"max"`     // of a pause, the messages that were counted
	ResetsAt *time.Time `json:"resets_at"`
}

// AlertOf is the alert of a notice.
func AlertOf(n ledger.Notice) Alert {
	_, name := n.Project()
	a := Alert{Kind: AlertNear, Limit: Name(n.Scope, n.Measure), Scope: string(n.Scope), Used: amount(n.Measure, n.Used), Max: amount(n.Measure, n.Most)}
	if n.Level == ledger.NoticeReached {
		a.Kind = AlertReached
	}
	if name != "" {
		a.Subject = &name
	}
	resets := n.Day.Add(24 * time.Hour)
	a.ResetsAt = &resets
	return a
}

func amount(m ledger.Measure, n int64) string {
	if m == ledger.MeasureCost {
		return config.Money(n).String()
	}
	return strconv.FormatInt(n, 10)
}

// KeyAlert is the alert of an API key that ends; used and max are days of its life.
func KeyAlert(id string, created, ends, now time.Time) Alert {
	days := func(d time.Duration) string { return strconv.Itoa(int(d.Round(24*time.Hour) / (24 * time.Hour))) }
	ends = ends.UTC()
	return Alert{
		Kind: AlertKeyEnds, Limit: "key_lifetime", Scope: "key", Subject: &id, Used: days(now.Sub(created)), Max: days(ends.Sub(created)), ResetsAt: &ends,
	}
}

// ThresholdAlert is the alert of a threshold of the project, with the value at that time.
func ThresholdAlert(kind string, value, threshold float64) Alert {
	number := func(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }
	return Alert{Kind: kind, Limit: kind, Scope: "project", Used: number(value), Max: number(threshold)}
}

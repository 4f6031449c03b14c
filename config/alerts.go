package config

import (
	"fmt"
	"strconv"
)

// Alerts are the thresholds from which live mode raises an alert. A threshold of 0 raises
// none.
type Alerts struct {
	BouncePercent  int // of messages whose outcome is known, within an hour
	QueueMinutes   int // since the oldest message was due
	ConnectPercent int // of attempts to connect that failed, within an hour
	LeastCount     int // messages or attempts below which no share is judged
}

// Bounds of the thresholds.
const (
	maxQueueMinutes = 24 * 60
	maxPercent      = 100
	minLeastCount   = 5
	maxLeastCount   = 100_000
)

// alertSettings lists the thresholds.
func alertSettings() []option[Project] {
	number := func(key, env, def, help string, least, most int, at func(*Alerts) *int) option[Project] {
		return option[Project]{
			key: "alerts." + key, env: "CONNECTLINK_ALERTS_" + env, def: def, help: fmt.Sprintf("%s %d to %d.", help, least, most), typed: true,
			set: func(p *Project, values []string) error {
				n, err := strconv.Atoi(values[0])
				if err != nil || n < least || n > most {
					return fmt.Errorf("want a whole number from %d to %d", least, most)
				}
				*at(&p.Alerts) = n
				return nil
			},
			show: func(p *Project) string { return strconv.Itoa(*at(&p.Alerts)) },
		}
	}
	return []option[Project]{
		number("bounce_percent", "BOUNCE_PERCENT", "10", "Part of the messages of an hour that did not arrive, from which an alert is raised, in percent; 0 raises none.", 0, maxPercent,
			func(a *Alerts) *int { return &a.BouncePercent }),
		number("queue_minutes", "QUEUE_MINUTES", "15", "Minutes that a message waits after it is due, from which an alert is raised; 0 raises none.", 0, maxQueueMinutes,
			func(a *Alerts) *int { return &a.QueueMinutes }),
		number("connect_failure_percent", "CONNECT_FAILURE_PERCENT", "40", "Part of the attempts to connect of an hour that failed, from which an alert is raised, in percent; 0 raises none.", 0, maxPercent,
			func(a *Alerts) *int { return &a.ConnectPercent }),
		number("min_count", "MIN_COUNT", "20", "Messages or attempts of an hour below which no percentage is judged.", minLeastCount, maxLeastCount,
			func(a *Alerts) *int { return &a.LeastCount }),
	}
}

package firewall

import (
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// IsEnough reports whether messages of these times to one area, of which people
// visited so many, are enough to judge that too few are visited.
func IsEnough(sent []time.Time, visited int, country string, b traffic.Baseline, p config.Project, now time.Time) bool {
	var cohorts []traffic.Cohort
	for i, at := range sent {
		c := traffic.Cohort{Area: "range", Country: country, Bucket: at, Mean: at, Sent: 1}
		if i == 0 {
			c.Visited = visited
		}
		cohorts = append(cohorts, c)
	}
	_, bad := judge(cohorts, learn(country, b), rulesOf(p), now)
	return bad
}

package main

import (
	"strconv"
	"strings"
	"time"
)

// budget is how many more requests a service takes before it answers 429, by the
// header RateLimit of draft-ietf-httpapi-ratelimit-headers. The zero budget is unknown.
type budget struct {
	known bool
	left  int
	reset time.Duration // until there is more
}

// readBudget returns the smallest budget of a RateLimit header, such as
//
//	"creates";r=50;t=30, "day";r=900;t=7200
//
// Items that it cannot read are ignored: the service still answers 429 where it must.
func readBudget(values []string) budget {
	var least budget
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		one := budget{}
		for parameter := range strings.SplitSeq(item, ";") {
			name, text, _ := strings.Cut(strings.TrimSpace(parameter), "=")
			n, err := strconv.ParseUint(text, 10, 31)
			switch {
			case err != nil:
			case name == "r":
				one.known, one.left = true, int(n)
			case name == "t":
				one.reset = time.Duration(n) * time.Second
			}
		}
		if one.known && (!least.known || one.left < least.left || one.left == least.left && one.reset > least.reset) {
			least = one
		}
	}
	return least
}

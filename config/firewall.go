package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Firewall pauses text messages that too few people visit, and API keys whose messages
// recipients report.
type Firewall struct {
	Off            bool
	FloorPercent   int // of the usual visits of a country, that are demanded
	LeastMessages  int // that are judged
	ReportsPercent int // of a key's messages, above which it is paused
	LeastReports   int // below which no key is paused
}

// Bounds of the settings of the firewall.
const (
	maxFloorPercent   = 90
	minLeastMessages  = 10
	maxLeastMessages  = 10_000
	maxReportsPercent = 100
	minLeastReports   = 2
	maxLeastReports   = 1000
)

const (
	modeOn  = "on"
	modeOff = "off"
)

// firewallSettings lists the settings of the spend firewall.
func firewallSettings() []option[Project] {
	number := func(key, env, def, help string, least, most int, at func(*Firewall) *int) option[Project] {
		return option[Project]{
			key: "firewall." + key, env: "CONNECTLINK_FIREWALL_" + env, def: def, help: fmt.Sprintf("%s %d to %d.", help, least, most), typed: true,
			set: func(p *Project, values []string) error {
				n, err := strconv.Atoi(values[0])
				if err != nil || n < least || n > most {
					return fmt.Errorf("want a whole number from %d to %d", least, most)
				}
				*at(&p.Firewall) = n
				return nil
			},
			show: func(p *Project) string { return strconv.Itoa(*at(&p.Firewall)) },
		}
	}
	return []option[Project]{
		{
			key: "firewall.mode", env: "CONNECTLINK_FIREWALL_MODE", def: modeOn, typed: true,
			help: "on pauses a country or range of numbers whose text messages too few people visit, and an API key whose messages recipients report; off pauses nothing by itself.",
			set: func(p *Project, values []string) error {
				switch strings.ToLower(values[0]) {
				case modeOn, "true": // YAML reads a bare on as true
					p.Firewall.Off = false
				case modeOff, "false":
					p.Firewall.Off = true
				default:
					return fmt.Errorf("want %s or %s", modeOn, modeOff)
				}
				return nil
			},
			show: func(p *Project) string {
				if p.Firewall.Off {
					return modeOff
				}
				return modeOn
			},
		},
		number("floor_percent", "FLOOR_PERCENT", "25", "Part of a country's usual visits below which its text messages are paused, in percent.", 1, maxFloorPercent,
			func(f *Firewall) *int { return &f.FloorPercent }),
		number("min_messages", "MIN_MESSAGES", "40", "Text messages to a country or range of numbers below which it is not judged.", minLeastMessages, maxLeastMessages,
			func(f *Firewall) *int { return &f.LeastMessages }),
		number("reports_percent", "REPORTS_PERCENT", "3", "Part of an API key's messages of seven days, reported by recipients or marked as spam, from which the key is paused, in percent.", 1, maxReportsPercent,
			func(f *Firewall) *int { return &f.ReportsPercent }),
		number("min_reports", "MIN_REPORTS", "5", "Reports below which no key is paused.", minLeastReports, maxLeastReports,
			func(f *Firewall) *int { return &f.LeastReports }),
	}
}

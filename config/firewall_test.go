package config_test

import (
	"strings"
	"testing"

	"github.com/connectlink/connectlink/config"
)

// defaultFirewall applies to a project that sets nothing.
func defaultFirewall() config.Firewall {
	return config.Firewall{FloorPercent: 25, LeastMessages: 40, ReportsPercent: 3, LeastReports: 5}
}

func TestFirewallIsReadFromVariablesAndFile(t *testing.T) {
	t.Parallel()
	p := mustLoad(t, with("CONNECTLINK_FIREWALL_MODE", "Off", "CONNECTLINK_FIREWALL_FLOOR_PERCENT", "10", "CONNECTLINK_FIREWALL_MIN_REPORTS", "2"), nil).Projects[0]
	if f := p.Firewall; !f.Off || f.FloorPercent != 10 || f.LeastReports != 2 || f.LeastMessages != 40 {
		t.Errorf("firewall = %+v", f)
	}
	for text, off := range map[string]bool{"on": false, "off": true, `"on"`: false, `"off"`: true} {
		file := "projects:\n  - id: acme\n    firewall:\n      mode: " + text + "\n      min_messages: 100\n"
		if f := mustLoad(t, minimal(), map[string]string{yamlFile: file}).Projects[0].Firewall; f.Off != off || f.LeastMessages != 100 {
			t.Errorf("mode %s: %+v", text, f)
		}
	}
}

func TestBadFirewallIsNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		"CONNECTLINK_FIREWALL_MODE": "maybe", "CONNECTLINK_FIREWALL_FLOOR_PERCENT": "0", "CONNECTLINK_FIREWALL_MIN_MESSAGES": "-1",
		"CONNECTLINK_FIREWALL_REPORTS_PERCENT": "101", "CONNECTLINK_FIREWALL_MIN_REPORTS": "1.5",
	}
	var pairs []string
	for name, value := range bad {
		pairs = append(pairs, name, value)
	}
	_, err := load(with(pairs...), nil)
	if err == nil {
		t.Fatal("no fault")
	}
	for name := range bad {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	for _, fix := range []string{"want on or off", "want a whole number from 1 to 90", "from 10 to 10000", "from 1 to 100", "from 2 to 1000"} {
		if !strings.Contains(err.Error(), fix) {
			t.Errorf("%q is missing: %v", fix, err)
		}
	}
}

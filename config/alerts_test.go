package config_test

import (
	"strings"
	"testing"

	"github.com/connectlink/connectlink/config"
)

// defaultAlerts applies to a project that sets nothing.
func defaultAlerts() config.Alerts {
	return config.Alerts{BouncePercent: 10, QueueMinutes: 15, ConnectPercent: 40, LeastCount: 20}
}

func TestAlertsAreReadFromVariablesAndFile(t *testing.T) {
	t.Parallel()
	p := mustLoad(t, with("CONNECTLINK_ALERTS_BOUNCE_PERCENT", "5", "CONNECTLINK_ALERTS_QUEUE_MINUTES", "0"), nil).Projects[0]
	if want := (config.Alerts{BouncePercent: 5, ConnectPercent: 40, LeastCount: 20}); p.Alerts != want {
		t.Errorf("%+v, want %+v", p.Alerts, want)
	}
	for name, value := range map[string]string{
		"BOUNCE_PERCENT": "101", "QUEUE_MINUTES": "1441", "CONNECT_FAILURE_PERCENT": "-1", "MIN_COUNT": "4",
	} {
		_, err := load(with("CONNECTLINK_ALERTS_"+name, value), nil)
		if err == nil || !strings.Contains(err.Error(), "CONNECTLINK_ALERTS_"+name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

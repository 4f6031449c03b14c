package postgres

import (
	"testing"
	"time"
)

func TestSeveralHostsAskForTheWriter(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"postgres://a/db":                                      false,
		"postgres://a/db?sslmode=prefer":                       false,
		"postgres://a,b/db":                                    true,
		"postgres://a:5432,a:5433/db":                          true,
		"postgres:///db?host=a,b":                              true,
		"postgres://a,b/db?target_session_attrs=any":           false,
		"host=a,b dbname=db":                                   true,
		"host=a,b dbname=db target_session_attrs=any":          false,
		"host=a,b dbname=db target_session_attrs = any":        false,
		"host=a dbname=target_session_attrs":                   false,
		"postgres://a/db?target_session_attrs=read-write":      true,
		"postgres://u:target_session_attrs=any@a,b/db":         true,
		"postgres://a,b/db?application_name=target_session_at": true,
	} {
		cfg, err := parseURL(url, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.ConnConfig.ValidateConnect != nil; got != want {
			t.Errorf("%s: asks for a writer: %v, want %v", url, got, want)
		}
	}
}

func TestTimeToConnectIsPerHostAndTheURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]time.Duration{
		"postgres://a/db": 5 * time.Second, "postgres://a,b/db": 3 * time.Second, "postgres://a,b/db?connect_timeout=7": 7 * time.Second,
	} {
		cfg, err := parseURL(url, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.ConnConfig.ConnectTimeout; got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

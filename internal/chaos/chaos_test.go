package chaos_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/servertest"
)

func TestMain(m *testing.M) {
	chaos.Child() // the runs start copies of this program
	os.Exit(m.Run())
}

// The promises of package dispatch, with real processes, in one short run. The
// command in cmd/chaos makes the other ones: CI runs it as a stage of its own.
func TestKilledAndFrozenWorkersLoseAndDoubleNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes for half a minute")
	}
	report, err := chaos.Run(t.Context(), chaos.Options{
		Provider: chaos.Twilio, Kills: 5, Backlog: 50,
		URL: postgrestest.New(t), Limit: 4 * time.Minute, Slack: 3, // other tests run beside it
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	line, _ := json.Marshal(report)
	t.Logf("%s", line)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Check(); err != nil {
		t.Error(err)
	}
}

// Issue 14: a Patroni cluster with synchronous replication, whose primary is killed;
// in the long form frozen, cut off and demoted as well, once behind haproxy and once with
// the servers' addresses in the URL.
func TestPatroniClusterLosesAndDoublesNothingWhenItsPrimaryIsReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("runs three database servers and the program for half a minute")
	}
	for _, program := range []string{"patroni", "patronictl"} {
		servertest.Need(t, program, "patroni")
	}
	servertest.Need(t, "etcd", "etcd-server")
	servertest.Need(t, "haproxy", "haproxy")
	runs := []chaos.TakeOvers{{Ways: []string{chaos.Killed}}}
	if os.Getenv(takeOversVariable) != "" {
		runs = []chaos.TakeOvers{{}, {Direct: true}}
	}
	for _, o := range runs {
		o.Limit, o.Slack = 6*time.Minute, 3 // other tests run beside it
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
		report, err := chaos.TakeOver(t.Context(), o)
		line, _ := json.Marshal(report)
		t.Logf("%s", line)
		if err != nil {
			t.Fatal(err)
		}
		if err := report.Check(); err != nil {
			t.Error(err)
		}
	}
}

// takeOversVariable asks for every way of replacing a primary, which takes four minutes.
const takeOversVariable = "CONNECTLINK_TEST_TAKEOVERS"

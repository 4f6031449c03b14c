package chaos_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/servertest"
)

func TestMain(m *testing.M) {
	chaos.Child() // the runs start copies of this program
	os.Exit(m.Run())
}

// The promises of package dispatch, with real processes. The short form is one
// run; the command in cmd/chaos makes longer ones, with other seeds.
func TestKilledAndFrozenWorkersLoseAndDoubleNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes for half a minute")
	}
	runs := []chaos.Options{{Provider: chaos.Twilio, Kills: 5, Backlog: 50}}
	if longtest.Wanted() {
		runs = longRuns()
	}
	for _, o := range runs {
		name := o.Provider
		if len(o.Points) > 0 {
			name += " at each place"
		}
		if o.LateReports > 0 {
			name += " with late reports"
		}
		t.Run(name, func(t *testing.T) {
			o.URL, o.Limit, o.Slack = postgrestest.New(t), 4*time.Minute, 3 // other tests run beside it
			o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			report, err := chaos.Run(t.Context(), o)
			line, _ := json.Marshal(report)
			t.Logf("%s", line)
			if err != nil {
				t.Fatal(err)
			}
			if err := report.Check(); err != nil {
				t.Error(err)
			}
			if o.LateReports > 0 && report.LateReports == 0 {
				t.Error("no report was late: the run proves nothing about late reports")
			}
			if o.Provider == chaos.SendGridBlind && report.Unknown == 0 {
				t.Error("no lost answer ended unknown: the run proves nothing about a blind provider")
			}
		})
	}
}

// longRuns are those of the long form.
func longRuns() []chaos.Options {
	return []chaos.Options{
		{Provider: chaos.Twilio, Kills: 20, Freezes: 1},
		{Provider: chaos.SendGrid, Kills: 5},
		{Provider: chaos.SendGrid, Kills: 5, LateReports: 0.2},
		{Provider: chaos.Twilio, Kills: 1, Points: chaos.Points()},
		{Provider: chaos.SendGridBlind, Kills: 5},
	}
}

// F1: the real program over a primary that vanishes without a word. The command
// tries the other ways too.
func TestF1EverythingMovesAgainAfterASilentFailover(t *testing.T) {
	if !longtest.Wanted() {
		t.Skip("runs two database servers and the program for a minute: set " + longtest.Variable + "=1")
	}
	report, err := chaos.FailOver(t.Context(), chaos.Failovers{
		Count: 1, Limit: 4 * time.Minute, Slack: 3, // other tests run beside it
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
// in the long form demoted and cut off as well, once behind haproxy and once with
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

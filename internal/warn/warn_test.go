package warn_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/warn"
)

// raise is a function as Alerts.
type raise func(ctx context.Context, tx pgx.Tx, place invite.Place, a quota.Alert, at time.Time) error

func (r raise) Raise(ctx context.Context, tx pgx.Tx, place invite.Place, a quota.Alert, at time.Time) error {
	return r(ctx, tx, place, a, at)
}

func send(t *testing.T, db *pgxpool.Pool, n int, u ledger.Use) {
	t.Helper()
	for range n {
		err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
			return ledger.CountUses(t.Context(), tx, invite.New[invite.ID](), []ledger.Use{u})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Two processes at once tell each notice once, in the transaction that records it.
func TestEachNoticeIsToldOnce(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	for i := range 120 {
		send(t, db, 4, ledger.Use{Scope: ledger.UseKey, Subject: fmt.Appendf(nil, "acme/k%d", i), PerDay: 5})
	}
	var mu sync.Mutex
	raised := map[string]int{}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	metrics := prometheus.NewRegistry()
	failed := false
	tell := func(registry prometheus.Registerer) *warn.Service {
		s, err := warn.New(warn.Params{
			DB: db, Metrics: registry, Log: logger,
			Alerts: raise(func(_ context.Context, _ pgx.Tx, place invite.Place, a quota.Alert, at time.Time) error {
				mu.Lock()
				defer mu.Unlock()
				if !failed {
					failed = true
					return fmt.Errorf("the endpoint table is locked")
				}
				if place != (invite.Place{Project: "acme", Live: true}) || a.Kind != quota.AlertNear || a.Limit != "key_per_day" || a.Used != "4" || a.Max != "5" || at.IsZero() || a.ResetsAt == nil {
					t.Errorf("raised %+v of %v", a, place)
				}
				raised[*a.Subject]++
				return nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one, two := tell(metrics), tell(nil)
	if _, err := one.Tell(t.Context()); err == nil {
		t.Fatal("the failure is not reported")
	}
	var wg sync.WaitGroup
	var told [2]int
	for i, s := range []*warn.Service{one, two} {
		wg.Go(func() {
			var err error
			if told[i], err = s.Tell(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(raised) != 120 || told[0]+told[1] != 120 {
		t.Errorf("%d raised, %v told; want 120", len(raised), told)
	}
	for name, n := range raised {
		if n != 1 {
			t.Errorf("%s was raised %d times", name, n)
		}
	}
	if n := strings.Count(log.String(), "sending limit"); n != 120 {
		t.Errorf("%d lines in the log", n)
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			counted += m.GetCounter().GetValue()
		}
	}
	if int(counted) != told[0] {
		t.Errorf("the metric counts %v, told %d", counted, told[0])
	}
	if n, err := one.Tell(t.Context()); err != nil || n != 0 {
		t.Errorf("told again: %d, %v", n, err)
	}
	if err := one.DeleteOld(t.Context()); err != nil {
		t.Error(err)
	}
}

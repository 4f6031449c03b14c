// Package warn tells of sending limits that come near or are reached, and of API keys
// that end: by an event, a log line and a metric.
//
// It does not decide which limits these are: the statement that counts a message
// leaves a notice (package ledger), and this package hands it on once.
package warn

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Params are what a Service needs.
type Params struct {
	DB      postgres.Transactor
	Alerts  Alerts
	Metrics prometheus.Registerer // may be nil
	Log     *slog.Logger
}

// Alerts hands alerts to the product. Package publish does.
type Alerts interface {
	// Raise stores the event of an alert, in the transaction that records it as told.
	Raise(ctx context.Context, tx pgx.Tx, place invite.Place, a quota.Alert, at time.Time) error
}

// Service tells of notices. It is safe for concurrent use, also by several processes.
type Service struct {
	p     Params
	total *prometheus.CounterVec
	// ending counts the keys that end within some days.
	ending *prometheus.GaugeVec
}

// New returns a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	if err := required.Check("warn.Params", map[string]any{"DB": p.DB, "Alerts": p.Alerts, "Log": p.Log}); err != nil {
		return nil, err
	}
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "connectlink", Subsystem: "limit", Name: "alerts_total",
		Help: "Alerts of sending limits, by limit and kind: limit_near at 80 %, limit_reached.",
	}, []string{"limit", "kind"})
	ending := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "connectlink", Name: "api_keys_ending",
		Help: "API keys that end within 30 or 7 days and have no replacement.",
	}, []string{"days"})
	if p.Metrics != nil {
		p.Metrics.MustRegister(total, ending)
	}
	return &Service{p, total, ending}, nil
}

// atOnce bounds one transaction.
const atOnce = 50

// Tell hands on all notices that were not told yet, and returns their number.
func (s *Service) Tell(ctx context.Context) (int, error) {
	told := 0
	for {
		var list []ledger.Notice
		err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) (err error) {
			if list, err = ledger.LockNotices(ctx, tx, atOnce); err != nil {
				return err
			}
			for _, n := range list {
				project, _ := n.Project()
				// Only live mode is limited.
				if err := s.p.Alerts.Raise(ctx, tx, invite.Place{Project: project, Live: true}, quota.AlertOf(n), n.Raised); err != nil {
					return err
				}
				if err := ledger.SetTold(ctx, tx, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return told, fmt.Errorf("tell of limits: %w", err)
		}
		for _, n := range list {
			a := quota.AlertOf(n)
			project, name := n.Project()
			s.total.WithLabelValues(a.Limit, a.Kind).Inc()
			s.p.Log.WarnContext(ctx, "sending limit", "kind", a.Kind, "project", project, "limit", a.Limit, "subject", name, "used", a.Used, "max", a.Max)
		}
		if told += len(list); len(list) < atOnce {
			return told, nil
		}
	}
}

// DeleteOld deletes counts that no limit needs any more.
func (s *Service) DeleteOld(ctx context.Context) error {
	return ledger.DeleteOldUses(ctx, s.p.DB, deletedAtOnce)
}

// deletedAtOnce bounds one statement.
const deletedAtOnce = 1000

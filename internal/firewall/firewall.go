package firewall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// Params are the collaborators of a Service.
type Params struct {
	DB      postgres.Transactor
	Box     *seal.Box
	Project func(id string) (config.Project, bool)
	Alerts  Alerts
	Metrics prometheus.Registerer // may be nil
	Log     *slog.Logger
	// Now is the time by which traffic is judged; nil: the database's.
	Now func() time.Time
}

// Alerts hands alerts to the product. Package publish does.
type Alerts interface {
	// Raise stores the event of an alert, in the transaction that makes the pause.
	Raise(ctx context.Context, tx pgx.Tx, place invite.Place, a quota.Alert, at time.Time) error
}

// Service counts visits, judges traffic and makes pauses. It is safe for concurrent
// use, also by several processes.
type Service struct {
	p     Params
	total *prometheus.CounterVec
}

// New returns a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	err := required.Check("firewall.Params", map[string]any{"DB": p.DB, "Box": p.Box, "Project": p.Project, "Alerts": p.Alerts, "Log": p.Log})
	if err != nil {
		return nil, err
	}
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "connectlink", Subsystem: "firewall", Name: "pauses_total",
		Help: "Pauses that the service made by itself, by scope: sms_country, sms_prefix or key.",
	}, []string{"scope"})
	if p.Metrics != nil {
		p.Metrics.MustRegister(total)
	}
	return &Service{p, total}, nil
}

const (
	// judgedWhile is how long after its last message an area is judged.
	judgedWhile = 2 * time.Hour
	// learnedAtOnce bounds one statement.
	learnedAtOnce = 2000
)

// Judge pauses the countries and ranges of numbers whose messages too few people visit,
// and learns from messages that are older than a day. It returns the number of pauses.
func (s *Service) Judge(ctx context.Context) (int, error) {
	cohorts, baselines, now, err := s.read(ctx)
	if err != nil {
		return 0, fmt.Errorf("judge text traffic: %w", err)
	}
	history := make(map[country]traffic.Baseline, len(baselines))
	for _, b := range baselines {
		history[country{b.Project, b.Country}] = b
	}
	learned := make(map[country]curves)
	touched := make(map[country]bool)           // by the pause of a range
	worst := make(map[country][]traffic.Cohort) // the range that lacks the most visits
	paused := 0
	for _, area := range areasOf(cohorts) {
		project, ok := s.p.Project(area[0].Project)
		of := country{area[0].Project, area[0].Country}
		if !ok || project.Firewall.Off || !area[0].IsPrefix() && touched[of] {
			continue
		}
		c, known := learned[of]
		if !known {
			c = learn(of.code, history[of])
			learned[of] = c
		}
		rules := rulesOf(project)
		if area[0].IsPrefix() {
			worst[of] = worse(worst[of], area, c, rules, now)
		} else {
			area = minus(area, worst[of])
		}
		f, bad := judge(area, c, rules, now)
		if !bad {
			continue
		}
		changed, err := s.pause(ctx, area[0], f, now)
		if err != nil {
			return paused, fmt.Errorf("judge text traffic: %w", err)
		}
		if changed {
			paused++
		}
		// The country's counts are others now: the next run judges them.
		touched[of] = area[0].IsPrefix()
	}
	return paused, s.learnOld(ctx, now)
}

// country is a country that a project sends to.
type country struct{ project, code string }

// areasOf groups cohorts by area, ranges of numbers first: a pumped range is paused, and
// not its whole country.
func areasOf(cohorts []traffic.Cohort) [][]traffic.Cohort {
	var ranges, countries [][]traffic.Cohort
	for len(cohorts) > 0 {
		first, n := cohorts[0], 1
		for n < len(cohorts) && cohorts[n].Project == first.Project && cohorts[n].Area == first.Area {
			n++
		}
		if first.IsPrefix() {
			ranges = append(ranges, cohorts[:n])
		} else {
			countries = append(countries, cohorts[:n])
		}
		cohorts = cohorts[n:]
	}
	return append(ranges, countries...)
}

func rulesOf(p config.Project) Rules {
	return Rules{Floor: float64(p.Firewall.FloorPercent) / 100, LeastSent: p.Firewall.LeastMessages}
}

// read reads all that is judged, in one snapshot of the database.
func (s *Service) read(ctx context.Context) (cohorts []traffic.Cohort, baselines []traffic.Baseline, now time.Time, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if now, err = s.now(ctx, tx); err != nil {
			return err
		}
		if cohorts, err = traffic.ListCohorts(ctx, tx, now.Add(-traffic.Kept), now.Add(-judgedWhile)); err != nil || len(cohorts) == 0 {
			return err
		}
		baselines, err = traffic.ListBaselines(ctx, tx)
		return err
	})
	return cohorts, baselines, now, err
}

func (s *Service) now(ctx context.Context, tx pgx.Tx) (now time.Time, err error) {
	if s.p.Now != nil {
		return s.p.Now(), nil
	}
	return account.GetTime(ctx, tx)
}

// inTx opens a transaction whose plans do not depend on statistics.
func (s *Service) inTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, queue.KeyBound); err != nil {
			return fmt.Errorf("set up a transaction: %w", postgres.Translate(err))
		}
		return fn(tx)
	})
}

// learnOld adds messages that are older than a day to the baselines.
func (s *Service) learnOld(ctx context.Context, now time.Time) error {
	for {
		var n int
		err := s.inTx(ctx, func(tx pgx.Tx) (err error) {
			n, err = traffic.Learn(ctx, tx, now.Add(-traffic.Kept), learnedAtOnce)
			return err
		})
		if err != nil || n < learnedAtOnce {
			return err
		}
	}
}

// DeleteOld deletes pauses that were resumed long ago, and old reports.
func (s *Service) DeleteOld(ctx context.Context) error {
	return errors.Join(traffic.DeleteOldPauses(ctx, s.p.DB), traffic.DeleteOldReports(ctx, s.p.DB))
}

// pause pauses an area with the figures that led to it; false means that the service
// paused it before.
func (s *Service) pause(ctx context.Context, area traffic.Cohort, f traffic.Figures, now time.Time) (changed bool, err error) {
	subject := traffic.Subject{Place: invite.Place{Project: area.Project, Live: true}, Scope: traffic.Country, Name: area.Area}
	if area.IsPrefix() {
		subject.Scope = traffic.Prefix
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if changed, err = s.insert(ctx, tx, traffic.NewPause{Subject: subject, Source: traffic.ByFirewall, Why: traffic.WhyNotVisited, Figures: f, At: now}); err != nil {
			return err
		}
		return traffic.Forget(ctx, tx, area.Project, area.Area, area.Country)
	})
	return changed && err == nil, err
}

// insert makes a pause, and with it its alert and its entry in the audit log.
func (s *Service) insert(ctx context.Context, tx pgx.Tx, n traffic.NewPause) (changed bool, err error) {
	system := access.System(n.Place)
	n.By = system.Actor()
	if changed, err = traffic.InsertPause(ctx, tx, n); err != nil || !changed {
		return false, err
	}
	if err := s.p.Alerts.Raise(ctx, tx, n.Place, alertOf(n), n.At); err != nil {
		return false, err
	}
	err = account.InsertAudit(ctx, tx, account.Entry{By: system, Act: traffic.ActPaused, Target: n.String(), Why: n.Why})
	if err != nil {
		return false, err
	}
	postgres.AfterCommit(tx, func() {
		s.total.WithLabelValues(string(n.Scope)).Inc()
		s.p.Log.WarnContext(ctx, "sending paused", "project", n.Project, "scope", string(n.Scope), "subject", n.Name, "why", n.Why,
			"messages", n.Figures.Sent, "visited", n.Figures.Visited, "expected", n.Figures.Expected, "reports", n.Figures.Reports, "window_s", n.Figures.WindowS)
	})
	return true, nil
}

// alertOf is the alert of a pause. Used and Max are the counts that were compared: visits
// and the visits that were demanded, or reports and messages.
func alertOf(n traffic.NewPause) quota.Alert {
	a := quota.Alert{Kind: quota.AlertPaused, Limit: "visits", Scope: string(n.Scope), Subject: &n.Name, Used: strconv.Itoa(n.Figures.Visited), Max: strconv.Itoa(n.Figures.Sent)}
	if n.Source == traffic.ByReports {
		a.Limit, a.Used = "reports", strconv.Itoa(n.Figures.Reports)
	}
	return a
}

package survey

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/counts"
)

// window is how much of the past a share is of. The quarter of an hour in which it begins
// counts in full.
const window = time.Hour

// reading is a value that is compared with its threshold.
type reading struct {
	kind      counts.Kind
	value     float64
	threshold float64 // 0: it is not judged
	few       bool    // too few messages to raise an alert from
}

// isOver reports whether an excursion begins.
func (r reading) isOver() bool { return r.threshold > 0 && !r.few && r.value >= r.threshold }

// isPast reports whether an excursion ends.
func (r reading) isPast() bool { return r.threshold == 0 || r.value <= r.threshold/2 }

// judge compares live mode of a project with its thresholds.
func (s *Service) judge(ctx context.Context, p config.Project) error {
	oldest, err := s.measure(ctx, p.ID)
	if err != nil {
		return err
	}
	place := invite.Place{Project: p.ID, Live: true}
	bounces, err := s.bounces(ctx, place, p.Alerts)
	if err != nil {
		return err
	}
	connects, err := s.connects(ctx, place, p.Alerts)
	if err != nil {
		return err
	}
	open, err := counts.ListOpen(ctx, s.p.DB, place)
	if err != nil {
		return err
	}
	for _, r := range []reading{
		bounces, connects,
		{kind: counts.QueueAge, value: oldest.Seconds(), threshold: float64(p.Alerts.QueueMinutes * 60)},
	} {
		goesOn := slices.ContainsFunc(open, func(e counts.Excursion) bool { return e.Kind == r.kind })
		if goesOn == r.isOver() || goesOn && !r.isPast() {
			continue
		}
		if err := s.settle(ctx, place, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) bounces(ctx context.Context, place invite.Place, a config.Alerts) (r reading, err error) {
	now := time.Now()
	list, err := counts.ListMessages(ctx, s.p.DB, place, now.Add(-window).Truncate(counts.BucketOf), now.Add(counts.BucketOf))
	var sum counts.Messages
	for _, m := range list {
		sum = sum.Add(m)
	}
	known := sum.Delivered + sum.Failed
	return reading{counts.BounceRate, percent(sum.Failed, known), float64(a.BouncePercent), known < a.LeastCount}, err
}

func (s *Service) connects(ctx context.Context, place invite.Place, a config.Alerts) (r reading, err error) {
	failed, _ := invite.EffectPublishConnectFailed.Public()
	connected, _ := invite.EffectPublishConnected.Public()
	list, err := counts.ListEvents(ctx, s.p.DB, place, time.Now().Add(-window).Truncate(counts.BucketOf), failed, connected)
	tries, failures := 0, 0
	for _, e := range list {
		tries += e.N
		if e.Type == failed {
			failures += e.N
		}
	}
	return reading{counts.ConnectFailures, percent(failures, tries), float64(a.ConnectPercent), tries < a.LeastCount}, err
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// settle begins or ends the excursion of a reading, with its event. Of several processes
// one writes: the row is unique while the excursion goes on.
func (s *Service) settle(ctx context.Context, place invite.Place, r reading) error {
	alert := quota.ThresholdAlert(string(r.kind), r.value, r.threshold)
	changed := false
	err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) (err error) {
		if r.isOver() {
			changed, err = counts.InsertExcursion(ctx, tx, place, counts.Excursion{Kind: r.kind, Value: r.value, Threshold: r.threshold})
			if err != nil || !changed {
				return err
			}
			return s.p.Alerts.Raise(ctx, tx, place, alert, time.Now())
		}
		if changed, err = counts.SetResolved(ctx, tx, place, r.kind); err != nil || !changed {
			return err
		}
		return s.p.Alerts.Resolve(ctx, tx, place, alert, time.Now())
	})
	if err != nil || !changed {
		return err
	}
	if r.isOver() {
		s.raised.WithLabelValues(string(r.kind)).Inc()
		s.p.Log.WarnContext(ctx, "threshold exceeded", "kind", r.kind, "project", place.Project, "value", alert.Used, "threshold", alert.Max)
		return nil
	}
	s.p.Log.InfoContext(ctx, "threshold no longer exceeded", "kind", r.kind, "project", place.Project, "value", alert.Used, "threshold", alert.Max)
	return nil
}

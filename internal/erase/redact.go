package erase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const (
	redactedAtOnce = 50
	// redactBatches bounds one run; the next one goes on.
	redactBatches = 20
	// redactTimeout bounds one call.
	redactTimeout = 10 * time.Second
	// redactTries is how often a redaction is tried: with pauses that grow from a
	// minute to a day, for about a week.
	redactTries = 12
	// withoutAccount is how long to wait where a project has no credentials (any more).
	withoutAccount = time.Hour
	// countedAtMost bounds the count for metrics.
	countedAtMost = 10_000
)

// tenant is whose credentials a call needs.
type tenant struct {
	invite.Place

	provider string
}

// Redact removes, at providers of text messages, the bodies of messages whose
// invites ended, and the records of those of erased people. Messages that may
// still be on their way are left. It returns the number removed.
func (s *Service) Redact(ctx context.Context) (int, error) {
	total := 0
	for range redactBatches {
		list, err := ledger.ClaimRedactions(ctx, s.p.DB, redactedAtOnce)
		if err != nil {
			return total, err
		}
		resting := map[tenant]time.Duration{}
		for _, r := range list {
			if ctx.Err() != nil {
				return total, ctx.Err() // a claimed row becomes due again automatically
			}
			done, err := s.redact(ctx, r, resting)
			if err != nil {
				return total, err
			}
			if done {
				total++
			}
		}
		if len(list) < redactedAtOnce {
			break
		}
	}
	return total, s.measure(ctx)
}

// redact does one redaction, or puts it off. An account that refuses us is left
// alone for the rest of the batch.
func (s *Service) redact(ctx context.Context, r ledger.Redaction, resting map[tenant]time.Duration) (bool, error) {
	over := r.OverIn <= 0
	of := tenant{provider: r.Provider, Place: r.Place}
	switch {
	case r.NotTaken:
		return false, ledger.DeleteRedaction(ctx, s.p.DB, r)
	case !over && (r.Status == nil || !r.Status.HasFate()), r.MessageID == "" && !over:
		// Still in progress, or its id is still to come.
		return false, ledger.SetRedactLater(ctx, s.p.DB, r, time.Duration(r.OverIn*float64(time.Second)), false)
	case r.MessageID == "":
		return false, s.giveUp(ctx, r, "nobody knows which message it was")
	case resting[of] > 0:
		return false, ledger.SetRedactLater(ctx, s.p.DB, r, resting[of], false)
	}
	redactor, ok := s.p.Redactor(r.Provider, r.Place)
	if !ok {
		resting[of] = withoutAccount
		return false, s.later(ctx, r, withoutAccount, errors.New("the project has no credentials for its provider of texts"))
	}
	if redactor == nil {
		return false, ledger.DeleteRedaction(ctx, s.p.DB, r)
	}
	call, cancel := context.WithTimeout(ctx, redactTimeout)
	defer cancel()
	take := redactor.Redact
	if r.Remove {
		take = redactor.Remove
	}
	err := take(call, r.MessageID)
	if err == nil {
		s.metrics.redactions.WithLabelValues("done").Inc()
		return true, ledger.SetRedacted(ctx, s.p.DB, r)
	}
	pause := redactBackoff(r.Tries)
	var refused *provider.SendError
	if errors.As(err, &refused) {
		pause = max(pause, refused.RetryAfter)
		if refused.Scope == provider.ScopeAccount {
			resting[of] = pause
		}
	}
	if errors.Is(err, provider.ErrStillSending) { // nothing that a person could put right
		return false, ledger.SetRedactLater(ctx, s.p.DB, r, pause, false)
	}
	return false, s.later(ctx, r, pause, err)
}

// later puts a failed redaction off, or gives it up.
func (s *Service) later(ctx context.Context, r ledger.Redaction, pause time.Duration, why error) error {
	s.metrics.redactions.WithLabelValues("again").Inc()
	if r.Tries+1 >= redactTries {
		return s.giveUp(ctx, r, why.Error())
	}
	s.p.Log.WarnContext(ctx, "a text is not redacted at its provider yet", "invite", r.InviteID.String(), "attempt", r.AttemptID.String(),
		"project", r.Project, "livemode", r.Live, "remove", r.Remove, "tries", r.Tries+1, "again_s", int(pause.Seconds()), "err", why)
	return ledger.SetRedactLater(ctx, s.p.DB, r, pause, true)
}

func (s *Service) giveUp(ctx context.Context, r ledger.Redaction, why string) error {
	s.metrics.redactions.WithLabelValues("given_up").Inc()
	s.p.Log.ErrorContext(ctx, "a text stays at its provider until somebody takes it away there", "invite", r.InviteID.String(),
		"attempt", r.AttemptID.String(), "provider_message", r.MessageID, "project", r.Project, "livemode", r.Live, "remove", r.Remove, "why", why)
	return ledger.SetRedactGivenUp(ctx, s.p.DB, r)
}

// redactBackoff grows fourfold from a minute to a day.
func redactBackoff(tries int) time.Duration {
	d := time.Minute
	for range tries {
		if d = 4 * d; d >= 24*time.Hour {
			return 24 * time.Hour
		}
	}
	return d
}

// metrics are what an operator watches.
type metrics struct {
	redactions *prometheus.CounterVec
	behind     *prometheus.GaugeVec
	retired    prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		redactions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "connectlink_redactions_total", Help: "Texts redacted at their provider, by result: done, again, given_up.",
		}, []string{"result"}),
		behind: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "connectlink_redactions_behind", Help: "Texts whose words are still at their provider: failing ones, and those that are left to a person.",
		}, []string{"state"}),
		retired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "connectlink_invites_retired_total", Help: "Ended invites deleted by retention.",
		}),
	}
	if r != nil {
		r.MustRegister(m.redactions, m.behind, m.retired)
	}
	return m
}

func (s *Service) measure(ctx context.Context) error {
	n, err := ledger.CountUnredacted(ctx, s.p.DB, countedAtMost)
	if err != nil {
		return fmt.Errorf("measure redactions: %w", err)
	}
	s.metrics.behind.WithLabelValues("failing").Set(float64(n.Failing))
	s.metrics.behind.WithLabelValues("given_up").Set(float64(n.GivenUp))
	return nil
}

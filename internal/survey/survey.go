package survey

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/counts"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// Params are the collaborators of a Service.
type Params struct {
	DB       postgres.Transactor
	Box      *seal.Box
	Projects []config.Project
	Alerts   Alerts
	Metrics  prometheus.Registerer // may be nil
	Log      *slog.Logger
}

// Alerts hands alerts to the product. Package publish does.
type Alerts interface {
	// Raise stores the event of an alert, in the transaction that begins its excursion.
	Raise(ctx context.Context, tx pgx.Tx, place invite.Place, a quota.Alert, at time.Time) error
	// Resolve stores the event of its end, in the transaction that ends the excursion.
	Resolve(ctx context.Context, tx pgx.Tx, place invite.Place, a quota.Alert, at time.Time) error
}

// Service counts and judges. It is safe for concurrent use, also by several processes.
type Service struct {
	p       Params
	raised  *prometheus.CounterVec
	domains map[invite.Place][]counts.Domain

	mu      sync.Mutex
	sampled map[string]time.Time // the minute of a project's last samples
}

// New returns a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	if err := required.Check("survey.Params", map[string]any{"DB": p.DB, "Box": p.Box, "Alerts": p.Alerts, "Log": p.Log}); err != nil {
		return nil, err
	}
	s := &Service{p: p, domains: map[invite.Place][]counts.Domain{}, sampled: map[string]time.Time{}, raised: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "connectlink", Name: "threshold_alerts_total",
		Help: "Alerts of thresholds, by kind: bounce_rate, queue_age or connect_failures.",
	}, []string{"kind"})}
	if p.Metrics != nil {
		p.Metrics.MustRegister(s.raised)
	}
	for _, place := range s.places() {
		for _, name := range contact.MailboxDomains() {
			s.domains[place] = append(s.domains[place], counts.Domain{Name: name, Hashes: find.DomainTerms(p.Box, place, name)})
		}
	}
	return s, nil
}

func (s *Service) places() []invite.Place {
	var out []invite.Place
	for _, p := range s.p.Projects {
		out = append(out, invite.Place{Project: p.ID}, invite.Place{Project: p.ID, Live: true})
	}
	return out
}

// followFor bounds how long a run counts. A backlog, as after an update, is counted by
// several runs, and each project has its share of each.
const followFor = 15 * time.Second

// atOnce is how many events of each type one transaction counts.
const atOnce = 500

// Run counts the events since the last run, samples the queues and judges. It
// returns the number of events that it counted. A fault of one project does not keep
// others from being counted.
func (s *Service) Run(ctx context.Context) (int, error) {
	total := 0
	var faults []error
	places := s.places()
	share := followFor / time.Duration(max(len(places), 1))
	for _, place := range places {
		n, err := s.follow(ctx, place, time.Now().Add(share))
		total += n
		faults = append(faults, err)
	}
	for _, p := range s.p.Projects {
		faults = append(faults, s.judge(ctx, p))
	}
	return total, errors.Join(faults...)
}

// follow counts the events of a project and mode until a time, in transactions of a
// bounded size.
func (s *Service) follow(ctx context.Context, place invite.Place, until time.Time) (total int, err error) {
	for more := true; more && (total == 0 || time.Now().Before(until)); {
		err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
			more = false
			p, ok, err := counts.LockPlace(ctx, tx, place)
			if err != nil || !ok {
				return err
			}
			n, again, err := counts.Follow(ctx, tx, p, s.domains[place], atOnce)
			if err != nil {
				return err
			}
			total, more = total+n, again
			if again {
				return nil
			}
			return counts.SetComplete(ctx, tx, p)
		})
		if err != nil {
			return total, fmt.Errorf("follow the events of %s, %s: %w", place.Project, place.Mode(), err)
		}
	}
	return total, nil
}

// DeleteOld deletes counts that no picture shows any more.
func (s *Service) DeleteOld(ctx context.Context) error { return counts.DeleteOld(ctx, s.p.DB) }

// measure samples the queues of a project once a minute, and returns how long the oldest
// message of live mode is due. Messages that staff paused do not count.
func (s *Service) measure(ctx context.Context, project string) (oldest time.Duration, err error) {
	lanes, err := queue.ListLanesOf(ctx, s.p.DB, project)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	fresh := s.isNewMinute(project, now)
	for _, l := range lanes {
		age := time.Duration(0)
		if l.Oldest != nil {
			age = max(now.Sub(*l.Oldest), 0)
		}
		if fresh {
			if err := counts.SetSample(ctx, s.p.DB, l.Lane, l.Due, age); err != nil {
				return 0, err
			}
		}
		if l.Lane.Live && l.HeldAt == nil {
			oldest = max(oldest, age)
		}
	}
	return oldest, nil
}

// isNewMinute reports whether this process has not sampled the project in this minute.
func (s *Service) isNewMinute(project string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	minute := now.Truncate(time.Minute)
	if s.sampled[project].Equal(minute) {
		return false
	}
	s.sampled[project] = minute
	return true
}

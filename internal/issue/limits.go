package issue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// uses is what a message that p asks for counts for.
func (s *Service) uses(p access.Principal, ch invite.Channel, r invite.Recipient, user string) []ledger.Use {
	if !p.Live || ch == invite.LinkOnly {
		return nil
	}
	return s.p.Uses(quota.Message{
		Place: p.Place, Channel: ch, Address: r.Address(ch), User: userid.Hash(s.p.Box, p.Place, user), By: p.ID,
	})
}

const (
	// rememberRefusal is how long this process refuses without asking the database
	// again: short, because a lead may allow more meanwhile.
	rememberRefusal = 5 * time.Second
	// maxRefusals bounds the memory for refusals, about 200 bytes each.
	maxRefusals = 10_000
)

// refusals remembers which subjects reached a limit, so that a flood of requests
// beyond it costs neither tokens nor statements. The database alone decides what
// is allowed; this only spares it questions whose answer is known.
type refusals struct {
	now   func() time.Time
	total *prometheus.CounterVec

	mu    sync.Mutex
	until map[refusalKey]remembered
}

type refusalKey struct {
	scope   ledger.UseScope
	subject string
}

type remembered struct {
	over  *ledger.LimitError
	since time.Time
}

func newRefusals(now func() time.Time, metrics prometheus.Registerer) *refusals {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "connectlink", Subsystem: "limit", Name: "refusals_total", Help: "Requests that a sending limit refused, by limit.",
	}, []string{"limit"})
	if metrics != nil {
		metrics.MustRegister(total)
	}
	return &refusals{now: now, total: total, until: make(map[refusalKey]remembered)}
}

// refuse counts a refusal and returns its public error.
func (r *refusals) refuse(over *ledger.LimitError, cause error) error {
	r.total.WithLabelValues(quota.Name(over.Use.Scope, over.Measure)).Inc()
	return quota.Translate(cause)
}

func keyOf(u ledger.Use) refusalKey { return refusalKey{u.Scope, string(u.Subject)} }

// note remembers the refusal in err's chain and returns its public error; any other
// error, and nil, is returned unchanged.
func (r *refusals) note(err error) error {
	var over *ledger.LimitError
	if !errors.As(err, &over) {
		return err
	}
	// One with room left refused a request for more than that; another may fit.
	if over.Room() == 0 {
		now := r.now()
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.until) >= maxRefusals {
			for k, was := range r.until {
				if now.Sub(was.since) >= rememberRefusal {
					delete(r.until, k)
				}
			}
		}
		if len(r.until) < maxRefusals {
			r.until[keyOf(over.Use)] = remembered{over, now}
		}
	}
	return r.refuse(over, err)
}

// forget drops the remembered refusal of a subject.
func (r *refusals) forget(u ledger.Use) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.until, keyOf(u))
}

// find returns the public error of a remembered refusal that concerns one of the
// uses.
func (r *refusals) find(uses []ledger.Use) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.until) == 0 {
		return nil
	}
	now := r.now()
	for _, u := range uses {
		was, ok := r.until[keyOf(u)]
		if !ok {
			continue
		}
		passed := now.Sub(was.since)
		if passed >= rememberRefusal || passed < 0 || passed >= was.over.FreeIn {
			delete(r.until, keyOf(u))
			continue
		}
		left := *was.over
		left.FreeIn -= passed.Truncate(time.Second)
		return r.refuse(&left, &left)
	}
	return nil
}

const (
	// moreMessages is how many messages beyond its limit a lead can allow a person.
	moreMessages = 3
	// moreFor is how long such a grant lasts; there is one at a time.
	moreFor = 24 * time.Hour
)

// AllowMore allows a few messages more to the recipient of an invite by a channel,
// for a day. Errors, as *invite.Error: invite_not_found, insufficient_scope,
// limit_exceeded while an earlier grant lasts, invalid_request where the invite has no
// such address.
func (s *Service) AllowMore(ctx context.Context, p access.Principal, id invite.ID, ch invite.Channel) error {
	if p.Kind != access.KindStaff || !p.May(access.ActAllowMore) {
		return invite.Errorf(invite.CodeInsufficientScope, "Only leads and administrators can allow more messages to a person.")
	}
	inv, err := find.Get(ctx, s.p.DB, p.Place, id)
	if err != nil {
		return notFound(err, id)
	}
	content, err := find.Open(s.p.Box, inv.ID, inv.Content)
	if err != nil {
		return fmt.Errorf("allow more messages of invite %s: %w", id, err)
	}
	var subject []byte
	for _, u := range s.p.Uses(quota.Message{Place: p.Place, Channel: ch, Address: content.Recipient.Address(ch)}) {
		if u.Scope == ledger.UseRecipient {
			subject = u.Subject
		}
	}
	if subject == nil {
		return invite.Errorf(invite.CodeInvalidRequest, "Messages to this person are not limited by channel %s.", ch)
	}
	return postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		ok, err := ledger.GrantUses(ctx, tx, subject, moreMessages, moreFor)
		if err != nil {
			return err
		}
		if !ok {
			e := invite.Errorf(invite.CodeLimitExceeded, "More messages to this person were allowed already within the last 24 hours.")
			e.Limit = &invite.Limit{Name: quota.Name(ledger.UseRecipient, ledger.MeasureDay), Scope: string(ledger.UseRecipient)}
			return e
		}
		// A new look is needed at what this process remembers.
		postgres.AfterCommit(tx, func() { s.refused.forget(ledger.Use{Scope: ledger.UseRecipient, Subject: subject}) })
		return audit(ctx, tx, p, access.ActAllowMore, id, map[string]string{"channel": string(ch)})
	})
}

// LimitStatus is a sending limit and how much of it is used.
type LimitStatus struct {
	Name  string
	Scope ledger.UseScope
	// Subject is a country, or empty: the caller's own.
	Subject string
	// Max is the limit: messages, or millionths of the currency for spend_per_day; 0
	// is unlimited.
	Max int64
	// Used is nil for limits of people and of invites, which are many.
	Used     *int64
	ResetsAt time.Time // zero for limits without a fixed time
	Money    bool
}

// ListLimits returns the limits of the caller's project, and what it used today.
func (s *Service) ListLimits(ctx context.Context, p access.Principal) ([]LimitStatus, []string, error) {
	project, err := s.project(p)
	if err != nil {
		return nil, nil, err
	}
	l := project.Limits
	var uses []ledger.DayUse
	if p.Live {
		if uses, err = ledger.ListDayUses(ctx, s.p.DB, []byte(p.Project), quota.Key(p.Project, p.ID)); err != nil {
			return nil, nil, err
		}
	}
	used := func(scope ledger.UseScope, cost bool) *int64 {
		n := int64(0)
		for _, u := range uses {
			if u.Scope == scope && cost {
				n = u.Cost
			} else if u.Scope == scope {
				n = u.Messages
			}
		}
		return &n
	}
	midnight := s.p.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	out := []LimitStatus{
		{Name: "recipient_per_hour", Scope: ledger.UseRecipient, Max: int64(l.RecipientPerHour)},
		{Name: "recipient_per_day", Scope: ledger.UseRecipient, Max: int64(l.RecipientPerDay)},
		{Name: "user_per_day", Scope: ledger.UseUser, Max: int64(l.UserPerDay)},
		{Name: "resends_per_invite", Scope: "invite", Max: int64(l.ResendsPerInvite)},
		{Name: "sms_block_per_day", Scope: ledger.UseBlock, Max: int64(l.BlockPerDay), ResetsAt: midnight},
		{Name: "key_per_day", Scope: ledger.UseKey, Max: int64(l.KeyPerDay), Used: used(ledger.UseKey, false), ResetsAt: midnight},
		{Name: "project_per_day", Scope: ledger.UseProject, Max: int64(l.ProjectPerDay), Used: used(ledger.UseProject, false), ResetsAt: midnight},
		{Name: "spend_per_day", Scope: ledger.UseProject, Max: int64(l.SpendPerDay), Used: used(ledger.UseProject, true), ResetsAt: midnight, Money: true},
	}
	for _, u := range uses {
		if u.Scope == ledger.UseCountry {
			_, country, _ := strings.Cut(string(u.Subject), "/")
			out = append(out, LimitStatus{Name: "sms_country_per_day", Scope: u.Scope, Subject: country, Max: int64(l.CountryPerDay), Used: &u.Messages, ResetsAt: midnight})
		}
	}
	countries := l.SMSCountries
	if len(countries) == 0 && project.Brand.Region != "" {
		countries = []string{project.Brand.Region}
	}
	return out, countries, nil
}

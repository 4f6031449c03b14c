package pause

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// Reasons of pauses beside those of channels.
const (
	NotVisited Why = traffic.WhyNotVisited
	Reported   Why = traffic.WhyReported
	Pumping    Why = "pumping" // messages seem to be sent to earn money from them
)

// SubjectWhys lists the reasons from which a person chooses for a country or a range.
func SubjectWhys() []Why { return append([]Why{Pumping}, Whys()...) }

// noCountry stands for numbers of no country, such as satellite phones.
const noCountry = "001"

// prefixForm is what a range of numbers is written as: at least one digit behind the
// country code's first, at most a whole number's digits but two.
func prefixForm() *regexp.Regexp { return regexp.MustCompile(`^\+[1-9][0-9]{2,12}$`) }

// ParseSubject reads a country's code or the first digits of numbers; exactly one is
// given. Errors: *invite.Error, invalid_request.
func ParseSubject(place invite.Place, country, prefix string) (traffic.Subject, error) {
	country, prefix = strings.ToUpper(strings.TrimSpace(country)), strings.TrimSpace(prefix)
	s := traffic.Subject{Place: place}
	switch {
	case (country == "") == (prefix == ""):
		return s, fault("/country", invite.FaultRequired, "give a country or a prefix, one of the two")
	case prefix != "":
		if !prefixForm().MatchString(prefix) {
			return s, fault("/prefix", invite.FaultInvalid, "must be + and the first 3 to 13 digits of the numbers, as +447700")
		}
		s.Scope, s.Name = traffic.Prefix, prefix
	default:
		if country != noCountry && !contact.KnownRegion(country) {
			return s, fault("/country", invite.FaultInvalid, "must be a country's two-letter code, as GB, or 001 for numbers of no country")
		}
		s.Scope, s.Name = traffic.Country, country
	}
	return s, nil
}

func fault(pointer string, code invite.Code, detail string) error {
	e := invite.Errorf(invite.CodeInvalidRequest, "The request has faults.")
	e.Faults = []invite.Fault{{Pointer: pointer, Code: code, Detail: detail}}
	return e
}

// StopSubject pauses text messages to a country or a range of numbers; false means
// that they were paused before. Errors: *invite.Error, invalid_request, insufficient_scope.
func (s *Service) StopSubject(ctx context.Context, by access.Principal, subject traffic.Subject, why Why) (changed bool, err error) {
	if err := mayPauseSubject(by, subject); err != nil {
		return false, err
	}
	if subject.Scope == traffic.Key {
		return false, invite.Errorf(invite.CodeInvalidRequest, "A key is not paused by hand: revoke it.")
	}
	if !slices.Contains(SubjectWhys(), why) {
		return false, fault("/reason", invite.FaultInvalid, "must be one of "+joinWhys())
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		changed, err = traffic.InsertPause(ctx, tx, traffic.NewPause{Subject: subject, Source: traffic.ByPerson, Why: string(why), By: by.Actor()})
		if err != nil || !changed {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: traffic.ActPaused, Target: subject.String(), Why: string(why)})
	})
	if changed && err == nil {
		s.show(ctx)
	}
	return changed, err
}

// ResumeSubject ends a pause; false means that there was none. A pause that the
// service made is ended by staff only: the key whose misuse led to it must not end
// it. Errors: *invite.Error, insufficient_scope.
func (s *Service) ResumeSubject(ctx context.Context, by access.Principal, subject traffic.Subject) (changed bool, err error) {
	if err := mayPauseSubject(by, subject); err != nil {
		return false, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		p, ok, err := traffic.FindPaused(ctx, tx, subject)
		if err != nil || !ok {
			return err
		}
		if p.Source != traffic.ByPerson && by.Kind != access.KindStaff {
			return invite.Errorf(invite.CodeInsufficientScope, "The service paused this by itself. A lead resumes it in the console, where the figures are shown.")
		}
		if changed, err = traffic.SetResumed(ctx, tx, p.ID, by.Actor()); err != nil || !changed {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: traffic.ActResumed, Target: subject.String(), Why: p.Why})
	})
	if changed && err == nil {
		s.show(ctx)
		for _, lane := range lanesOf(subject) {
			if err := s.setDue(ctx, lane); err != nil {
				// They become due by themselves, after their wait.
				s.board.log.WarnContext(ctx, "paused messages could not be made due at once", "lane", lane.String(), "err", err)
			}
			s.wake(lane)
		}
	}
	return changed, err
}

// dueAtOnce bounds a statement that makes messages due: a backlog must not exceed its
// timeout.
const dueAtOnce = 1000

// setDue makes the paused messages of a lane due, in transactions of their own.
func (s *Service) setDue(ctx context.Context, lane invite.Lane) error {
	for {
		var n int
		err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) (err error) {
			n, err = queue.SetPausedDue(ctx, tx, lane, string(invite.SendingPaused), dueAtOnce)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// List returns the current pauses of the principal's project and mode, and up to ended
// of those that were resumed.
func (s *Service) List(ctx context.Context, by access.Principal, ended int) ([]traffic.Pause, error) {
	return traffic.ListPausesOf(ctx, s.db, by.Place, ended)
}

// ListHeld returns the paused channels of the principal's project and mode.
func (s *Service) ListHeld(ctx context.Context, by access.Principal) ([]queue.LaneStatus, error) {
	list, err := queue.ListHeld(ctx, s.db, by.Project)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(l queue.LaneStatus) bool { return l.Lane.Live != by.Live }), nil
}

// mayPauseSubject reports why a principal may not pause or resume a subject.
func mayPauseSubject(by access.Principal, subject traffic.Subject) error {
	if by.Place != subject.Place {
		return invite.Errorf(invite.CodeInsufficientScope, "This is another project or mode.")
	}
	return mayPause(by, access.ActPauseCountry, "Leads and administrators, and keys with the scope admin, may pause and resume countries.")
}

// lanesOf returns the queues in which messages of a subject wait.
func lanesOf(s traffic.Subject) []invite.Lane {
	var out []invite.Lane
	for _, spec := range invite.Specs() {
		if s.Scope == traffic.Key || spec.Field == invite.FieldPhone {
			out = append(out, s.Lane(spec.Channel))
		}
	}
	return out
}

func joinWhys() string {
	words := make([]string, 0, len(SubjectWhys()))
	for _, w := range SubjectWhys() {
		words = append(words, string(w))
	}
	return strings.Join(words, ", ")
}

// show refreshes this process's picture at once; other processes do within a second.
func (s *Service) show(ctx context.Context) {
	if err := s.board.Load(ctx); err != nil {
		s.board.log.WarnContext(ctx, "the pauses could not be read", "err", err)
	}
}

package testsend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// The limits of test sends of one member of staff, over all projects, modes and processes.
const (
	ShortLimit  = 5
	ShortWindow = 10 * time.Minute
	DayLimit    = 20
	DayWindow   = 24 * time.Hour
)

// Channel returns the channel of test sends: accounts have an email address, and no phone
// number.
func Channel() invite.Channel {
	for _, spec := range invite.Specs() {
		if spec.Field == invite.FieldEmail {
			return spec.Channel
		}
	}
	return ""
}

// ErrForbidden is returned to a role that may not do what the order is for, and to all who
// are not staff.
var ErrForbidden = errors.New("the role may not send itself messages")

// Why is the reason why nothing was sent.
type Why string

// The reasons.
const (
	WhyNoAddress  Why = "no_address" // the account has no email address
	WhyUnverified Why = "unverified" // the issuer does not say that the address is the person's
	WhyLimit      Why = "limit"      // see ShortLimit and DayLimit
	WhyPaused     Why = "paused"     // staff paused emails of the project and mode
	WhySuppressed Why = "suppressed" // the address must not be written to; see Block
	WhyNoProvider Why = "no_provider"
	WhyResting    Why = "resting" // the circuit breakers of all provider accounts are open
	WhyBusy       Why = "busy"    // the provider account's rate limit is used up
)

// RefusedError reports that no provider was called, and why.
type RefusedError struct {
	Why   Why
	Block invite.Block  // of WhySuppressed
	After time.Duration // until it is worth another try; 0: not known
}

// Error names the reason, never the address.
func (e *RefusedError) Error() string { return "no test send: " + string(e.Why) }

// checkLimits refuses more test sends of a person than the limits allow.
func (s *Service) checkLimits(ctx context.Context, db postgres.DB, id invite.StaffID) error {
	ages, err := account.ListTestSendAges(ctx, db, id)
	if err != nil {
		return err
	}
	var after time.Duration
	for _, l := range []struct {
		most   int
		window time.Duration
	}{{ShortLimit, ShortWindow}, {DayLimit, DayWindow}} {
		if len(ages) >= l.most { // the one that has to become older than the window
			after = max(after, l.window-ages[l.most-1])
		}
	}
	if after > 0 {
		return &RefusedError{Why: WhyLimit, After: after}
	}
	return nil
}

// checkRecipient refuses an address to which no invite would be sent either.
func (s *Service) checkRecipient(ctx context.Context, place invite.Place, address string) error {
	held, err := queue.ListHeld(ctx, s.p.DB, place.Project)
	if err != nil {
		return err
	}
	for _, l := range held {
		if l.Lane == place.Lane(Channel()) {
			return &RefusedError{Why: WhyPaused}
		}
	}
	standing, err := suppression.ListStanding(ctx, s.p.DB, s.p.BlockKeys(place, Channel(), address))
	if err != nil {
		return err
	}
	if len(standing) > 0 {
		return &RefusedError{Why: WhySuppressed, Block: standing[0].Kind}
	}
	return nil
}

// chooseSender returns the first sender whose account's circuit breaker is closed, and takes
// a send out of its rate limit.
func (s *Service) chooseSender(ctx context.Context, place invite.Place) (provider.Sender, error) {
	senders := s.p.Senders(place, Channel())
	if len(senders) == 0 {
		return nil, &RefusedError{Why: WhyNoProvider}
	}
	accounts, err := queue.ListAccounts(ctx, s.p.DB)
	if err != nil {
		return nil, err
	}
	open := map[string]time.Duration{}
	for _, a := range accounts {
		if a.Open {
			open[a.Name] = max(a.OpenFor, 0)
		}
	}
	refused := &RefusedError{Why: WhyResting}
	for _, sender := range senders {
		if left, isOpen := open[sender.Account()]; isOpen {
			if refused.After == 0 || left < refused.After {
				refused.After = left
			}
			continue
		}
		return sender, s.takeToken(ctx, sender.Account())
	}
	return nil, refused
}

// takeToken takes a send out of an account's rate limit.
func (s *Service) takeToken(ctx context.Context, name string) error {
	rate, burst := s.p.PerSecond(name)
	if rate <= 0 {
		return nil
	}
	for range 2 { // the first call makes the account's row, and sees it from the second on
		got, wait, err := queue.TakeTokens(ctx, s.p.DB, name, 1, rate, max(burst, 1))
		switch {
		case err != nil:
			return fmt.Errorf("take a send of %s: %w", name, err)
		case got > 0:
			return nil
		case wait > 0:
			return &RefusedError{Why: WhyBusy, After: wait}
		}
	}
	return &RefusedError{Why: WhyBusy, After: time.Second}
}

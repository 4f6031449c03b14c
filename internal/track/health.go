package track

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// The budget of checks towards Pipedream, for one client there: well below the
// 100 calls a minute that were once its whole limit, and are 2,000 in 5 minutes now.
const (
	callEvery   = time.Second
	callsAtOnce = 15
)

const (
	// watchEvery is how often each account is checked.
	watchEvery = 24 * time.Hour
	// enrolledAtOnce and claimedAtOnce bound one statement, enrolledPerRun one run.
	enrolledAtOnce = 500
	enrolledPerRun = 5000
	claimedAtOnce  = 5
	// afterFailure is when an account is due again that could not be read, and
	// pauseAfterFailure how long no other is asked for.
	afterFailure      = 15 * time.Minute
	pauseAfterFailure = time.Minute
	// afterRefusal is when an account is due again whose reading Pipedream refuses:
	// an operator has to act first.
	afterRefusal = 6 * time.Hour
	// checkTimeout bounds the calls of one check.
	checkTimeout = 10 * time.Second
	// maxAccountError is how much of Pipedream's words is kept, in characters.
	maxAccountError = 300
)

// What learnt of an account's health, beside the sources of connections.
const (
	fromWatch   = "watch"
	fromRequest = "request"
)

// WatchConnections checks connected accounts that are due, project by project in
// turn, until none is due or the budget is spent, and returns their number. An
// account is checked once a day; the first checks are spread over a day. Several
// processes may do so at the same time.
func (t *Tracker) WatchConnections(ctx context.Context) (int, error) {
	places := append([]invite.Place(nil), t.p.Watched...)
	rand.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	for _, place := range places {
		for total := 0; total < enrolledPerRun; {
			n, err := ledger.Enrol(ctx, t.p.DB, place, enrolledAtOnce, watchEvery)
			if err != nil {
				return 0, err
			}
			if total += n; n < enrolledAtOnce {
				break
			}
		}
	}
	checked := 0
	for len(places) > 0 {
		var more []invite.Place
		for _, place := range places {
			due, err := ledger.ClaimConnections(ctx, t.p.DB, place, claimedAtOnce)
			if err != nil {
				return checked, err
			}
			n, err := t.checkAll(ctx, due)
			checked += n
			if err != nil {
				return checked, err
			}
			if len(due) == claimedAtOnce && n == len(due) {
				more = append(more, place)
			}
		}
		places = more
	}
	return checked, nil
}

// checkAll checks claimed connections one after the other. What the budget does not
// reach is given back.
func (t *Tracker) checkAll(ctx context.Context, due []ledger.Connection) (int, error) {
	for i, c := range due {
		err := t.check(ctx, c, fromWatch)
		var spent *spentError
		switch {
		case err == nil:
			continue
		case errors.As(err, &spent):
			for _, left := range due[i:] {
				if err := ledger.SetConnectionLater(ctx, t.p.DB, left, spent.after); err != nil {
					return i, err
				}
			}
			return i, nil
		case !errors.Is(err, ErrLater):
			return i, err
		}
		t.p.Log.WarnContext(ctx, "check a connected account", "invite_id", c.InviteID.String(), "err", err)
		if err := ledger.SetConnectionLater(ctx, t.p.DB, c, laterAfter(err)); err != nil {
			return i, err
		}
	}
	return len(due), nil
}

// laterAfter is when an account is due again that could not be read.
func laterAfter(err error) time.Duration {
	var e *pipedream.Error
	if errors.As(err, &e) && e.Kind != pipedream.Passing {
		return afterRefusal
	}
	return afterFailure
}

// CheckConnection checks the account of a connected invite now. Errors, as
// *invite.Error: invite_not_connected, rate_limited, unavailable.
func (t *Tracker) CheckConnection(ctx context.Context, place invite.Place, id invite.ID) error {
	if ok, after := t.looks.Allow(id.String()); !ok {
		return tooManyChecks(after)
	}
	c, err := ledger.GetConnection(ctx, t.p.DB, place, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return invite.Errorf(invite.CodeNotConnected, "Invite %s has no connected account to check.", id)
	}
	if err != nil {
		return err
	}
	err = t.check(ctx, c, fromRequest)
	var spent *spentError
	switch {
	case errors.As(err, &spent):
		return tooManyChecks(spent.after)
	case errors.Is(err, ErrLater):
		e := invite.Errorf(invite.CodeUnavailable, "Pipedream could not be asked about the account; its known health is unchanged.")
		e.Err, e.RetryAfterS = err, int(pauseAfterFailure.Seconds())
		return e
	}
	return err
}

func tooManyChecks(after time.Duration) error {
	e := invite.Errorf(invite.CodeRateLimited, "Too many checks of connected accounts; the limit is one for all projects with the same Pipedream credentials.")
	e.RetryAfterS = int(after.Seconds()) + 1
	return e
}

// spentError means that no call may be made now.
type spentError struct{ after time.Duration }

func (e *spentError) Error() string {
	return fmt.Sprintf("the budget of calls to Pipedream is spent for %s", e.after)
}

// check reads one account and records what Pipedream says. Only a clear answer
// changes its health: an outage, a refusal, or an answer that cannot be read gives
// ErrLater.
func (t *Tracker) check(ctx context.Context, c ledger.Connection, source string) error {
	accounts, ok := t.p.Accounts(c.Place, c.Environment)
	if !ok {
		return fmt.Errorf("check account of invite %s: %w: its Pipedream project is not configured", c.InviteID, ErrLater)
	}
	cand, err := ledger.GetCandidate(ctx, t.p.DB, c.InviteID)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil // deleted since, and the connection with it
	}
	if err != nil {
		return err
	}
	user, err := t.openUser(cand)
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	f, words, err := t.examine(limit, accounts, c, cand, user)
	if err != nil {
		return t.pauseAfter(ctx, accounts, c, err)
	}
	return t.found(ctx, c, f, words, source)
}

// takeCall takes a call from the budget.
func (t *Tracker) takeCall(ctx context.Context, accounts Accounts) error {
	ok, after, err := ledger.TakeCall(ctx, t.p.DB, accounts.Credentials(), callEvery, callsAtOnce*callEvery)
	if err == nil && !ok {
		return &spentError{after}
	}
	return err
}

// examine asks Pipedream about an account. words are Pipedream's own.
func (t *Tracker) examine(ctx context.Context, accounts Accounts, c ledger.Connection, cand ledger.Candidate, user string) (f ledger.Finding, words string, err error) {
	if err := t.takeCall(ctx, accounts); err != nil {
		return f, "", err
	}
	a, err := accounts.Account(ctx, c.AccountID)
	if errors.Is(err, pipedream.ErrNotFound) {
		return t.examineMissing(ctx, accounts, c, cand, user)
	}
	switch {
	case err != nil:
		return f, "", err
	case a.ID != c.AccountID || a.ExternalID != "" && a.ExternalID != user:
		return f, "", errors.New("the answer is about another account")
	case !a.HealthKnown:
		return f, "", errors.New("the answer does not tell the account's health")
	}
	f = ledger.Finding{Status: invite.Healthy}
	if !a.Healthy {
		f.Status, f.Reason = invite.Unhealthy, invite.AccountUnhealthy
		if a.Dead {
			f.Reason = invite.AccountDead
		}
		words = a.Error
	}
	return f, words, nil
}

// examineMissing makes sure that an account was deleted. A 404 alone may be about the
// project or the environment; then its list of accounts is refused too.
func (t *Tracker) examineMissing(ctx context.Context, accounts Accounts, c ledger.Connection, cand ledger.Candidate, user string) (f ledger.Finding, words string, err error) {
	filter := pipedream.AccountFilter{ExternalUserID: user, App: cand.AppSlug}
	for range maxPages {
		if err := t.takeCall(ctx, accounts); err != nil {
			return f, "", err
		}
		page, next, err := accounts.Accounts(ctx, filter)
		if err != nil {
			return f, "", err
		}
		for _, a := range page {
			if a.ID == c.AccountID {
				return f, "", errors.New("the account is listed and cannot be read")
			}
		}
		if next == "" {
			return ledger.Finding{Status: invite.Unhealthy, Reason: invite.AccountDeleted}, "", nil
		}
		filter.After = next
	}
	return f, "", errors.New("the user has too many accounts to look for this one")
}

// pauseAfter passes on why an account could not be read. While Pipedream is away, or
// asks for a pause, no process asks it about others either. A refusal is of one
// project, and others with the same client do not wait for it.
func (t *Tracker) pauseAfter(ctx context.Context, accounts Accounts, c ledger.Connection, cause error) error {
	var spent *spentError
	if errors.As(cause, &spent) {
		return cause
	}
	var e *pipedream.Error
	if errors.As(cause, &e) && e.Kind == pipedream.Passing {
		pause := pauseAfterFailure
		if e.Status == http.StatusTooManyRequests && e.RetryAfter > 0 {
			pause = e.RetryAfter
		}
		if err := ledger.PauseCalls(ctx, t.p.DB, accounts.Credentials(), pause); err != nil {
			return err
		}
	}
	return fmt.Errorf("check account of invite %s: %w: %w", c.InviteID, ErrLater, cause)
}

// found records a finding, and on the invite's timeline if it is a change.
func (t *Tracker) found(ctx context.Context, c ledger.Connection, f ledger.Finding, words, source string) error {
	// A day later, but not all at the same second for ever.
	f.Next = watchEvery - time.Duration(rand.Int64N(int64(watchEvery/24)))
	if t.p.Reconnects != nil && t.p.Reconnects(c.Project) {
		f.Reconnect = time.Second
	}
	words = contact.Clean(words, maxAccountError)
	if words != "" {
		sealed, err := t.p.Box.Seal([]byte(words), seal.AD{Column: "connections.error", ID: c.InviteID.UUID()})
		if err != nil {
			return fmt.Errorf("seal the error of an account of invite %s: %w", c.InviteID, err)
		}
		f.Error = sealed
	}
	return t.inTx(ctx, func(tx pgx.Tx) error {
		l, err := ledger.Lock(ctx, tx, c.InviteID)
		if errors.Is(err, ledger.ErrNotFound) || err == nil && l.Erased {
			return nil
		}
		if err != nil {
			return err
		}
		stored, err := ledger.SetFound(ctx, tx, c, f)
		if err != nil || !stored {
			return err
		}
		event, changed := healthEvent(c, f)
		if !changed {
			return nil
		}
		event.Data.Source, event.Detail = source, secret.New(words)
		applied, err := ledger.Append(ctx, tx, t.p.Box, c.InviteID, event)
		if err != nil {
			return err
		}
		return t.p.Publish(ctx, tx, applied)
	})
}

// healthEvent is the change that a finding is, if it is one. That an unhealthy account
// was deleted is one more.
func healthEvent(c ledger.Connection, f ledger.Finding) (invite.Event, bool) {
	e := invite.Event{Actor: invite.Actor{Kind: invite.ActorProvider, ID: pipedreamName}, Data: invite.Data{AccountID: c.AccountID, Outcome: string(f.Reason)}}
	switch {
	case f.Status == invite.Unhealthy && (c.Status != invite.Unhealthy || f.Reason == invite.AccountDeleted && c.Reason != f.Reason):
		e.Type = invite.EventConnectionUnhealthy
		return e, true
	case f.Status == invite.Healthy && c.Status == invite.Unhealthy:
		e.Type = invite.EventConnectionRecovered
		return e, true
	}
	return e, false
}

// markHealthy records that a healthy account was connected by an invite. If it was
// unhealthy, it returns the connection as it was before, else nil.
func (t *Tracker) markHealthy(ctx context.Context, tx pgx.Tx, winner invite.ID, c ledger.Candidate, a pipedream.Account) (*ledger.Connection, error) {
	if !a.Healthy {
		return nil, nil //nolint:nilnil // nothing recovered; the watch enrols the account and tells why
	}
	now := ledger.Connection{Place: c.Place, Environment: c.Environment, AccountID: a.ID, InviteID: winner}
	before, ok, err := ledger.SetConnected(ctx, tx, now, watchEvery)
	if err != nil || !ok || before.Status != invite.Unhealthy {
		return nil, err
	}
	return &before, nil
}

// tellRecovered writes on the timeline of the invite that had an account before that
// another one has connected it again.
func (t *Tracker) tellRecovered(ctx context.Context, tx pgx.Tx, winner invite.ID, before *ledger.Connection) error {
	if before == nil {
		return nil
	}
	event, _ := healthEvent(*before, ledger.Finding{Status: invite.Healthy})
	event.Data.OtherInvite = winner.String()
	applied, err := ledger.Append(ctx, tx, t.p.Box, before.InviteID, event)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.p.Publish(ctx, tx, applied)
}

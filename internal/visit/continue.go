package visit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const (
	// sameLinkFor is how long after a hand-out a press gives the same link: what a
	// double tap or a reload of a slow page needs. Longer would give a link that
	// may be spent, which Pipedream answers with a dead end.
	sameLinkFor = 10 * time.Second
	// pressWithin bounds a press: a mint (5 s) and two short transactions.
	pressWithin = 10 * time.Second
	// robotPresses is how many links robots are given for one invite within a
	// day. Who presses again on the page that asks for it may be a person whose
	// browser looks odd.
	robotPresses = 10
	// retryAfter is the delay of a busy page without a delay from Pipedream.
	retryAfter = 30 * time.Second
)

// Pressed is the result of a press of the button: the URL to continue to,
// or the page that explains why there is none.
type Pressed struct {
	URL  secret.Text
	Page Page
}

// press is what presses of one invite share.
type press struct {
	url   secret.Text
	state State // set where there is no URL
	after time.Duration
}

// Continue hands out a connect link. It is idempotent for a minute. When
// Pipedream gives no link now the page is Busy, which is not an error.
//
// A press that looks like a robot's gets the page once more, which asks for
// another press (Held): a person has it in a moment, while scanners that submit
// what they find are given no link. A link that asks for a passcode gives the page
// Verify, and the passcode goes out.
func (s *Service) Continue(ctx context.Context, code secret.Text, e Evidence) (Pressed, error) {
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok {
		return Pressed{Page: Page{State: Unknown}}, err
	}
	page, err := s.page(row)
	if err != nil || !page.State.open() {
		return Pressed{Page: page}, err
	}
	if !row.Live {
		e.Automated = false // in test mode programs press for their product's tests
	}
	if e.LooksLike() != Person {
		held, err := s.hold(ctx, row, e)
		if page.Held = held; err != nil || held {
			return Pressed{Page: page}, err
		}
	}
	if row.Verify == invite.VerifyCode {
		if e.inApp {
			page.State = Verify // an app has no page to enter digits on
			return Pressed{Page: page}, nil
		}
		page, err = s.challenge(ctx, row, code, e, false)
		return Pressed{Page: page}, err
	}
	return s.pressOnce(ctx, row, code, page, e)
}

// pressOnce presses for all concurrent requests of one invite. The caller has
// checked the passcode, if one is required.
func (s *Service) pressOnce(ctx context.Context, row ledger.Coded, code secret.Text, page Page, e Evidence) (Pressed, error) {
	// The press outlives the caller that began it: others wait for it too.
	v, err, _ := s.flight.Do(row.ID.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pressWithin)
		defer cancel()
		return s.press(ctx, row, code, e)
	})
	if err != nil {
		return Pressed{}, err
	}
	got := v.(press)
	if got.url.IsZero() {
		page.State, page.RetryAfter = got.state, got.after
	}
	if page.State == Busy {
		page.MintFailures++
	}
	return Pressed{URL: got.url, Page: page}, nil
}

// hold decides on a press that looks like a robot's, and records it when it
// is answered with the page.
func (s *Service) hold(ctx context.Context, row ledger.Coded, e Evidence) (bool, error) {
	if e.Again {
		n, err := ledger.CountRobotPresses(ctx, s.p.DB, row.ID)
		if err != nil || n < robotPresses {
			return false, err
		}
	}
	return true, s.fetched(ctx, row, e)
}

func (s *Service) press(ctx context.Context, row ledger.Coded, code secret.Text, e Evidence) (press, error) {
	// The row read before the shared flight may be older than the previous
	// flight.
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok {
		return press{state: Unknown}, err
	}
	if state := stateOf(row); !state.open() {
		return press{state: state}, nil
	}
	held, ok, err := ledger.FindLink(ctx, s.p.DB, row.ID)
	if err != nil {
		return press{}, err
	}
	if ok && canReuse(held, row.Progress) {
		if held.HandedOutAt == nil {
			return s.handOut(ctx, row.ID, code, nil, e)
		}
		return s.give(held)
	}
	minted, refused, err := s.mint(ctx, row, code)
	if err != nil || refused.state != "" {
		return refused, err
	}
	return s.handOut(ctx, row.ID, code, &minted, e)
}

// canReuse reports whether a held link may be given: enough of its time is left, and
// either it is unused or this is a repeated press of the same person. A link
// that a bot got, or that the API handed out, is not given to a person. After a
// failed connection a person gets a new link.
func canReuse(l ledger.HeldLink, p invite.Progress) bool {
	if p == invite.ConnectFailed || l.Spent || !invite.EnoughLeft(l.Granted, l.Left) {
		return false
	}
	return l.HandedOutAt == nil || p == invite.Continued && l.SinceHandOut <= sameLinkFor
}

// mint gets a new link; with no transaction open. A failure is recorded and
// gives a busy press.
func (s *Service) mint(ctx context.Context, row ledger.Coded, code secret.Text) (mint.Minted, press, error) {
	minter, ok := s.p.Minters(row.Place, row.Environment)
	if !ok {
		s.p.Log.ErrorContext(ctx, "no Pipedream project is configured for an invite", "invite_id", row.ID.String(), "project", row.Project)
		return mint.Minted{}, press{state: Busy, after: retryAfter}, nil
	}
	user, err := row.OpenUser(s.p.Box, row.ID)
	if err != nil {
		s.p.Log.ErrorContext(ctx, "an invite cannot be read", "invite_id", row.ID.String(), "err", err)
		return mint.Minted{}, press{state: Busy, after: retryAfter}, nil
	}
	minted, err := minter.Mint(ctx, mint.Request{
		InviteID: row.ID, ExternalUserID: user, App: row.AppSlug, OAuthAppID: row.OAuthAppID, AccountID: row.ReconnectAccount,
		ExpiresIn: time.Duration(row.ExpiresInS) * time.Second, Code: code,
	})
	if err == nil {
		return minted, press{}, nil
	}
	s.p.Log.WarnContext(ctx, "mint for a recipient", "invite_id", row.ID.String(), "err", err)
	outcome, after := "refused", retryAfter
	if errors.Is(err, mint.ErrPassing) {
		outcome, after = "passing", max(mint.RetryAfter(err), time.Second)
		if mint.RetryAfter(err) <= 0 {
			after = retryAfter
		}
	}
	if err := s.capped(ctx, row.ID, invite.Event{Type: invite.EventMintFailed, Actor: recipientActor(), Data: invite.Data{Outcome: outcome, Source: "page"}}); err != nil {
		return mint.Minted{}, press{}, err
	}
	return mint.Minted{}, press{state: Busy, after: after}, nil
}

// handOut gives a link and records that it did, in one transaction: the held
// one, or the minted one where that is not fit (any more).
func (s *Service) handOut(ctx context.Context, id invite.ID, code secret.Text, minted *mint.Minted, e Evidence) (press, error) {
	var out press
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		locked, err := ledger.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		// All of it is read again under the lock: while we minted the invite
		// may have ended, or the code may have become the wrong person's.
		row, ok, err := s.findIn(ctx, tx, code)
		if err != nil || !ok {
			out = press{state: Unknown}
			return err
		}
		if state := stateOf(row); !state.open() {
			out = press{state: state}
			return nil
		}
		held, ok, err := ledger.FindLink(ctx, tx, id)
		if err != nil {
			return err
		}
		if ok && canReuse(held, locked.State.Progress) {
			if out, err = s.give(held); err != nil || held.HandedOutAt != nil {
				return err // another process was first; its press is ours too
			}
			return s.recordHandOut(ctx, tx, row, held.ID, nil, e)
		}
		if minted == nil {
			out = press{state: Busy, after: time.Second} // the link went stale between two looks
			return nil
		}
		expires, err := ledger.InsertLink(ctx, tx, id, minted.Link)
		if err != nil {
			return err
		}
		data := invite.Data{LinkExpires: &expires, HasLink: true}
		if locked.State.ExpiresAt.IsZero() {
			data.ExpiresAt = &expires // the first link gives the invite its end
		}
		out = press{url: minted.URL}
		return s.recordHandOut(ctx, tx, row, minted.Link.ID, &data, e)
	})
	if err != nil {
		return press{}, fmt.Errorf("hand out a link of invite %s: %w", id, err)
	}
	return out, nil
}

// recordHandOut writes the hand-out and its events; minted is nil for a link
// that was there.
func (s *Service) recordHandOut(ctx context.Context, tx pgx.Tx, row ledger.Coded, link invite.LinkID, minted *invite.Data, e Evidence) error {
	if err := ledger.SetHandedOut(ctx, tx, row.ID, link); err != nil {
		return err
	}
	var events []invite.Event
	if minted != nil {
		events = append(events, invite.Event{Type: invite.EventLinkMinted, Actor: invite.Actor{Kind: invite.ActorSystem}, LinkID: link, Data: *minted})
	}
	events = append(events, invite.Event{Type: invite.EventContinued, Actor: e.actor(), LinkID: link, Data: e.data(row.SinceDelivery)})
	return s.record(ctx, tx, row.ID, events...)
}

// give opens a held link.
func (s *Service) give(l ledger.HeldLink) (press, error) {
	plain, err := s.p.Box.Open(l.URL, seal.AD{Column: "connect_links.url", ID: l.ID.UUID()})
	if err != nil {
		return press{}, fmt.Errorf("open link %s: %w", l.ID, err)
	}
	return press{url: secret.New(string(plain))}, nil
}

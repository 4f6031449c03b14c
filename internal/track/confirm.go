package track

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// clockSkew is how far Pipedream's clock may be behind the database's. It is
// granted only where a webhook named the account: a poll sees all accounts of
// a person, and one from just before the hand-out is not an answer to it.
const clockSkew = 2 * time.Minute

// lookTimeout bounds one look that several may wait for.
const lookTimeout = 5 * time.Second

// maxPages bounds a poll of one person's accounts.
const maxPages = 10

// Settle does a confirmation that was put off; a job calls it until it
// returns nil. nil means settled: connected, or certainly not by this account.
// ErrLater asks for another try.
func (t *Tracker) Settle(ctx context.Context, c Check) error {
	if c.AccountID == "" {
		_, err := t.Confirm(ctx, c.InviteID)
		return err
	}
	cand, err := ledger.GetCandidate(ctx, t.p.DB, c.InviteID)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil // erased since
	}
	if err != nil {
		return err
	}
	if cand.AccountID != "" {
		return nil
	}
	accounts, ok := t.p.Accounts(cand.Place, cand.Environment)
	if !ok {
		return fmt.Errorf("confirm account for invite %s: %w: its Pipedream project is not configured", cand.ID, ErrLater)
	}
	account, err := accounts.Account(ctx, c.AccountID)
	if err != nil {
		// An account that is not there yet may appear; the job gives up in the end.
		return fmt.Errorf("confirm account for invite %s: %w: %w", cand.ID, ErrLater, err)
	}
	one := []pipedream.Account{account}
	if err := t.ourTime(ctx, one); err != nil {
		return err
	}
	account = one[0]
	user, err := t.openUser(cand)
	if err != nil {
		return err
	}
	if isAgain(cand, account) && !account.Healthy {
		return fmt.Errorf("confirm account for invite %s: %w: the account to reconnect is not healthy yet", cand.ID, ErrLater)
	}
	if why := refutedReason(cand, user, account); why != "" {
		t.p.Log.WarnContext(ctx, "webhook named an account that is not this invite's", "invite_id", cand.ID.String(), "why", why)
		return nil
	}
	_, err = t.connect(ctx, cand, account, fromWebhook)
	return err
}

// clockNoise is how far apart two clocks look although they agree: an answer's
// time has whole seconds and is as old as the answer's way.
const clockNoise = 5 * time.Second

// ourTime moves the times of accounts, of one answer, from Pipedream's clock to
// the database's, by which we know when links were handed out.
func (t *Tracker) ourTime(ctx context.Context, answer []pipedream.Account) error {
	if len(answer) == 0 || answer[0].ReadAt.IsZero() {
		return nil
	}
	now, err := ledger.Now(ctx, t.p.DB)
	if err != nil {
		return err
	}
	skew := now.Sub(answer[0].ReadAt)
	if skew.Abs() <= clockNoise {
		return nil
	}
	for i := range answer {
		a := &answer[i]
		a.CreatedAt, a.UpdatedAt, a.ReadAt = a.CreatedAt.Add(skew), a.UpdatedAt.Add(skew), now
	}
	return nil
}

// accountsSince is the time from which an account may belong to this invite; nil
// before any link was minted. A link that was not handed out here may have
// been given out by the API, which returns it at once.
func accountsSince(c ledger.Candidate) *time.Time {
	if c.FirstOut != nil {
		return c.FirstOut
	}
	return c.LinkFrom
}

// refutedReason returns why a named account cannot belong to this invite of user.
func refutedReason(c ledger.Candidate, user string, a pipedream.Account) string {
	from := accountsSince(c)
	switch {
	case a.ExternalID != user:
		return "another external user"
	case a.AppSlug != c.AppSlug:
		return "another app"
	case from == nil:
		return "no link was ever minted"
	case (isAgain(c, a) || a.CreatedAt.Before(from.Add(-clockSkew))) && a.UpdatedAt.Before(from.Add(-clockSkew)):
		return "older than the link"
	}
	return ""
}

// Confirm reads Pipedream's accounts for one invite now, and reports whether it
// is connected. Simultaneous calls share one look-up. If the look-up budget is
// spent, or no link was ever minted, it returns the known state. Errors:
// ErrLater, and those of the database.
func (t *Tracker) Confirm(ctx context.Context, id invite.ID) (bool, error) {
	v, err, _ := t.flight.Do(id.String(), func() (any, error) {
		// Others wait for the answer too, so it does not end with one caller.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
		defer cancel()
		return t.confirm(ctx, id)
	})
	if err != nil {
		return false, err
	}
	return v.(bool), nil
}

func (t *Tracker) confirm(ctx context.Context, id invite.ID) (bool, error) {
	c, err := ledger.GetCandidate(ctx, t.p.DB, id)
	if err != nil {
		return false, err
	}
	if c.AccountID != "" {
		return true, nil
	}
	if accountsSince(c) == nil {
		return false, nil
	}
	if ok, _ := t.looks.Allow(id.String()); !ok {
		return false, nil
	}
	if ok, _ := t.p.Budget.Allow(budgetKey(c)); !ok {
		return false, nil
	}
	return t.look(ctx, c, fromPage)
}

func budgetKey(c ledger.Candidate) string {
	return fmt.Sprintf("%s/%t/%s", c.Project, c.Live, c.Environment)
}

// openUser returns the external user of a candidate. Errors: ErrLater, because a
// key that is missing may come back.
func (t *Tracker) openUser(c ledger.Candidate) (string, error) {
	user, err := c.OpenUser(t.p.Box, c.ID)
	if err != nil {
		return "", fmt.Errorf("confirm account for invite %s: %w: %w", c.ID, ErrLater, err)
	}
	return user, nil
}

// look lists the accounts of a candidate's user and app, and connects new ones.
func (t *Tracker) look(ctx context.Context, c ledger.Candidate, source string) (bool, error) {
	accounts, ok := t.p.Accounts(c.Place, c.Environment)
	if !ok {
		return false, fmt.Errorf("look for accounts of invite %s: %w: its Pipedream project is not configured", c.ID, ErrLater)
	}
	user, err := t.openUser(c)
	if err != nil {
		return false, err
	}
	if c.ReconnectAccount != "" {
		if got, err := t.lookAgain(ctx, accounts, c, user, source); err != nil || got {
			return got, err
		}
	}
	filter := pipedream.AccountFilter{ExternalUserID: user, App: c.AppSlug, OAuthAppID: c.OAuthAppID}
	for range maxPages {
		page, next, err := accounts.Accounts(ctx, filter)
		if err != nil {
			return false, fmt.Errorf("look for accounts of invite %s: %w: %w", c.ID, ErrLater, err)
		}
		if err := t.ourTime(ctx, page); err != nil {
			return false, err
		}
		for _, a := range page {
			// The filter is Pipedream's; that it was applied is checked here.
			if a.ExternalID != user || (a.AppSlug != "" && a.AppSlug != c.AppSlug) || a.CreatedAt.Before(*accountsSince(c)) {
				continue
			}
			if got, err := t.connect(ctx, c, a, source); err != nil || got {
				return got, err
			}
		}
		if next == "" {
			return false, nil
		}
		filter.After = next
	}
	return false, nil
}

// connect gives a confirmed account to its invite, and updates the other open
// invites of the same user and app. It reports whether the candidate itself is
// connected.
func (t *Tracker) connect(ctx context.Context, c ledger.Candidate, a pipedream.Account, source string) (bool, error) {
	connected := false
	err := t.inTx(ctx, func(tx pgx.Tx) error {
		rivals, err := ledger.LockRivals(ctx, tx, t.p.Box, c, a.ID)
		if err != nil {
			return err
		}
		award := assignAccount(c, rivals, a, source == fromWebhook)
		connected = award.selfHas
		if award.winner.IsZero() {
			return t.tellLosers(ctx, tx, award.holder, award.losers, a)
		}
		if err := t.record(ctx, tx, award.winner, c, rivals, a, source); err != nil {
			return err
		}
		return t.tellLosers(ctx, tx, award.winner, award.losers, a)
	})
	if err != nil {
		return false, fmt.Errorf("connect invite %s: %w", c.ID, err)
	}
	return connected, nil
}

// record writes the connection of the winner.
func (t *Tracker) record(ctx context.Context, tx pgx.Tx, winner invite.ID, c ledger.Candidate, rivals []ledger.Candidate, a pipedream.Account, source string) error {
	event := invite.Event{
		Type:  invite.EventConnected,
		Actor: invite.Actor{Kind: invite.ActorProvider, ID: pipedreamName},
		Data:  invite.Data{AccountID: a.ID, Source: source},
		At:    madeAt(c, a),
	}
	events := []invite.Event{event}
	for _, r := range rivals {
		if r.ID == winner && r.Status == invite.Revoked {
			late := event
			late.Type = invite.EventConnectedLate
			events = append(events, late)
		}
	}
	other, err := t.ofOther(ctx, tx, winner, a)
	if err != nil {
		return err
	}
	if other {
		// The address itself stays with the sealed name.
		events = append(events, invite.Event{Type: invite.EventConnectedAsOther, Actor: event.Actor, Data: invite.Data{AccountID: a.ID}})
	}
	applied, err := ledger.Append(ctx, tx, t.p.Box, winner, events...)
	if err != nil {
		return err
	}
	if a.Name != "" {
		sealed, err := t.p.Box.Seal([]byte(a.Name), seal.AD{Column: "invites.account_name", ID: winner.UUID()})
		if err != nil {
			return fmt.Errorf("seal account name of invite %s: %w", winner, err)
		}
		if err := ledger.SetAccountName(ctx, tx, winner, sealed); err != nil {
			return err
		}
	}
	if err := ledger.SetPollEnd(ctx, tx, winner); err != nil {
		return err
	}
	// Before the event is stored, because the event tells the account's health.
	recovered, err := t.markHealthy(ctx, tx, winner, c, a)
	if err != nil {
		return err
	}
	if err := t.p.Publish(ctx, tx, applied); err != nil {
		return err
	}
	return t.tellRecovered(ctx, tx, winner, recovered)
}

// ofOther reports whether an account's name is an email address that is
// not the recipient's. It blocks nothing: people have several addresses.
func (t *Tracker) ofOther(ctx context.Context, tx pgx.Tx, id invite.ID, a pipedream.Account) (bool, error) {
	if a.Name == "" {
		return false, nil
	}
	sealed, err := ledger.GetContent(ctx, tx, id)
	if err != nil {
		return false, err
	}
	content, err := find.Open(t.p.Box, id, sealed)
	if errors.Is(err, find.ErrUnreadable) {
		return false, nil // nothing to compare with; the account is connected nevertheless
	}
	if err != nil {
		return false, err
	}
	return contact.OtherMailbox(content.Recipient.Email, a.Name), nil
}

// madeAt is the creation time of the account, by Pipedream's clock if that
// is credible: the same fact then has the same time from every source.
func madeAt(c ledger.Candidate, a pipedream.Account) time.Time {
	made := a.CreatedAt
	if isAgain(c, a) {
		made = a.UpdatedAt
	} else if from := accountsSince(c); from != nil && made.Before(from.Add(-clockSkew)) {
		made = a.UpdatedAt // an account that was connected again
	}
	if made.IsZero() || made.After(c.Now) {
		return c.Now
	}
	return made
}

// tellLosers writes, once, on other open invites that the account went to holder.
func (t *Tracker) tellLosers(ctx context.Context, tx pgx.Tx, holder invite.ID, losers []invite.ID, a pipedream.Account) error {
	if holder.IsZero() {
		return nil
	}
	for _, id := range losers {
		key := sha256.Sum256([]byte(id.String() + " " + a.ID))
		fresh, err := ledger.Guard(ctx, tx, "already_connected", key[:])
		if err != nil {
			return err
		}
		if !fresh {
			continue
		}
		applied, err := ledger.Append(ctx, tx, t.p.Box, id, invite.Event{
			Type:  invite.EventAlreadyConnected,
			Actor: invite.Actor{Kind: invite.ActorSystem},
			Data:  invite.Data{AccountID: a.ID, OtherInvite: holder.String()},
		})
		if err != nil {
			return err
		}
		if err := t.p.Publish(ctx, tx, applied); err != nil {
			return err
		}
	}
	return nil
}

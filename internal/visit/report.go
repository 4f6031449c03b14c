package visit

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Report is a report that an invite reached the wrong person.
type Report struct {
	Why      string // one of Whys
	Words    string // their own, optional
	Suppress bool   // they want no more messages at this address
}

// Whys are the reasons to choose from.
func Whys() []string { return []string{"wrong_person", "not_expected", "scam"} }

// maxWords bounds what a report may say, in characters.
const maxWords = 500

// Reporting returns the page for a report: NotMe if the link can be
// cancelled, else the link's own page.
func (s *Service) Reporting(ctx context.Context, code secret.Text) (Page, error) {
	page, err := s.Open(ctx, code)
	if err == nil && page.CanReport {
		page.State = NotMe
	}
	return page, err
}

// Report ends an invite because it reached the wrong person: the event is
// "reported" rather than "revoked", so that the product is notified
// ("invite.reported") and does not take it for a revocation of its own. An
// unknown reason gives the page NotMe again; an invalid link, its own page.
//
// A second report changes nothing. The reporter stays anonymous.
func (s *Service) Report(ctx context.Context, code secret.Text, r Report, e Evidence) (Page, error) {
	page, err := s.Reporting(ctx, code)
	if err != nil || page.State != NotMe || !slices.Contains(Whys(), r.Why) {
		return page, err
	}
	page.State, page.CanUndo = Thanks, true
	if e.declared() {
		return page, nil // a robot that fills in forms knows nothing of anybody
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := ledger.Lock(ctx, tx, page.InviteID); err != nil {
			return err
		}
		row, ok, err := s.findIn(ctx, tx, code)
		if err != nil || !ok || !isReportable(stateOf(row)) {
			return err
		}
		suppressed, err := s.suppress(ctx, tx, row, r)
		if err != nil {
			return err
		}
		return s.record(ctx, tx, row.ID, invite.Event{
			Type: invite.EventReported, Actor: recipientActor(),
			Data:   invite.Data{Outcome: r.Why, Source: "page", Suppressed: suppressed},
			Detail: secret.New(contact.Clean(r.Words, maxWords)),
		})
	})
	if err != nil {
		return Page{}, fmt.Errorf("report invite %s: %w", page.InviteID, err)
	}
	return page, nil
}

// suppress blocks the address that the opened link went to, if the person asks for it; if not,
// the report does so where it is published. It reports whether the address was not blocked before.
func (s *Service) suppress(ctx context.Context, tx pgx.Tx, row ledger.Coded, r Report) (bool, error) {
	to, ok, err := s.addressOf(row)
	if err != nil || !ok {
		return false, err
	}
	if !r.Suppress {
		standing, err := s.p.Suppressions.Suppressed(ctx, tx, to)
		if err != nil {
			return false, fmt.Errorf("look for the suppression of an address: %w", err)
		}
		return !standing, nil
	}
	fresh, err := s.p.Suppressions.Suppress(ctx, tx, to)
	if err != nil {
		return false, fmt.Errorf("suppress an address: %w", err)
	}
	return fresh, nil
}

// addressOf is the address that the opened link went to; ok is false where no message
// carried it.
func (s *Service) addressOf(row ledger.Coded) (to Address, ok bool, err error) {
	if row.Via == nil {
		return Address{}, false, nil
	}
	return s.addressBy(row, invite.Channel(*row.Via))
}

// addressBy is the address of an invite's recipient that a channel sends to.
func (s *Service) addressBy(row ledger.Coded, channel invite.Channel) (to Address, ok bool, err error) {
	content, err := find.Open(s.p.Box, row.ID, row.Content)
	if err != nil {
		return Address{}, false, err
	}
	address := content.Recipient.Address(channel)
	return Address{
		InviteID: row.ID, Place: row.Place, Channel: channel, Provider: row.Provider, To: secret.New(address),
	}, address != "", nil
}

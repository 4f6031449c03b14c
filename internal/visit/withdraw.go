package visit

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// withdrawalsPerInvite bounds reports and withdrawals in turn, each of which tells
// the product.
const withdrawalsPerInvite = 3

// Withdraw takes a report back that was sent by mistake: the link works again, the
// address is written to again if the report suppressed it, and the product is told
// ("invite.report_withdrawn"). It does nothing where anything else ended the invite
// since, later than ledger.ReportOpenFor, and a second time. The page is the link's own.
//
// A bot changes nothing: who declares to be one has the page Thanks again, who looks
// like one has it with Held, and may press once more.
func (s *Service) Withdraw(ctx context.Context, code secret.Text, e Evidence) (Page, error) {
	page, err := s.Open(ctx, code)
	if err != nil || page.State != Revoked {
		return page, err
	}
	if !page.Live {
		e.Automated = false // in test mode programs press for their product's tests
	}
	if e.declared() || e.LooksLike() != Person && !e.Again {
		page.State, page.CanUndo, page.Held = Thanks, true, !e.declared()
		return page, nil
	}
	withdrawn := false
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := ledger.Lock(ctx, tx, page.InviteID); err != nil {
			return err
		}
		row, ok, err := s.findIn(ctx, tx, code)
		if err != nil || !ok || stateOf(row) != Revoked || row.CodeRetired {
			return err
		}
		report, ok, err := ledger.FindOpenReport(ctx, tx, row.ID)
		if err != nil || !ok || report.Withdrawals >= withdrawalsPerInvite {
			return err
		}
		withdrawn = true
		return s.withdraw(ctx, tx, row, code, report)
	})
	if err != nil {
		return Page{}, fmt.Errorf("withdraw the report of invite %s: %w", page.InviteID, err)
	}
	if !withdrawn {
		page.CanUndo = false
		return page, nil
	}
	return s.Open(ctx, code)
}

// withdraw undoes what a report did.
func (s *Service) withdraw(ctx context.Context, tx pgx.Tx, row ledger.Coded, code secret.Text, report ledger.OpenReport) error {
	// A report blocks the address of the opened link if the person asks for it, and that of the
	// latest message in any case; the two can be of different channels.
	var of []Address
	for _, channel := range invite.Channels() {
		to, ok, err := s.addressBy(row, channel)
		if err != nil {
			return err
		}
		if ok {
			of = append(of, to)
		}
	}
	if err := s.p.Suppressions.Unsuppress(ctx, tx, row.ID, of, report.At); err != nil {
		return err
	}
	// The report wiped the code; the person sent it.
	sealed, err := s.p.Box.Seal([]byte(code.Reveal()), seal.AD{Column: "codes.code", ID: row.CodeID})
	if err != nil {
		return fmt.Errorf("seal a code: %w", err)
	}
	if err := ledger.SetCode(ctx, tx, row.ID, row.CodeID, sealed); err != nil {
		return err
	}
	if err := ledger.SetReopened(ctx, tx, row.ID); err != nil {
		return err
	}
	events := []invite.Event{{Type: invite.EventReportWithdrawn, Actor: recipientActor(), Data: invite.Data{Source: "page", Suppressed: report.Suppressed}}}
	if !row.GivesUpAt.After(row.Now) {
		events = append(events, invite.Event{Type: invite.EventExpired, Actor: invite.Actor{Kind: invite.ActorSystem}})
	}
	return s.record(ctx, tx, row.ID, events...)
}

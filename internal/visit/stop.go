package visit

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
)

// Stopping returns the page for ending messages: Stop if the code came in a
// text or a mail, in every state of the invite, else the link's own page. It
// changes nothing.
func (s *Service) Stopping(ctx context.Context, code secret.Text) (Page, error) {
	page, err := s.Open(ctx, code)
	// A retired code has no content: its address is not known any more.
	if err == nil && page.Content.Recipient.Address(page.Via) != "" {
		page.State = Stop
	}
	return page, err
}

// Stop ends all text messages of the sender to the number that the code was
// texted to, as the reply STOP does at senders that can be replied to, or all
// mails of the project to the address that it was mailed to; with resume it
// takes the first back. Doing either twice is the same as once. The invite
// itself goes on. A robot is thanked and nothing happens, unless it says that
// its reader pressed (RFC 8058), which mail providers' programs do.
func (s *Service) Stop(ctx context.Context, code secret.Text, resume bool, e Evidence) (Page, error) {
	page, err := s.Stopping(ctx, code)
	if err != nil || page.State != Stop {
		return page, err
	}
	if !resume {
		page.State = Stopped
	}
	if e.declared() && !e.OneClick {
		return page, nil
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		row, ok, err := s.findIn(ctx, tx, code)
		if err != nil || !ok {
			return err
		}
		content, err := find.Open(s.p.Box, row.ID, row.Content)
		if err != nil {
			return err
		}
		to := Address{
			InviteID: row.ID, Place: row.Place,
			Channel: page.Via, Provider: row.Provider, To: secret.New(content.Recipient.Address(page.Via)), OptOut: page.Via.Spec().OptOutByReply,
		}
		do, happened := s.p.Suppressions.Suppress, invite.EventOptedOut
		if resume {
			do, happened = s.p.Suppressions.Resume, invite.EventOptedIn
		}
		if changed, err := do(ctx, tx, to); err != nil || !changed {
			return err
		}
		return s.record(ctx, tx, row.ID, invite.Event{
			Type: happened, Actor: recipientActor(), Data: invite.Data{Channel: page.Via, Source: "page"},
		})
	})
	if err != nil {
		return Page{}, fmt.Errorf("end messages of invite %s: %w", page.InviteID, err)
	}
	return page, nil
}

package visit

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
)

// Stopping says what the page for ending text messages shows: Stop where the
// code came in one, whatever has become of the invite since, else the link's
// own page. It changes nothing.
func (s *Service) Stopping(ctx context.Context, code secret.Text) (Page, error) {
	page, err := s.Open(ctx, code)
	// A retired code has no content: its number is not known any more.
	if err == nil && page.Via == invite.SMS && page.Content.Recipient.Phone != "" {
		page.State = Stop
	}
	return page, err
}

// StopTexts ends all text messages of the sender to the number that the code
// was texted to, as the reply STOP does at senders that can be replied to; with
// resume it takes that back. Doing either twice is the same as once. The invite
// itself goes on. A robot is thanked and nothing happens.
func (s *Service) StopTexts(ctx context.Context, code secret.Text, resume bool, e Evidence) (Page, error) {
	page, err := s.Stopping(ctx, code)
	if err != nil || page.State != Stop {
		return page, err
	}
	if !resume {
		page.State = Stopped
	}
	if e.declared() {
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
			InviteID: row.ID, ProjectID: row.ProjectID, Livemode: row.Livemode,
			Channel: invite.SMS, To: secret.New(content.Recipient.Phone), OptOut: true,
		}
		if resume {
			return s.p.Resume(ctx, tx, to)
		}
		return s.p.Suppress(ctx, tx, to)
	})
	if err != nil {
		return Page{}, fmt.Errorf("end text messages of invite %s: %w", page.InviteID, err)
	}
	return page, nil
}

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

// Outcome is what Pipedream's redirect says; a hint, never proof.
type Outcome string

// The hints. Anything else is taken for Succeeded: it is looked up anyway.
const (
	Succeeded Outcome = "success"
	Errored   Outcome = "error"
)

// Done returns the page for a person who comes back from Pipedream:
// Connected once the account was confirmed, Finishing until then,
// CouldNotConnect if Pipedream redirected with an error; else the page of
// the invite link.
func (s *Service) Done(ctx context.Context, code secret.Text, hint Outcome) (Page, error) {
	page, row, err := s.done(ctx, code)
	// A person who is under way is not stopped by a new link, nor by the end.
	overtaken := page.State == Expired || page.State == Replaced && row.OutdatedAt != nil
	if err != nil || !page.State.open() && !overtaken {
		return page, err
	}
	if row.Progress == invite.Continued {
		// Back from Pipedream: the link is used up, with any outcome.
		if err := ledger.SetSpent(ctx, s.p.DB, row.ID, invite.LinkID{}); err != nil {
			return Page{}, err
		}
	}
	if hint == Errored {
		if page.State.open() {
			page.State = CouldNotConnect
			return page, s.cameBackWithError(ctx, row)
		}
		return page, nil
	}
	// A person who took long at Pipedream may come back after the invite
	// ended.
	if s.confirmed(ctx, row.ID) {
		page, _, err = s.done(ctx, code)
		return page, err
	}
	if overtaken && row.Progress != invite.Continued {
		return page, nil
	}
	page.State = Finishing
	return page, nil
}

func (s *Service) done(ctx context.Context, code secret.Text) (Page, ledger.Coded, error) {
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok {
		return Page{State: Unknown}, row, err
	}
	page, err := s.page(row)
	if err != nil || page.State != Connected {
		return page, row, err
	}
	if row.AccountName != nil && row.ConnectedAt != nil && row.Now.Sub(*row.ConnectedAt) < nameShown {
		name, err := s.p.Box.Open(row.AccountName, seal.AD{Column: "invites.account_name", ID: row.ID.UUID()})
		if err != nil {
			return Page{}, row, fmt.Errorf("open account name of invite %s: %w", row.ID, err)
		}
		page.AccountName = string(name)
	}
	return page, row, nil
}

// confirmed asks Pipedream, for as long as a page may wait.
func (s *Service) confirmed(ctx context.Context, id invite.ID) bool {
	ctx, cancel := context.WithTimeout(ctx, s.p.ConfirmWithin)
	defer cancel()
	ok, err := s.p.Confirmer.Confirm(ctx, id)
	if err != nil {
		s.p.Log.InfoContext(ctx, "confirm for a page", "invite_id", id.String(), "err", err)
	}
	return ok
}

// cameBackWithError records a failure that only the redirect reported:
// without it, "Try again" would be taken for a double tap and get the used
// link. Pipedream's webhook with the reason may come before or after.
func (s *Service) cameBackWithError(ctx context.Context, row ledger.Coded) error {
	if row.Progress == invite.ConnectFailed {
		return nil
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		locked, err := ledger.Lock(ctx, tx, row.ID)
		if err != nil || locked.State.Progress == invite.ConnectFailed {
			return err
		}
		return s.record(ctx, tx, row.ID, invite.Event{
			Type: invite.EventConnectFailed, Actor: recipientActor(), Data: invite.Data{Source: "page", Outcome: "error"},
		})
	})
	if err != nil {
		return fmt.Errorf("record failed connection of invite %s: %w", row.ID, err)
	}
	return nil
}

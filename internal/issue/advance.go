package issue

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Check validates the form of a create request, without any effect. Errors
// are as Create's.
func (s *Service) Check(p access.Principal, req CreateRequest) error {
	project, err := s.project(p)
	if err != nil {
		return err
	}
	_, err = validate(req, p, project, s.p.PublicURL, s.p.Now())
	return err
}

// Advance ends an invite of test mode now, as its time would: so that a
// product's tests need not wait for it. Errors, as *invite.Error:
// invite_not_found, test_key_required, faults.
func (s *Service) Advance(ctx context.Context, p access.Principal, id invite.ID, to string) error {
	if p.Live {
		return invite.Errorf(invite.CodeTestKeyRequired, "Only invites of test mode can be moved in time.")
	}
	if to != string(invite.Expired) {
		var f faults
		oneOf(&f, "/to", to, true, string(invite.Expired))
		return f.err()
	}
	if _, err := find.Get(ctx, s.p.DB, p.Place, id); err != nil {
		return notFound(err, id)
	}
	err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		applied, err := ledger.Append(ctx, tx, s.p.Box, id, invite.Event{
			Type: invite.EventExpired, Actor: invite.Actor{Kind: invite.ActorKey, ID: p.ID},
		})
		if err != nil {
			return err
		}
		if err := ledger.SetOverdue(ctx, tx, id); err != nil {
			return err
		}
		return s.p.Publish(ctx, tx, applied)
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return notFound(find.ErrNotFound, id)
	}
	return err
}

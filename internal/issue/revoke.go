package issue

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Revoke ends an invite for good; revoking twice is the same as once. A
// connect link that was handed out already cannot be cancelled: the answer's
// connect_link_open_until says until when it works. Errors, as *invite.Error:
// invite_not_found, invite_not_revocable, faults.
func (s *Service) Revoke(ctx context.Context, p access.Principal, id invite.ID, req RevokeRequest, meta Meta) (resource.Invite, error) {
	var f faults
	reason := shown(&f, "/reason", req.Reason, maxReason)
	if err := f.err(); err != nil {
		return resource.Invite{}, err
	}
	if _, err := find.Get(ctx, s.p.DB, p.Place, id); err != nil {
		return resource.Invite{}, notFound(err, id)
	}
	err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		l, err := ledger.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := asSeen(ctx, tx, id, meta); err != nil {
			return err
		}
		switch l.State.Status {
		case invite.Revoked:
			// Its recipient's report can be taken back for some minutes: a revocation
			// on top of it makes the end final.
			_, reported, err := ledger.FindOpenReport(ctx, tx, id)
			if err != nil || !reported {
				return err
			}
		case invite.Connected:
			return invite.Errorf(invite.CodeNotRevocable, "Invite %s is connected; remove the account at Pipedream instead.", id)
		}
		applied, err := ledger.Append(ctx, tx, s.p.Box, id, invite.Event{
			Type: invite.EventRevoked, Actor: actor(p),
			Detail: secret.New(contact.Clean(reason, maxReason)), Data: invite.Data{Bulk: meta.part.bulk()},
		})
		if err != nil {
			return err
		}
		if err := meta.record(ctx, tx, p, access.ActRevoke, id, nil); err != nil {
			return err
		}
		return s.p.Publish(ctx, tx, applied)
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return resource.Invite{}, notFound(find.ErrNotFound, id)
	}
	if err != nil {
		return resource.Invite{}, err
	}
	return s.present(ctx, p, id)
}

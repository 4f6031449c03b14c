package issue

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// cancelAtOnce is how many invites one transaction of CancelUnsent revokes.
const cancelAtOnce = 100

// keyEnded stands on the timeline of what CancelUnsent revoked.
const keyEnded = "The API key that made this invite was revoked."

// CountUnsent counts what CancelUnsent would revoke.
func (s *Service) CountUnsent(ctx context.Context, p access.Principal, key invite.KeyID) (int, error) {
	return find.CountUnsent(ctx, s.p.DB, p.Place, key)
}

// CancelUnsent revokes the invites that a key of the principal's project and
// mode made and of which no message has left: scheduled, waiting for a link, or
// queued. A message that is on its way is left to arrive. It returns how many
// were revoked, also beside an error: earlier groups stay revoked.
func (s *Service) CancelUnsent(ctx context.Context, p access.Principal, key invite.KeyID) (int, error) {
	var done int
	var after invite.ID
	for {
		ids, err := find.ListUnsent(ctx, s.p.DB, p.Place, key, after, cancelAtOnce)
		if err != nil || len(ids) == 0 {
			return done, err
		}
		var revoked int
		err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
			applied, err := s.cancel(ctx, tx, p, ids, isUnsent, keyEnded)
			revoked = len(applied)
			return err
		})
		if err != nil {
			return done, err
		}
		done += revoked
		after = ids[len(ids)-1]
	}
}

// cancel revokes the invites among ids that may be, as they are once locked.
func (s *Service) cancel(ctx context.Context, tx pgx.Tx, p access.Principal, ids []invite.ID, may func(invite.State) bool, reason string) ([]ledger.Applied, error) {
	locked, err := ledger.LockAll(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var batches []ledger.Batch
	for _, l := range locked {
		if !may(l.State) {
			continue // a message left meanwhile, or the invite ended
		}
		e := invite.Event{Type: invite.EventRevoked, Actor: actor(p), Detail: secret.New(reason)}
		batches = append(batches, ledger.Batch{ID: l.ID, Events: []invite.Event{e}})
	}
	applied, err := ledger.AppendAll(ctx, tx, s.p.Box, batches)
	if err != nil {
		return nil, err
	}
	var acts []account.Entry
	for _, a := range applied {
		acts = append(acts, account.Entry{By: p, Act: access.ActRevoke, Target: a.ID.String(), Invite: a.ID})
	}
	if err := account.InsertActs(ctx, tx, acts...); err != nil {
		return nil, err
	}
	return applied, s.p.Publish(ctx, tx, applied...)
}

// isUnsent is the condition of find.ListUnsent, for an invite that is locked.
func isUnsent(st invite.State) bool {
	open := st.Status == invite.Scheduled || st.Status == invite.Pending || st.Status == invite.Active
	return open && !slices.ContainsFunc(st.Deliveries, func(d invite.DeliveryState) bool { return d.Status != invite.Queued })
}

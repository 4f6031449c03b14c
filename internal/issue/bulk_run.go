package issue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/bulk"
	"github.com/connectlink/connectlink/internal/store/find"
)

// RunBulk works on the confirmed acts until nothing of them is due, and returns how many items it
// ended. Several processes share the acts: each leases one for a part of its items at a time.
func (s *Service) RunBulk(ctx context.Context) (int, error) {
	total := 0
	for {
		act, ok, err := bulk.Claim(ctx, s.p.DB, bulkLease)
		if err != nil || !ok {
			return total, err
		}
		n, err := s.runPart(ctx, act)
		total += n
		if err != nil {
			return total, fmt.Errorf("run bulk act %s: %w", act.ID, err)
		}
	}
}

// DeleteOldBulk deletes dry runs that were not confirmed, and old reports.
func (s *Service) DeleteOldBulk(ctx context.Context) error { return bulk.DeleteOld(ctx, s.p.DB) }

// runPart does the next items of a leased act. It returns how many are over now.
func (s *Service) runPart(ctx context.Context, act bulk.Act) (over int, err error) {
	switch may, err := bulk.IsAtWork(ctx, s.p.DB, act); {
	case err != nil:
		return 0, err
	case !may:
		return 0, s.stopByService(ctx, act)
	}
	// A process that stops gives the act back at once; the lease of one that died runs out.
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, bulk.Release(release, s.p.DB, act))
	}()
	items, err := bulk.ListDue(ctx, s.p.DB, act, bulkPartSize)
	if err != nil {
		return 0, err
	}
	ended := make([]bool, len(items))
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(bulkAtOnce)
	for i, item := range items {
		g.Go(func() (err error) {
			if err = each.Err(); err == nil {
				ended[i], err = s.runItem(each, act, item)
			}
			return err
		})
	}
	err = g.Wait()
	for _, is := range ended {
		if is {
			over++
		}
	}
	return over, err
}

// stopByService stops an act whose person may act no longer.
func (s *Service) stopByService(ctx context.Context, act bulk.Act) error {
	return postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		now, err := bulk.Lock(ctx, tx, act.Place, act.ID)
		if err != nil || now.State != bulk.Running {
			return err
		}
		return bulk.SetStopped(ctx, tx, now, invite.StaffID{})
	})
}

// runItem does to one invite what the act does to each. It reports whether the item is
// over; an error is of the process or its database, and leaves the item waiting.
func (s *Service) runItem(ctx context.Context, act bulk.Act, item bulk.Item) (bool, error) {
	part := &bulkPart{act: act, item: item}
	err := s.change(ctx, part)
	switch {
	case errors.Is(err, errItemOver):
		return false, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err == nil && part.done:
		return true, nil
	case err == nil: // it was revoked already
		return bulk.SetItemOver(ctx, s.p.DB, act, item.Number, bulk.LeftOut, ReasonRevoked)
	}
	reason := bulkReason(err, s.statusOf(ctx, act, item.InviteID))
	after, again := retryIn(err)
	if again && act.ConfirmedAt != nil && act.Now.Add(after).Before(act.ConfirmedAt.Add(bulkRetryFor)) {
		_, err := bulk.SetItemLater(ctx, s.p.DB, act, item.Number, reason, after)
		return false, err
	}
	if reason == ReasonInternal {
		s.p.Log.ErrorContext(ctx, "an invite of a bulk act cannot be changed", "bulk", act.ID.String(), "invite", item.InviteID.String(), "error", err)
	}
	state := bulk.Failed
	switch reason {
	case ReasonConnected, ReasonRevoked, ReasonGone, ReasonReplaced, ReasonExpired, ReasonLater:
		state = bulk.LeftOut
	}
	return bulk.SetItemOver(ctx, s.p.DB, act, item.Number, state, reason)
}

// statusOf is the status of an invite, for the words of a refusal; empty if it cannot be read.
func (s *Service) statusOf(ctx context.Context, act bulk.Act, id invite.ID) invite.Status {
	inv, err := find.Get(ctx, s.p.DB, act.Place, id)
	if err != nil {
		return ""
	}
	return inv.Status
}

// change makes the request of a part, by the functions that make the single ones.
func (s *Service) change(ctx context.Context, part *bulkPart) error {
	by := access.Staff(part.act.StaffID.String(), access.RoleAgent, part.act.Place)
	meta := Meta{part: part}
	switch part.act.Kind {
	case bulk.Revoke:
		_, err := s.Revoke(ctx, by, part.item.InviteID, RevokeRequest{}, meta)
		return err
	case bulk.Extend:
		_, err := s.Extend(ctx, by, part.item.InviteID, ExtendRequest{ValidFor: &part.act.ValidForS}, meta)
		return err
	case bulk.Resend, bulk.Switch, bulk.Correct:
	default: // of a newer release; its processes do it
		return fmt.Errorf("change invite %s: unknown bulk act %q", part.item.InviteID, part.act.Kind)
	}
	address := ""
	if part.act.Kind == bulk.Correct {
		if part.item.Address == nil { // the person was erased
			return invite.Errorf(invite.CodeInviteNotFound, "The person's data was erased.")
		}
		plain, err := s.p.Box.Open(part.item.Address, itemPlace(part.item.ID))
		if err != nil {
			return fmt.Errorf("open a corrected address: %w", err)
		}
		address = string(plain)
	}
	_, err := s.Resend(ctx, by, part.item.InviteID, bulkResend(part.act, address), meta)
	return err
}

package issue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// notExtended is the private cause of a refusal to extend: the reason for the report
// of an act on many invites.
type notExtended string

// Error returns the reason.
func (n notExtended) Error() string { return string(n) }

// Extend moves the end of an invite to valid_for from now. Nothing is sent, and links in
// earlier messages keep working; the page gets a new connect link whenever one is needed. The
// end never moves to an earlier time: that is a fault. An invite that has ended cannot be extended,
// because its links and codes are wiped by then. Errors, as *invite.Error:
// invite_not_found, invite_not_extendable, faults, idempotency_key_reused.
func (s *Service) Extend(ctx context.Context, p access.Principal, id invite.ID, req ExtendRequest, meta Meta) (Answer, error) {
	lasts, err := lastsFor(req)
	if err != nil {
		return Answer{}, err
	}
	return s.once(ctx, p, meta, req, nil, func(ctx context.Context, idem *ledger.Idempotency) (Answer, error) {
		inv, err := find.Get(ctx, s.p.DB, p.Place, id)
		if err != nil {
			return Answer{}, notFound(err, id)
		}
		err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error { return s.storeExtension(ctx, tx, p, inv, lasts, idem, meta) })
		if errors.Is(err, errTwin) {
			return s.replay(ctx, p, *idem, meta)
		}
		if errors.Is(err, ledger.ErrNotFound) {
			return Answer{}, notFound(find.ErrNotFound, id)
		}
		if err != nil {
			return Answer{}, err
		}
		out, err := s.present(ctx, p, id)
		return Answer{Invite: out, Outcome: ledger.Existing}, err
	})
}

// lastsFor returns how long from now the request lets an invite work.
func lastsFor(req ExtendRequest) (time.Duration, error) {
	var f faults
	if req.ValidFor == nil {
		f.add("/valid_for", invite.FaultRequired, "say for how many seconds from now the invite link works, %d to %d",
			int(invite.MinValidFor.Seconds()), int(invite.MaxValidFor.Seconds()))
		return 0, f.err()
	}
	lasts := validFor(&f, *req.ValidFor)
	return lasts, f.err()
}

func (s *Service) storeExtension(ctx context.Context, tx pgx.Tx, p access.Principal, inv find.Invite, lasts time.Duration, idem *ledger.Idempotency, meta Meta) error {
	if idem != nil {
		key, err := asker(p)
		if err != nil {
			return fmt.Errorf("extend: principal: %w", err)
		}
		idem.Outcome = ledger.Existing
		first, err := ledger.InsertAnswered(ctx, tx, key, inv.ID, *idem)
		if err != nil {
			return err
		}
		if !first {
			return errTwin
		}
	}
	l, err := ledger.Lock(ctx, tx, inv.ID)
	if err != nil {
		return err
	}
	if err := asSeen(ctx, tx, inv.ID, meta); err != nil {
		return err
	}
	ends := l.Now.Add(lasts)
	if err := extendable(inv, l.State, l.Erased, l.Now, ends); err != nil {
		return err
	}
	applied, err := ledger.Append(ctx, tx, s.p.Box, inv.ID, invite.Event{
		Type: invite.EventExtended, Actor: actor(p),
		Data: invite.Data{ExpiresAt: &ends, RequestID: meta.RequestID, Bulk: meta.part.bulk()},
	})
	if err != nil {
		return err
	}
	if err := meta.record(ctx, tx, p, access.ActExtend, inv.ID, map[string]string{"expires_at": ends.UTC().Format(time.RFC3339)}); err != nil {
		return err
	}
	return s.p.Publish(ctx, tx, applied)
}

// extendable reports why the end of an invite cannot be moved to ends. The link type is
// that of inv; state, erased and now are as they were when the invite was locked, or read.
func extendable(inv find.Invite, st invite.State, erased bool, now, ends time.Time) error {
	refuse := func(reason, format string, args ...any) error {
		e := invite.Errorf(invite.CodeNotExtendable, "Invite %s "+format, append([]any{inv.ID}, args...)...)
		e.Err = notExtended(reason)
		return e
	}
	switch {
	case erased:
		return refuse(ReasonGone, "cannot be extended: its personal data was erased (erased_at).")
	case st.ReplacedBy != "":
		return refuse(ReasonReplaced, "was replaced by %s (replaced_by), so it cannot be extended. Extend that one.", st.ReplacedBy)
	case st.Status == invite.Connected:
		return refuse(ReasonConnected, "is connected (status), so there is nothing to extend.")
	case st.Status == invite.Revoked:
		return refuse(ReasonRevoked, "is revoked (status), so it cannot be extended. Create a new invite.")
	case st.Status == invite.Scheduled:
		return refuse(ReasonScheduled, "is scheduled (status): its time starts when its message is sent. Extend it then.")
	case inv.LinkType == invite.ConnectLink:
		return refuse(ReasonConnectLink, "carries Pipedream's own link (link_type connect), whose end cannot be moved. Resend the invite to get a new link.")
	case !st.Status.Extendable() || !st.GivesUpAt.After(now):
		return refuse(ReasonExpired, "has expired (expires_at), and its link was deleted. Resend it: that sends a new message.")
	case !ends.After(st.GivesUpAt):
		var f faults
		f.add("/valid_for", invite.FaultOutOfRange, "the invite works until %s already, and an extension makes it no shorter; must be more than %d seconds",
			st.GivesUpAt.UTC().Format(time.RFC3339), int(st.GivesUpAt.Sub(now).Seconds()))
		e := &invite.Error{Code: invite.CodeInvalidRequest, Message: "The invite works longer than this already; nothing was changed.", Faults: f, Err: notExtended(ReasonLater)}
		return e
	}
	return nil
}

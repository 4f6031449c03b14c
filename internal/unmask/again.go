package unmask

import (
	"context"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/find"
)

// ShownFor is how long the session that unmasked a value can see it again, so
// that a page can be reloaded.
const ShownFor = time.Minute

// RecipientAgain is Recipient for the session that unmasked this invite within
// ShownFor: the earlier entry in the audit log permits it, so there is no
// second one. ok is false if there is none; left is the remaining time. Errors
// are as Recipient's.
func (s *Service) RecipientAgain(ctx context.Context, by access.Principal, id invite.ID) (r invite.Recipient, left time.Duration, ok bool, err error) {
	if left, ok, err = s.shown(ctx, by, id.String()); err != nil || !ok {
		return r, 0, false, err
	}
	inv, err := s.get(ctx, by, id)
	if err != nil {
		return r, 0, false, err
	}
	content, err := find.Open(s.p.Box, id, inv.Content)
	return content.Recipient, left, err == nil, err
}

// BlockedAgain is to Blocked what RecipientAgain is to Recipient.
func (s *Service) BlockedAgain(ctx context.Context, by access.Principal, id invite.SuppressionID) (address secret.Text, left time.Duration, ok bool, err error) {
	if left, ok, err = s.shown(ctx, by, id.String()); err != nil || !ok {
		return address, 0, false, err
	}
	_, address, err = s.blocked(ctx, by, id)
	return address, left, err == nil, err
}

// shown reports whether this session unmasked something lately, and for how long
// that still counts.
func (s *Service) shown(ctx context.Context, by access.Principal, target string) (left time.Duration, ok bool, err error) {
	if !by.May(access.ActUnmask) || by.Origin.SessionID == "" {
		return 0, false, nil
	}
	ago, found, err := account.FindAct(ctx, s.p.DB, by, access.ActUnmask, target)
	left = ShownFor - ago
	return left, found && left > 0, err
}

// Bulk is how many values a session unmasks within BulkWithin before the person has
// to prove who they are.
const (
	Bulk       = 20
	BulkWithin = time.Hour
)

// IsBulk reports whether a session unmasked so many values lately that another one
// needs a proof of identity.
func (s *Service) IsBulk(ctx context.Context, by access.Principal) (bool, error) {
	n, err := account.CountActs(ctx, s.p.DB, by, access.ActUnmask, BulkWithin)
	return n >= Bulk, err
}

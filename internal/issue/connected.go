package issue

import (
	"context"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// ConnectedAccount is an account that a user connected without an invite of ours,
// or by one that is deleted.
type ConnectedAccount struct {
	ExternalUserID string
	App            string
	Connection     resource.Connection
}

// connected answers a create of a user who has a working account of the app at
// Pipedream; done is false where an invite is to be made. A failed look-up makes
// it too: an outage of Pipedream refuses no invite.
func (s *Service) connected(ctx context.Context, p access.Principal, o order) (a Answer, done bool, err error) {
	if o.ifConnected == "" {
		return Answer{}, false, nil
	}
	minter, err := s.minter(p)
	if err != nil {
		return Answer{}, false, err
	}
	accounts, err := minter.Connected(ctx, o.externalUserID, o.app, o.oauthAppID)
	if err != nil {
		s.p.Log.WarnContext(ctx, "connected accounts are not known, the invite is made", "app", o.app, "error", err)
		return Answer{}, false, nil
	}
	if len(accounts) == 0 {
		return Answer{}, false, nil
	}
	a, err = s.answerConnected(ctx, p, o, accounts)
	return a, true, err
}

// answerConnected answers with the newest invite by which one of the accounts was
// connected, or with the newest account; or with an error that names it.
func (s *Service) answerConnected(ctx context.Context, p access.Principal, o order, accounts []pipedream.Account) (Answer, error) {
	ids := make([]string, len(accounts))
	for i, a := range accounts {
		ids[i] = a.ID
	}
	inv, found, err := find.FindConnected(ctx, s.p.DB, s.user(p, o), o.app, ids)
	if err != nil {
		return Answer{}, err
	}
	if o.ifConnected != "return" {
		e := invite.Errorf(invite.CodeAlreadyConnected, "This user has connected an account of this app already: %s.", ids[0])
		e.ExistingID = inv.ID
		return Answer{}, e
	}
	if found {
		r, err := resource.Present(s.p.Box, inv, s.links(p))
		return Answer{Invite: r, Outcome: ledger.Existing}, err
	}
	newest := accounts[0]
	c := resource.Connection{AccountID: newest.ID, ConnectedAt: newest.CreatedAt.UTC(), Health: resource.Health{Status: invite.HealthUnknown}}
	if newest.Name != "" {
		c.Name = &newest.Name
	}
	return Answer{Outcome: ledger.Existing, Connected: &ConnectedAccount{o.externalUserID, o.app, c}}, nil
}

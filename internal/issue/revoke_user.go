package issue

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// maxRevokedShown is how many revoked invites an answer contains.
const maxRevokedShown = 100

// RevokeUserRequest is the body of POST /v1/invites/revoke.
type RevokeUserRequest struct {
	ExternalUserID string `json:"external_user_id"`
	App            string `json:"app,omitempty"` // empty: all apps
	Reason         string `json:"reason,omitempty"`
}

// RevokeUser revokes the invites of a user that can still lead to a connection:
// also expired and failed ones, which their recipients could renew. It returns how
// many were revoked, and the newest of them. Errors, as *invite.Error: faults.
// Beside another error earlier groups stay revoked, and the request can be repeated.
func (s *Service) RevokeUser(ctx context.Context, p access.Principal, req RevokeUserRequest) (int, []resource.Invite, error) {
	var f faults
	switch n := utf8.RuneCountInString(req.ExternalUserID); {
	case strings.TrimSpace(req.ExternalUserID) == "":
		f.add("/external_user_id", invite.FaultRequired, "your own stable id of the user is required")
	case n > maxUserID:
		f.add("/external_user_id", invite.FaultTooLong, "at most %d characters, these are %d", maxUserID, n)
	}
	if req.App != "" && !slugPattern.MatchString(req.App) {
		f.add("/app", invite.FaultInvalid, "a name slug has only a-z, 0-9, _ and -")
	}
	reason := contact.Clean(shown(&f, "/reason", req.Reason, maxReason), maxReason)
	if err := f.err(); err != nil {
		return 0, nil, err
	}
	user := find.NewUser(s.p.Box, p.Place, req.ExternalUserID)
	var revoked []invite.ID
	var before invite.ID
	for {
		ids, err := find.ListRevocable(ctx, s.p.DB, user, req.App, before, cancelAtOnce)
		if err != nil {
			return len(revoked), nil, err
		}
		if len(ids) == 0 {
			break
		}
		var applied []ledger.Applied
		err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
			applied, err = s.cancel(ctx, tx, p, ids, isRevocable, reason)
			return err
		})
		if err != nil {
			return len(revoked), nil, err
		}
		for _, a := range slices.Backward(applied) { // the oldest is locked first
			revoked = append(revoked, a.ID)
		}
		before = ids[len(ids)-1]
	}
	invites, err := s.presentAll(ctx, p, revoked[:min(len(revoked), maxRevokedShown)])
	return len(revoked), invites, err
}

// isRevocable is the condition of find.ListRevocable, for an invite that is locked.
func isRevocable(st invite.State) bool {
	return st.Status != invite.Connected && st.Status != invite.Revoked
}

// presentAll gives invites the shape that lists have, without links.
func (s *Service) presentAll(ctx context.Context, p access.Principal, ids []invite.ID) ([]resource.Invite, error) {
	list, err := find.ListByID(ctx, s.p.DB, p.Place, ids)
	if err != nil {
		return nil, err
	}
	out := make([]resource.Invite, 0, len(list))
	for _, inv := range list {
		r, err := resource.Present(s.p.Box, inv, resource.Links{})
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

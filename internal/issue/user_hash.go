package issue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
)

const (
	// hashedAtOnce bounds one transaction of HashUsers.
	hashedAtOnce = 500
	// maxUnreadable bounds how many invites one run passes over because their
	// users cannot be opened.
	maxUnreadable = 10_000
)

// HashUsers adds the keyed hash of the external user to invites without one, as
// an earlier version stored them, and renews hashes under other keys than the
// primary one after a key rotation. It returns how many it wrote. It can be
// ended at any time and goes on where it was; look-ups find the invites
// meanwhile (see find.User). A sealed user that cannot be opened keeps its hash.
func (s *Service) HashUsers(ctx context.Context) (int, error) {
	total := 0
	unreadable := []invite.ID{} // not nil, which is SQL's NULL
	for {
		n, written := 0, 0
		err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
			list, err := ledger.LockUnhashedUsers(ctx, tx, s.p.Box.HashKeyID(), unreadable, hashedAtOnce)
			if err != nil || len(list) == 0 {
				return err
			}
			n = len(list)
			ids, hashes := make([]invite.ID, 0, n), make([]seal.Hash, 0, n)
			for _, u := range list {
				user, err := u.OpenUser(s.p.Box, u.ID)
				if err != nil {
					unreadable = append(unreadable, u.ID)
					continue
				}
				ids, hashes = append(ids, u.ID), append(hashes, userid.Hash(s.p.Box, u.Place, user))
			}
			written = len(ids)
			return ledger.SetUserHashes(ctx, tx, ids, hashes)
		})
		if err != nil {
			return total, fmt.Errorf("hash users of invites: %w", err)
		}
		total += written
		if n == 0 || len(unreadable) > maxUnreadable {
			break
		}
	}
	if len(unreadable) > 0 {
		s.p.Log.WarnContext(ctx, "external users of invites cannot be read, so their hashes are not renewed",
			"invites", len(unreadable), "one_of_them", unreadable[0].String())
	}
	return total, nil
}

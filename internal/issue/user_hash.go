package issue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// hashedAtOnce bounds one transaction of HashUsers.
const hashedAtOnce = 500

// HashUsers adds the keyed hash of the external user to invites without one, as
// an earlier version stored them, and renews hashes under other keys than the
// primary one after a key rotation. It returns how many it wrote. It can be
// ended at any time and goes on where it was; look-ups find the invites
// meanwhile (see find.User).
func (s *Service) HashUsers(ctx context.Context) (int, error) {
	total := 0
	for {
		n := 0
		err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
			list, err := ledger.LockUnhashedUsers(ctx, tx, s.p.Box.HashKeyID(), hashedAtOnce)
			if err != nil || len(list) == 0 {
				return err
			}
			n = len(list)
			ids, hashes := make([]invite.ID, n), make([]seal.Hash, n)
			for i, u := range list {
				ids[i], hashes[i] = u.ID, ledger.UserHash(s.p.Box, u.ProjectID, u.Livemode, u.ExternalUserID)
			}
			return ledger.SetUserHashes(ctx, tx, ids, hashes)
		})
		if err != nil {
			return total, fmt.Errorf("hash users of invites: %w", err)
		}
		if n == 0 {
			return total, nil
		}
		total += n
	}
}

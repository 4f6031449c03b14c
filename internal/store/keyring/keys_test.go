package keyring_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/keyring"
)

// Before and after a promotion the keys of a keyset come in another order.
func TestBugProcessesThatRecordTheirKeysAtOnceDoNotDeadlock(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), postgrestest.Pool(t)
	keys := []uint32{1, 2, 3, 4, 5, 6}
	reversed := slices.Clone(keys)
	slices.Reverse(reversed)
	var g errgroup.Group
	for i := range 4 {
		ids := seal.KeyIDs{Sealing: keys, Hashing: reversed}
		if i%2 == 1 {
			ids = seal.KeyIDs{Sealing: reversed, Hashing: keys}
		}
		g.Go(func() error {
			for range 200 {
				if err := keyring.SetSeen(ctx, pool, uuid.New(), ids); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

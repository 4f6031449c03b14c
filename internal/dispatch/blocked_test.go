package dispatch_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// TestAnAddressBlockedWhileItsMessageWaitsIsNotWrittenTo: of several messages
// in one group, only those to blocked addresses fall out, without an attempt.
func TestAnAddressBlockedWhileItsMessageWaitsIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const sender = "MG1"
	loaded := w.load(6, chaos.Load{})
	scope := suppression.Scope{Place: invite.Place{Project: "default"}, Senders: []string{sender}}
	var told atomic.Int32
	var seen atomic.Int32
	p := w.params(func(p *dispatch.Params) {
		p.BlockKeys = func(place invite.Place, ch invite.Channel, address string) []seal.Hash {
			if address == "" {
				t.Error("asked about no address")
			}
			s := scope
			s.Project, s.Live = place.Project, place.Live
			keys := suppression.Keys(p.Box, s, ch, address)
			// Every other recipient is blocked just before their message leaves.
			if seen.Add(1)%2 == 0 {
				_, _, err := suppression.Insert(context.WithoutCancel(t.Context()), w.db, p.Box, s, suppression.New{
					Channel: ch, Kind: invite.ByHand, Address: secret.New(address), Source: suppression.FromAPI,
				})
				if err != nil {
					t.Error(err)
				}
			}
			return keys
		}
		p.Publish = func(_ context.Context, _ pgx.Tx, applied ...ledger.Applied) error {
			for _, a := range applied {
				if slices.Contains(a.Effects, invite.EffectPublishDeliveryFailed) {
					told.Add(1)
				}
			}
			return nil
		}
	})
	w.run(p)
	w.until("all settled", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL`) == 0 })
	blocked := w.count(`SELECT count(*) FROM deliveries WHERE status = 'suppressed' AND reason = 'suppressed'`)
	if blocked == 0 || blocked == len(loaded) {
		t.Fatalf("%d of %d suppressed\n%s", blocked, len(loaded), w.picture())
	}
	if n := w.count(`SELECT count(*) FROM attempts`); n != len(loaded)-blocked {
		t.Errorf("%d attempts for %d messages that may be sent", n, len(loaded)-blocked)
	}
	if int(told.Load()) != blocked {
		t.Errorf("%d failures told, want %d", told.Load(), blocked)
	}
}

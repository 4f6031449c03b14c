package suppress

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// Params are what a Service needs.
type Params struct {
	DB interface {
		postgres.DB
		postgres.Beginner
	}
	Box *seal.Box
	// Senders are what a project's texts come from, the first choice first; none when
	// it sends none.
	Senders func(place invite.Place) []string
	// SenderOf is the one of them that a provider sends from; empty when it is not
	// known.
	SenderOf func(provider string, place invite.Place) string
	// Unlister of a project's mail provider; false when it has none.
	Unlister func(place invite.Place) (provider.Unlister, bool)
	// Scripted reports whether an address of test mode has a scripted fate. Such a
	// fate is met anew each time, so it blocks nothing.
	Scripted func(address string) bool
	Log      *slog.Logger
}

// Service adds, shows and lifts blocks. It is safe for concurrent use.
type Service struct{ p Params }

// New makes a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	err := required.Check("suppress.Params", map[string]any{
		"DB": p.DB, "Box": p.Box, "Senders": p.Senders, "SenderOf": p.SenderOf, "Unlister": p.Unlister, "Scripted": p.Scripted,
	})
	if err != nil {
		return nil, err
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{p: p}, nil
}

func (s *Service) scope(place invite.Place) suppression.Scope {
	return suppression.Scope{Place: place, Senders: s.p.Senders(place)}
}

// Note adds the blocks that follow from what became of an invite's messages,
// in the transaction that records it. Use cases call it where they publish.
func (s *Service) Note(ctx context.Context, tx pgx.Tx, a ledger.Applied) error {
	if d, ok := a.State.Latest(); ok && slices.Contains(a.Effects, invite.EffectPublishReported) {
		// Said on the page of the link that this message carried.
		if err := s.note(ctx, tx, a, d, invite.NotMe); err != nil {
			return err
		}
	}
	if !slices.Contains(a.Effects, invite.EffectBlock) {
		return nil
	}
	for _, d := range a.State.Deliveries {
		kind, blocks := invite.BlockOf(d.Status, d.Reason)
		if !blocks || slices.Contains(a.Before.Deliveries, d) {
			continue
		}
		if err := s.note(ctx, tx, a, d, kind); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) note(ctx context.Context, tx pgx.Tx, a ledger.Applied, d invite.DeliveryState, kind invite.Block) error {
	got, err := suppression.GetAddressed(ctx, tx, a.ID, d.ID)
	if errors.Is(err, suppression.ErrNotFound) || err == nil && (got.Corrected || got.Content == nil) {
		return nil // it is not known any more to which address this one went
	}
	if err != nil {
		return err
	}
	content, err := find.Open(s.p.Box, a.ID, got.Content)
	if err != nil {
		return err
	}
	address := content.Recipient.Address(d.Channel)
	if address == "" || !a.Live && s.p.Scripted(address) {
		return nil
	}
	scope := s.scope(a.Place)
	if kind == invite.OptOut {
		if len(scope.Senders) == 0 {
			return nil
		}
		// It was said to the sender of this message, where START can undo it.
		if from := s.p.SenderOf(d.Provider, a.Place); from != "" {
			scope.Senders = append([]string{from}, scope.Senders...)
		}
	}
	source := suppression.FromReceipt
	if kind == invite.NotMe {
		source = suppression.FromPage
	}
	_, _, err = suppression.Insert(ctx, tx, s.p.Box, scope, suppression.New{
		Channel: d.Channel, Kind: kind, Address: secret.New(address), Source: source, InviteID: a.ID, By: d.Provider,
	})
	return err
}

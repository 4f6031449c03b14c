package visit

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// DB is a pool: it runs statements and begins transactions.
type DB interface {
	postgres.DB
	postgres.Beginner
}

// Params are what a Service needs.
type Params struct {
	DB      DB
	Box     *seal.Box
	Minters mint.Set
	// Publish hands on, in the same transaction, what follows from events.
	Publish func(ctx context.Context, tx pgx.Tx, applied ledger.Applied) error
	// Confirm asks Pipedream whether an account appeared. It may say no for
	// want of budget; a webhook or a poll says it later then.
	Confirm func(ctx context.Context, id invite.ID) (bool, error)
	// ConfirmWithin bounds how long a page waits for Confirm; default 3 s.
	ConfirmWithin time.Duration
	// Suppressed reports whether nothing may be sent to an address: it opted out,
	// complained or was blocked. Suppress makes it so, because the recipient
	// asked for it. Both are part of the transaction; nil knows of none.
	Suppressed func(ctx context.Context, tx pgx.Tx, a Address) (bool, error)
	Suppress   func(ctx context.Context, tx pgx.Tx, a Address) error
	// Resume takes an opt-out back, at the same person's wish.
	Resume func(ctx context.Context, tx pgx.Tx, a Address) error
	// Wake tells dispatch that a lane has work; may be nil.
	Wake func(lane invite.Lane)
	Log  *slog.Logger
}

// Address is where a message to a recipient goes.
type Address struct {
	invite.Place

	InviteID invite.ID
	Channel  invite.Channel
	// Provider sent the message that carried the link; empty when it is not known.
	Provider string
	To       secret.Text
	// OptOut, for Suppress: all texts of this sender are meant, as by the reply
	// STOP, and not what one invite was about.
	OptOut bool
}

// Service serves recipients. It is safe for concurrent use.
type Service struct {
	p      Params
	flight singleflight.Group
}

// New makes a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	err := required.Check("visit.Params", map[string]any{
		"DB": p.DB, "Box": p.Box, "Minters": p.Minters, "Publish": p.Publish, "Confirm": p.Confirm,
		"Suppressed": p.Suppressed, "Suppress": p.Suppress, "Resume": p.Resume, "Wake": p.Wake,
	})
	if err != nil {
		return nil, err
	}
	if p.ConfirmWithin <= 0 {
		p.ConfirmWithin = 3 * time.Second
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{p: p}, nil
}

func recipientActor() invite.Actor { return invite.Actor{Kind: invite.ActorRecipient} }

// record appends events of an invite that this transaction has locked, or locks it.
func (s *Service) record(ctx context.Context, tx pgx.Tx, id invite.ID, events ...invite.Event) error {
	applied, err := ledger.Append(ctx, tx, s.p.Box, id, events...)
	if err != nil {
		return err
	}
	return s.p.Publish(ctx, tx, applied)
}

func (s *Service) inTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return postgres.InTx(ctx, s.p.DB, fn)
}

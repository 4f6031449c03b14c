package visit

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// Params are what a Service needs.
type Params struct {
	DB      postgres.Transactor
	Box     *seal.Box
	Minters mint.Set
	// Publish hands on, in the same transaction, what follows from events.
	Publish      func(ctx context.Context, tx pgx.Tx, applied ...ledger.Applied) error
	Confirmer    Confirmer
	Suppressions Suppressions
	// ConfirmWithin bounds how long a page waits for the Confirmer; default 3 s.
	ConfirmWithin time.Duration
	// Uses returns what a message counts for; quota.Counter's does.
	Uses func(m quota.Message) []ledger.Use
	// Pauses are the pauses of sending.
	Pauses Pauses
	// Wake tells dispatch that a lane has work; may be nil.
	Wake func(lane invite.Lane)
	Log  *slog.Logger
}

// Confirmer is what a page asks for a connection. Package track is one.
type Confirmer interface {
	// Confirm asks Pipedream whether an account appeared. It may say no for want of
	// budget; a webhook or a poll says it later then.
	Confirm(ctx context.Context, id invite.ID) (bool, error)
}

// Suppressions are the addresses that nothing may be sent to, as a recipient
// changes them. Package suppress keeps them. Each call is a part of the transaction.
type Suppressions interface {
	// Suppressed reports whether an address opted out, complained or was blocked.
	Suppressed(ctx context.Context, tx pgx.Tx, a Address) (bool, error)
	// Suppress blocks an address, because the recipient asked for it. It reports
	// whether it was not blocked before.
	Suppress(ctx context.Context, tx pgx.Tx, a Address) (bool, error)
	// Unsuppress lifts the blocks of an invite's addresses that its page made since a
	// time, and no other ones.
	Unsuppress(ctx context.Context, tx pgx.Tx, id invite.ID, of []Address, since time.Time) error
	// Resume takes an opt-out back, at the same person's wish. It reports whether there
	// was one.
	Resume(ctx context.Context, tx pgx.Tx, a Address) (bool, error)
}

// Pauses are the pauses of sending, as this process knows them. Package
// pause has a Board.
type Pauses interface {
	// Find returns the pause that concerns a message.
	Find(m traffic.Message) (traffic.Pause, bool)
	// Held reports whether a channel is paused: its messages wait.
	Held(lane invite.Lane) bool
}

// Address is where a message to a recipient goes.
type Address = suppression.Recipient

// Service serves recipients. It is safe for concurrent use.
type Service struct {
	p      Params
	flight singleflight.Group
}

// New makes a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	err := required.Check("visit.Params", map[string]any{
		"DB": p.DB, "Box": p.Box, "Minters": p.Minters, "Publish": p.Publish, "Confirmer": p.Confirmer,
		"Suppressions": p.Suppressions, "Wake": p.Wake, "Uses": p.Uses, "Pauses": p.Pauses,
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

// withinLimits runs store, which queues a message that the recipient asked for on a
// page; ok is false where a sending limit refuses it. A refusal undoes store alone:
// the transaction goes on to answer the page.
func (s *Service) withinLimits(ctx context.Context, tx pgx.Tx, id invite.ID, store func(tx pgx.Tx) error) (ok bool, err error) {
	err = pgx.BeginFunc(ctx, tx, store)
	var over *ledger.LimitError
	if errors.As(err, &over) {
		s.p.Log.WarnContext(ctx, "a sending limit refused a message that a recipient asked for",
			"invite_id", id.String(), "limit", quota.Name(over.Use.Scope, over.Measure))
		return false, nil
	}
	return err == nil, err
}

// uses is what a message to a recipient counts for.
func (s *Service) uses(to Address, kind string) []ledger.Use {
	return s.p.Uses(quota.Message{Place: to.Place, Channel: to.Channel, Address: to.To.Reveal(), OnPage: kind == invite.KindPasscode})
}

func (s *Service) inTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return postgres.InTx(ctx, s.p.DB, fn)
}

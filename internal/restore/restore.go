// Package restore takes a database that was restored to an earlier time into use:
// everything that may have been sent after that time is kept from being sent again until
// package dispatch has asked the provider. It sends nothing itself.
package restore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/bulk"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/recovery"
)

// ActDeclared is the audit log's word for a declared restore.
const ActDeclared access.Act = "restore_declared"

// ErrProcessesRun means that processes that send are connected to the database.
var ErrProcessesRun = errors.New("processes of the service are connected to this database: stop them first")

// batch is how many invites one transaction changes.
const batch = 500

// Params are what a Service needs.
type Params struct {
	DB  *pgxpool.Pool // with a limit for statements that suits reading whole tables
	Box *seal.Box
	// Publish queues public events, in the same transaction.
	Publish func(ctx context.Context, tx pgx.Tx, applied ...ledger.Applied) error
	By      access.Principal
}

// Service declares restores.
type Service struct{ p Params }

// New makes a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	if err := required.Check("restore.Params", map[string]any{"DB": p.DB, "Box": p.Box, "Publish": p.Publish}); err != nil {
		return nil, err
	}
	return &Service{p}, nil
}

// Declare prepares a restored database for processes that send. Queued deliveries are
// marked, so that dispatch asks before it sends. Automatic messages that may have been
// sent are not made: their texts carry codes that are drawn when they are made, by which
// none could be found at a provider.
//
// The server is recorded last: until then processes refuse to start, and a call that was
// interrupted can be repeated. Error: ErrProcessesRun.
func (s *Service) Declare(ctx context.Context) (recovery.Restore, error) {
	var r recovery.Restore
	if err := s.refuseProcesses(ctx); err != nil {
		return r, err
	}
	for after := (invite.ID{}); ; {
		list, err := recovery.ListAutomatic(ctx, s.p.DB, after, batch)
		if err != nil {
			return r, err
		}
		if len(list) == 0 {
			break
		}
		if err := s.skip(ctx, list, &r); err != nil {
			return r, err
		}
		after = list[len(list)-1].ID
	}
	err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) (err error) {
		if r.Deliveries, err = recovery.SetRestored(ctx, tx); err != nil {
			return err
		}
		if err := bulk.StopAll(ctx, tx); err != nil {
			return err
		}
		if err := recovery.Insert(ctx, tx, r); err != nil {
			return err
		}
		return s.accept(ctx, tx, "")
	})
	return r, err
}

// AcceptMove records the server after a move on which nothing was lost, such as an
// upgrade by pg_upgrade. Error: ErrProcessesRun.
func (s *Service) AcceptMove(ctx context.Context) error {
	if err := s.refuseProcesses(ctx); err != nil {
		return err
	}
	return postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error { return s.accept(ctx, tx, "nothing_lost") })
}

func (s *Service) refuseProcesses(ctx context.Context) error {
	n, err := recovery.CountDispatchers(ctx, s.p.DB)
	if err == nil && n > 0 {
		err = ErrProcessesRun
	}
	return err
}

func (s *Service) accept(ctx context.Context, tx pgx.Tx, outcome string) error {
	if err := recovery.Accept(ctx, tx); err != nil {
		return err
	}
	e := account.Entry{By: s.p.By, Act: ActDeclared}
	if outcome != "" {
		e.Data = map[string]string{"outcome": outcome}
	}
	return account.InsertAudit(ctx, tx, e)
}

// skip gives automatic messages up, with the reason on the timeline.
func (s *Service) skip(ctx context.Context, list []recovery.Automatic, r *recovery.Restore) error {
	by := invite.Actor{Kind: invite.ActorSystem, ID: "restore"}
	why := invite.Data{Reason: invite.DatabaseRestored}
	var batches []ledger.Batch
	reminders, fallbacks := 0, 0
	for _, a := range list {
		b := ledger.Batch{ID: a.ID}
		if a.Fallback {
			b.Events = append(b.Events, invite.Event{Type: invite.EventFallbackSkipped, Actor: by, Data: why})
			fallbacks++
		}
		if a.Reminder {
			b.Events = append(b.Events, invite.Event{Type: invite.EventReminderSkipped, Actor: by, Data: why})
			reminders++
		}
		batches = append(batches, b)
	}
	err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		applied, err := ledger.AppendAll(ctx, tx, s.p.Box, batches)
		if err != nil {
			return err
		}
		for _, a := range list {
			if !a.Reminder {
				continue
			}
			if err := ledger.SetReminder(ctx, tx, a.ID, a.Reminded, nil); err != nil {
				return err
			}
		}
		return s.p.Publish(ctx, tx, applied...)
	})
	if err == nil {
		r.Reminders, r.Fallbacks = r.Reminders+reminders, r.Fallbacks+fallbacks
	}
	return err
}

// Package pause is what operators do to a running service: stop the sending
// of one channel of a project, and let it go on.
//
// It owns the reasons there are, and that each act stands in the audit log. It
// must not touch a delivery: what waits keeps waiting, and dispatch finds out
// by itself at its next claim.
package pause

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// Why is a reason for stopping, of a fixed list: it stands in the audit log.
type Why string

// The reasons.
const (
	WrongContent Why = "wrong_content" // messages say something wrong
	WrongPeople  Why = "wrong_people"  // messages go to people who should not get them
	Provider     Why = "provider"      // the provider is in trouble
	Maintenance  Why = "maintenance"
)

// Whys lists the reasons.
func Whys() []Why { return []Why{WrongContent, WrongPeople, Provider, Maintenance} }

// Acts in the audit log.
const (
	ActHeld     access.Act = "sending_stopped"
	ActReleased access.Act = "sending_resumed"
)

// Service stops and starts.
type Service struct {
	db   *pgxpool.Pool
	wake func(lane invite.Lane)
}

// New makes a Service. wake tells dispatch that a lane has work again.
func New(db *pgxpool.Pool, wake func(lane invite.Lane)) *Service { return &Service{db, wake} }

// Stop stops the sending of a channel in the principal's project and mode;
// false means that it was stopped before. Errors: *invite.Error,
// invalid_request for a reason or channel that there is not.
func (s *Service) Stop(ctx context.Context, by access.Principal, ch invite.Channel, why Why) (changed bool, err error) {
	if err := sends(ch); err != nil {
		return false, err
	}
	if !slices.Contains(Whys(), why) {
		return false, invite.Errorf(invite.CodeInvalidRequest, "Unknown reason.")
	}
	lane := by.Lane(ch)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if changed, err = queue.PauseLane(ctx, tx, lane, by.Actor(), string(why)); err != nil || !changed {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActHeld, Target: lane.String(), Why: string(why)})
	})
	return changed, err
}

// Resume lets a channel go on; false means that it was not stopped.
func (s *Service) Resume(ctx context.Context, by access.Principal, ch invite.Channel) (changed bool, err error) {
	if err := sends(ch); err != nil {
		return false, err
	}
	lane := by.Lane(ch)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if changed, err = queue.ResumeLane(ctx, tx, lane); err != nil || !changed {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActReleased, Target: lane.String()})
	})
	if changed && err == nil {
		s.wake(lane)
	}
	return changed, err
}

func sends(ch invite.Channel) error {
	if !ch.Sends() {
		return invite.Errorf(invite.CodeInvalidRequest, "This channel sends no messages.")
	}
	return nil
}

// Package pause is what operators do to a running service: stop the sending
// of one channel of a project, of text messages to a country or a range of numbers,
// and resume it. Board is a process's picture of the pauses.
//
// It owns the reasons, and that each act is in the audit log. It must not send or
// cancel a delivery: what waits keeps waiting. Dispatch finds a paused channel at
// its next claim, and asks the Board before each attempt about the rest.
package pause

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/required"
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
	db    *pgxpool.Pool
	wake  func(lane invite.Lane)
	board *Board
}

// New makes a Service. wake tells dispatch that a lane has work again; board is this
// process's.
func New(db *pgxpool.Pool, wake func(lane invite.Lane), board *Board) (*Service, error) {
	if err := required.Check("pause.New", map[string]any{"db": db, "wake": wake, "board": board}); err != nil {
		return nil, err
	}
	return &Service{db, wake, board}, nil
}

// Stop stops the sending of a channel in the principal's project and mode;
// false means that it was stopped before. Errors: *invite.Error,
// invalid_request for a reason or channel that there is not.
func (s *Service) Stop(ctx context.Context, by access.Principal, ch invite.Channel, why Why) (changed bool, err error) {
	if err := sends(ch); err != nil {
		return false, err
	}
	if !slices.Contains(Whys(), why) {
		return false, fault("/reason", invite.FaultInvalid, "is no reason for pausing a channel")
	}
	if err := mayPauseChannel(by); err != nil {
		return false, err
	}
	lane := by.Lane(ch)
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if changed, err = queue.PauseLane(ctx, tx, lane, by.Actor(), string(why)); err != nil || !changed {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActHeld, Target: lane.String(), Why: string(why)})
	})
	if changed && err == nil {
		s.show(ctx)
	}
	return changed, err
}

// Resume lets a channel go on; false means that it was not stopped.
func (s *Service) Resume(ctx context.Context, by access.Principal, ch invite.Channel) (changed bool, err error) {
	if err := sends(ch); err != nil {
		return false, err
	}
	if err := mayPauseChannel(by); err != nil {
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
		s.show(ctx)
		s.wake(lane)
	}
	return changed, err
}

func mayPauseChannel(by access.Principal) error {
	return mayPause(by, access.ActPause, "Administrators, and keys with the scope admin, may pause and resume a channel.")
}

// mayPause returns the refusal unless a principal is of the staff who may do an act, or a
// key with the scope admin.
func mayPause(by access.Principal, act access.Act, refusal string) error {
	if by.May(act) || by.Kind == access.KindKey && by.Can(access.Admin) {
		return nil
	}
	return invite.Errorf(invite.CodeInsufficientScope, "%s", refusal)
}

func sends(ch invite.Channel) error {
	if !ch.Sends() {
		return invite.Errorf(invite.CodeInvalidRequest, "This channel sends no messages.")
	}
	return nil
}

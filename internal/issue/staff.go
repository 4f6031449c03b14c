package issue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// ErrChanged is returned to staff who act on an invite that is not what they
// saw any more: they are to look again first.
var ErrChanged = errors.New("the invite has changed since it was looked at")

const (
	// minGap is how soon an invite can be sent again by the same channel: a message
	// takes a moment to arrive, and two in a row look like a scam. It doubles with
	// each resend.
	minGap = 2 * time.Minute
	maxGap = 2 * time.Hour
)

// asker is who a row names as having asked for it: a key, or a member of staff.
// Both are UUIDs made at random, so they never meet.
func asker(p access.Principal) (invite.KeyID, error) {
	var id invite.KeyID
	if p.Kind != access.KindStaff {
		return invite.Parse[invite.KeyID](p.ID)
	}
	staff, err := invite.Parse[invite.StaffID](p.ID)
	if err != nil {
		return id, err
	}
	return id, id.ScanUUID(pgtype.UUID{Bytes: staff.UUID(), Valid: true})
}

func actor(p access.Principal) invite.Actor {
	return invite.Actor{Kind: invite.ActorKind(p.Kind), ID: p.ID}
}

// placed gives staff the environment that a key would have brought.
func placed(p access.Principal, project config.Project) access.Principal {
	if p.Kind == access.KindStaff && p.Environment == "" {
		p.Environment = config.Development
		if p.Live {
			p.Environment = project.Pipedream.Environment
		}
	}
	return p
}

// audit adds an act about an invite to the audit log, in the transaction that does it.
func audit(ctx context.Context, tx pgx.Tx, p access.Principal, act access.Act, id invite.ID, data map[string]string) error {
	return account.InsertActs(ctx, tx, account.Entry{By: p, Act: act, Target: id.String(), Invite: id, Data: data})
}

// asSeen reports whether an invite is still what the asker looked at.
func asSeen(ctx context.Context, db postgres.DB, id invite.ID, meta Meta) error {
	if meta.Seen == 0 {
		return nil
	}
	changed, err := ledger.ChangedSince(ctx, db, id, meta.Seen)
	if err == nil && changed {
		err = fmt.Errorf("invite %s: %w", id, ErrChanged)
	}
	return err
}

// resendGap is the time between the latest message of an invite and the next one
// by the same channel.
func resendGap(resends int) time.Duration {
	gap := minGap
	for range resends {
		if gap *= 2; gap >= maxGap {
			return maxGap
		}
	}
	return gap
}

// tooSoon refuses a resend right after the message before it: by staff, and by keys
// of live mode, where a person reads it.
func tooSoon(p access.Principal, inv find.Invite, channel invite.Channel) error {
	if p.Kind != access.KindStaff && !p.Live || inv.DeliveryCreated == nil || *inv.DeliveryChannel != string(channel) ||
		invite.DeliveryStatus(*inv.DeliveryStatus).DidNotArrive() {
		return nil
	}
	gap := minGap
	if p.Live {
		gap = resendGap(inv.ResendCount)
	}
	left := gap - inv.Now.Sub(*inv.DeliveryCreated)
	if left <= 0 {
		return nil
	}
	e := invite.Errorf(invite.CodeResendTooSoon, "The last message to this person was sent a moment ago.")
	e.RetryAfterS = int(left.Seconds()) + 1
	return e
}

// tooOften refuses more resends of one invite than the project allows.
func tooOften(p access.Principal, project config.Project, inv find.Invite) error {
	most := project.Limits.ResendsPerInvite
	if !p.Live || most == config.Unlimited || inv.ResendCount < most {
		return nil
	}
	e := invite.Errorf(invite.CodeLimitExceeded, "This invite was resent %d times, the maximum (limits.resends_per_invite). Create a new invite.", inv.ResendCount)
	e.Limit = &invite.Limit{Name: "resends_per_invite", Scope: "invite", Max: strconv.Itoa(most)}
	return e
}

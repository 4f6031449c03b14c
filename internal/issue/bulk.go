package issue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/bulk"
)

const (
	// MaxBulkAgent is how many invites an act of an agent has at most.
	MaxBulkAgent = 100
	// MaxBulk is how many invites any act has at most.
	MaxBulk = 10_000
)

// ActBulkStopped is the entry in the audit log of a bulk act that was stopped.
const ActBulkStopped access.Act = "bulk_stopped"

var (
	// ErrNoBulk is returned for an act that does not exist, or of another project or mode.
	ErrNoBulk = errors.New("there is no such bulk act")
	// ErrBulkEmpty is returned where no invite is selected, or none of an act can be changed.
	ErrBulkEmpty = errors.New("the bulk act has no invite to change")
	// ErrBulkOver is returned for a dry run that is too old to be confirmed, and for an act
	// that cannot be stopped any more.
	ErrBulkOver = errors.New("the bulk act is over")
	// ErrBulkForbidden is returned to a role that may not do the act.
	ErrBulkForbidden = errors.New("the role may not do this to many invites")
)

// BulkSizeError reports that an act has more invites than the role may change at once.
type BulkSizeError struct{ Most int }

// Error names the maximum.
func (e *BulkSizeError) Error() string {
	return "a bulk act of this role has at most " + strconv.Itoa(e.Most) + " invites"
}

// BulkRequest is an act on many invites.
type BulkRequest struct {
	Kind    bulk.Kind
	Channel invite.Channel // of bulk.Switch
	Extend  ExtendRequest  // of bulk.Extend: from the time when each invite is changed
	// Selection tells how the invites were selected, for the audit log: words of fixed
	// lists, and nothing of a person.
	Selection string
	Targets   []BulkTarget
}

// BulkTarget is an invite of an act.
type BulkTarget struct {
	Invite  invite.ID
	Line    int         // of the file, for bulk.Correct
	Address secret.Text // the new one, for bulk.Correct
}

// MaxBulkOf is how many invites an act of a principal has at most; 0: it may do none.
func MaxBulkOf(p access.Principal) int {
	switch {
	case p.May(access.ActBulkMany):
		return MaxBulk
	case p.May(access.ActBulk):
		return MaxBulkAgent
	}
	return 0
}

// RequiredAct is the act that each part of a bulk act is.
func RequiredAct(k bulk.Kind) access.Act {
	switch k {
	case bulk.Correct:
		return access.ActCorrect
	case bulk.Revoke:
		return access.ActRevoke
	case bulk.Extend:
		return access.ActExtend
	case bulk.Resend, bulk.Switch:
	}
	return access.ActResend
}

func mayBulk(p access.Principal, k bulk.Kind, n int) error {
	most := MaxBulkOf(p)
	switch {
	case most == 0 || !p.May(RequiredAct(k)):
		return fmt.Errorf("bulk %s: %w", k, ErrBulkForbidden)
	case n > most:
		return &BulkSizeError{most}
	}
	return nil
}

// PlanBulk makes the dry run of an act and stores it: ConfirmBulk starts exactly this
// one. Nothing is sent or changed. Errors: ErrBulkEmpty, ErrBulkForbidden, *BulkSizeError, and
// the faults of Extend as *invite.Error.
func (s *Service) PlanBulk(ctx context.Context, p access.Principal, req BulkRequest) (invite.BulkID, error) {
	act := bulk.Act{Place: p.Place, ID: invite.New[invite.BulkID](), Kind: req.Kind, Channel: req.Channel, Selection: req.Selection}
	if err := mayBulk(p, req.Kind, len(req.Targets)); err != nil {
		return act.ID, err
	}
	if len(req.Targets) == 0 {
		return act.ID, ErrBulkEmpty
	}
	if req.Kind == bulk.Extend {
		lasts, err := lastsFor(req.Extend)
		if err != nil {
			return act.ID, err
		}
		act.ValidForS = int(lasts.Seconds())
	}
	var err error
	if act.StaffID, err = invite.Parse[invite.StaffID](p.ID); err != nil {
		return act.ID, fmt.Errorf("plan a bulk act: %w", err)
	}
	planned, err := s.planItems(ctx, p, act, req.Targets)
	if err != nil {
		return act.ID, err
	}
	if len(planned) == 0 {
		return act.ID, ErrBulkEmpty
	}
	items := make([]bulk.Item, 0, len(planned))
	for _, pl := range planned {
		items = append(items, pl.item)
		if pl.item.State != bulk.Waiting || !pl.channel.Sends() {
			continue
		}
		if pl.channel.Spec().Form == invite.FormText {
			act.Texts++
		} else {
			act.Emails++
		}
		act.Cost += costOf(pl.uses)
	}
	act.Items = len(items)
	return act.ID, postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error { return bulk.Insert(ctx, tx, act, items) })
}

// ConfirmBulk starts the act of a dry run. To confirm twice is the same as once. Errors:
// ErrNoBulk, ErrBulkEmpty, ErrBulkOver, ErrBulkForbidden, *BulkSizeError.
func (s *Service) ConfirmBulk(ctx context.Context, p access.Principal, id invite.BulkID) error {
	return s.changeBulk(ctx, p, id, func(tx pgx.Tx, act bulk.Act) error {
		if act.State != bulk.Draft {
			return nil
		}
		counts, err := bulk.CountItems(ctx, tx, act.Place, act.ID)
		if err != nil {
			return err
		}
		waiting, all := 0, 0
		for _, c := range counts {
			all += c.Items
			if c.State == bulk.Waiting {
				waiting += c.Items
			}
		}
		switch {
		case act.Now.Sub(act.CreatedAt) > bulk.KeepDraft:
			return fmt.Errorf("confirm bulk act %s: %w", id, ErrBulkOver)
		case act.StaffID.String() != p.ID: // a dry run is of the person who saw it
			return fmt.Errorf("confirm bulk act %s: %w", id, ErrBulkForbidden)
		case waiting == 0:
			return fmt.Errorf("confirm bulk act %s: %w", id, ErrBulkEmpty)
		}
		if err := mayBulk(p, act.Kind, all); err != nil {
			return err
		}
		if err := bulk.SetConfirmed(ctx, tx, act); err != nil {
			return err
		}
		data := map[string]string{"act": string(act.Kind), "invites": strconv.Itoa(waiting), "left_out": strconv.Itoa(all - waiting), "selection": act.Selection}
		if act.Channel != "" {
			data["channel"] = string(act.Channel)
		}
		if act.Kind == bulk.Extend {
			data["valid_for"] = strconv.Itoa(act.ValidForS)
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: p, Act: access.ActBulk, Target: id.String(), Data: data})
	})
}

// StopBulk stops an act: the invites that were not begun stay as they are. Errors: ErrNoBulk,
// ErrBulkOver, ErrBulkForbidden.
func (s *Service) StopBulk(ctx context.Context, p access.Principal, id invite.BulkID) error {
	return s.changeBulk(ctx, p, id, func(tx pgx.Tx, act bulk.Act) error {
		by, err := invite.Parse[invite.StaffID](p.ID)
		if err != nil {
			return fmt.Errorf("stop bulk act %s: %w", id, err)
		}
		if act.State != bulk.Running {
			return fmt.Errorf("stop bulk act %s: %w", id, ErrBulkOver)
		}
		if err := bulk.SetStopped(ctx, tx, act, by); err != nil {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: p, Act: ActBulkStopped, Target: id.String()})
	})
}

func (s *Service) changeBulk(ctx context.Context, p access.Principal, id invite.BulkID, change func(pgx.Tx, bulk.Act) error) error {
	if !p.May(access.ActBulk) {
		return ErrBulkForbidden
	}
	return postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		act, err := bulk.Lock(ctx, tx, p.Place, id)
		if errors.Is(err, bulk.ErrNotFound) {
			return ErrNoBulk
		}
		if err != nil {
			return err
		}
		return change(tx, act)
	})
}

// bulkPart is the item that a request carries out for an act on many invites.
type bulkPart struct {
	act  bulk.Act
	item bulk.Item
	done bool // in the transaction; it may be rolled back
}

// errItemOver rolls back a part whose item does not wait any more.
var errItemOver = errors.New("the item is over")

// bulk is the id of the act, for events; empty where the request is no part of one.
func (b *bulkPart) bulk() string {
	if b == nil {
		return ""
	}
	return b.act.ID.String()
}

// record adds the entry of an act about an invite to the audit log. Instead, a part of a bulk act ends
// its item: the log has one entry for all, and the item is what keeps a part from being
// done twice, by another process or after a crash.
func (m Meta) record(ctx context.Context, tx pgx.Tx, p access.Principal, act access.Act, id invite.ID, data map[string]string) error {
	if m.part == nil {
		return audit(ctx, tx, p, act, id, data)
	}
	ok, err := bulk.SetItemDone(ctx, tx, m.part.act, m.part.item.Number)
	if err == nil && !ok {
		err = errItemOver
	}
	m.part.done = err == nil
	return err
}

// itemPlace is where the corrected address of an item is sealed.
func itemPlace(id invite.BulkItemID) seal.AD {
	return seal.AD{Column: "bulk_items.address", ID: id.UUID()}
}

const (
	// bulkLease is how long a process works on a part of an act before another one may take it.
	bulkLease = 30 * time.Second
	// bulkPartSize is how many items are done under one lease.
	bulkPartSize = 20
	// bulkAtOnce is how many items a process works on at a time: most wait for Pipedream.
	bulkAtOnce = 4
	// bulkRetryFor is how long after its confirmation an act goes on with items that a limit or a
	// failure refused.
	bulkRetryFor = time.Hour
	// bulkRetryAfter is when to try again where the refusal does not tell.
	bulkRetryAfter = 30 * time.Second
)

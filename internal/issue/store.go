package issue

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// lanes remembers which lanes the claim loop was told of.
type lanes struct{ known sync.Map }

func (l *lanes) ensure(ctx context.Context, db postgres.DB, lane invite.Lane) error {
	if _, ok := l.known.Load(lane); ok {
		return nil
	}
	if err := ledger.EnsureLane(ctx, db, lane); err != nil {
		return err
	}
	l.known.Store(lane, true)
	return nil
}

// store makes an invite durable.
func (s *Service) store(ctx context.Context, p access.Principal, o order, row ledger.New) (ledger.Inserted, error) {
	if row.Delivery != nil {
		if err := s.lanes.ensure(ctx, s.p.DB, row.Delivery.Lane); err != nil {
			return ledger.Inserted{}, err
		}
	}
	if o.ifActive == "" && p.Kind != access.KindStaff && o.reconnectOf.IsZero() {
		in, err := s.commits.insert(ctx, row)
		return in, s.refused.note(err)
	}
	var in ledger.Inserted
	err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		var err error
		if o.ifActive == "" {
			var all []ledger.Inserted
			if all, err = ledger.Insert(ctx, tx, []ledger.New{row}); err == nil {
				in = all[0]
			}
		} else {
			in, err = s.storeAlone(ctx, tx, p, o, row)
		}
		if err != nil || in.Lost {
			return err
		}
		if err := s.linkReconnect(ctx, tx, row); err != nil {
			return err
		}
		return audit(ctx, tx, p, access.ActCreate, row.ID, map[string]string{"channel": string(row.Channel)})
	})
	return in, s.refused.note(err)
}

// openExistsError means that the user has an open invite for the app already.
type openExistsError struct{ id invite.ID }

func (e *openExistsError) Error() string { return "invite " + e.id.String() + " is open" }

// storeAlone stores an invite that must be the only open one of its user and
// app. It looks again under a lock: a twin may have come during the mint.
func (s *Service) storeAlone(ctx context.Context, tx pgx.Tx, p access.Principal, o order, row ledger.New) (ledger.Inserted, error) {
	if err := ledger.LockPerson(ctx, tx, s.p.Box, p.Place, o.externalUserID, o.app); err != nil {
		return ledger.Inserted{}, err
	}
	in, err := ledger.Insert(ctx, tx, []ledger.New{row})
	if err != nil {
		return ledger.Inserted{}, err
	}
	if in[0].Lost {
		return in[0], nil
	}
	others, err := find.ListActive(ctx, tx, s.user(p, o), o.app, row.ID)
	if err != nil {
		return ledger.Inserted{}, err
	}
	for _, old := range others {
		if o.ifActive != "replace" {
			return ledger.Inserted{}, &openExistsError{old} // rolls the insert back
		}
		applied, err := ledger.Append(ctx, tx, s.p.Box, old, invite.Event{
			Type: invite.EventReplaced, Actor: actor(p),
			Data: invite.Data{ReplacedBy: row.ID.String()},
		})
		if err != nil {
			return ledger.Inserted{}, fmt.Errorf("replace invite %s: %w", old, err)
		}
		if err := s.p.Publish(ctx, tx, applied); err != nil {
			return ledger.Inserted{}, err
		}
	}
	return in[0], nil
}

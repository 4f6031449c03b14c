package unmask

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// ErrForbidden is returned to a role that may not see what it asked for.
var ErrForbidden = errors.New("the role may not see this")

// Why is the reason for copying a link: a word of a pick list.
type Why string

// The reasons there are.
const (
	InPerson     Why = "in_person"     // the person is there, or on the phone
	OtherChannel Why = "other_channel" // it goes by a way of ours that this service does not know
	NoMessage    Why = "no_message"    // no message got through
	Testing      Why = "testing"
)

// Whys lists the reasons for copying a link.
func Whys() []Why { return []Why{InPerson, OtherChannel, NoMessage, Testing} }

// Params are what a Service needs.
type Params struct {
	DB        *pgxpool.Pool
	Box       *seal.Box
	PublicURL string // empty where no page of ours can be reached
	// Senders are what a project's texts come from, to which opt-outs are said.
	Senders func(place invite.Place) []string
	// Publish hands events out on, in the transaction that made them true.
	Publish func(ctx context.Context, tx pgx.Tx, applied ...ledger.Applied) error
}

// Service reveals. It is safe for concurrent use.
type Service struct{ p Params }

// New makes a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	err := required.Check("unmask.Params", map[string]any{"DB": p.DB, "Box": p.Box, "Senders": p.Senders, "Publish": p.Publish})
	if err != nil {
		return nil, err
	}
	return &Service{p: p}, nil
}

// Recipient shows who one invite is for. Errors: ErrForbidden; invite_not_found,
// as *invite.Error.
func (s *Service) Recipient(ctx context.Context, by access.Principal, id invite.ID) (invite.Recipient, error) {
	if !by.May(access.ActUnmask) {
		return invite.Recipient{}, fmt.Errorf("unmask invite %s: %w", id, ErrForbidden)
	}
	inv, err := s.get(ctx, by, id)
	if err != nil {
		return invite.Recipient{}, err
	}
	content, err := find.Open(s.p.Box, id, inv.Content)
	if err != nil {
		return invite.Recipient{}, err
	}
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: access.ActUnmask, Target: id.String(), Invite: id})
	})
	return content.Recipient, err
}

// Blocked shows which address a block is about. Errors: ErrForbidden;
// suppression_not_found, as *invite.Error.
func (s *Service) Blocked(ctx context.Context, by access.Principal, id invite.SuppressionID) (secret.Text, error) {
	if !by.May(access.ActUnmask) {
		return secret.Text{}, fmt.Errorf("unmask block %s: %w", id, ErrForbidden)
	}
	row, address, err := s.blocked(ctx, by, id)
	if err != nil {
		return secret.Text{}, err
	}
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: access.ActUnmask, Target: id.String(), Invite: row.InviteID})
	})
	return address, err
}

func (s *Service) blocked(ctx context.Context, by access.Principal, id invite.SuppressionID) (suppression.Row, secret.Text, error) {
	scope := suppression.Scope{Place: by.Place, Senders: s.p.Senders(by.Place)}
	row, err := suppression.Get(ctx, s.p.DB, scope, id)
	if errors.Is(err, suppression.ErrNotFound) {
		err = invite.Errorf(invite.CodeSuppressionNotFound, "There is no suppression %s here.", id)
	}
	if err != nil {
		return row, secret.Text{}, err
	}
	address, err := suppression.Open(s.p.Box, id, "suppressions.address", row.Address)
	return row, address, err
}

// Link returns an invite's own link, to be handed over in person. It is recorded
// on the timeline too, which later explains why the person came. Errors:
// ErrForbidden; invite_not_found, invite_ended if the link no longer works,
// unavailable if no page of ours can be reached, invalid_request for a reason
// that is none of Whys, as *invite.Error.
func (s *Service) Link(ctx context.Context, by access.Principal, id invite.ID, why Why) (secret.Text, error) {
	switch {
	case !by.May(access.ActCopyLink):
		return secret.Text{}, fmt.Errorf("copy link of invite %s: %w", id, ErrForbidden)
	case !slices.Contains(Whys(), why):
		return secret.Text{}, &invite.Error{
			Code: invite.CodeInvalidRequest, Message: "The request has faults; each is listed with its place.",
			Faults: []invite.Fault{{Pointer: "/why", Code: invite.FaultRequired, Detail: "say what the link is for"}},
		}
	case s.p.PublicURL == "":
		return secret.Text{}, invite.Errorf(invite.CodeUnavailable, "This service has no public address, so there is no page for a link to lead to.")
	}
	if _, err := s.get(ctx, by, id); err != nil {
		return secret.Text{}, err
	}
	var link secret.Text
	err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		l, err := ledger.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		// Read under the lock: a corrected address retires codes.
		inv, err := find.Get(ctx, tx, by.Place, id)
		if err != nil {
			return err
		}
		if inv.Code == nil || l.State.Status != invite.Pending && l.State.Status != invite.Active && l.State.Status != invite.Failed {
			return invite.Errorf(invite.CodeInviteEnded, "Invite %s is %s: its link leads nowhere. Send a new link first.", id, l.State.Status)
		}
		code, err := s.p.Box.Open(inv.Code, seal.AD{Column: "codes.code", ID: *inv.CodeID})
		if err != nil {
			return fmt.Errorf("open code of invite %s: %w", id, err)
		}
		applied, err := ledger.Append(ctx, tx, s.p.Box, id, invite.Event{
			Type: invite.EventCopied, Actor: invite.Actor{Kind: invite.ActorStaff, ID: by.ID}, Data: invite.Data{Why: string(why)},
		})
		if err != nil {
			return err
		}
		link = resource.InviteURL(s.p.PublicURL, secret.New(string(code)))
		if err := account.InsertAudit(ctx, tx, account.Entry{By: by, Act: access.ActCopyLink, Target: id.String(), Invite: id, Why: string(why)}); err != nil {
			return err
		}
		return s.p.Publish(ctx, tx, applied)
	})
	if err != nil {
		return secret.Text{}, err
	}
	return link, nil
}

func (s *Service) get(ctx context.Context, by access.Principal, id invite.ID) (find.Invite, error) {
	inv, err := find.Get(ctx, s.p.DB, by.Place, id)
	if errors.Is(err, find.ErrNotFound) {
		err = invite.Errorf(invite.CodeInviteNotFound, "There is no invite %s here.", id)
	}
	return inv, err
}

package issue

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/traffic"
	"github.com/connectlink/connectlink/internal/trace"
)

// Params are what a Service needs.
type Params struct {
	DB        *pgxpool.Pool
	Box       *seal.Box
	Minters   mint.Set
	Project   func(id string) (config.Project, bool)
	PublicURL string // empty where no page of ours can be reached
	// Senders are the senders of a project's texts, to which opt-outs are said.
	Senders func(place invite.Place) []string
	// OneWay reports whether the sender of a project's texts receives no replies.
	OneWay func(place invite.Place) bool
	// Uses returns what a message counts for; quota.Counter's does.
	Uses func(m quota.Message) []ledger.Use
	// Pauses are the pauses of sending.
	Pauses Pauses
	// Composer renders previews; nil: there are none.
	Composer *compose.Composer
	// Wake tells dispatch that a lane has work.
	Wake func(lane invite.Lane)
	// Reserve reserves room in this process's dispatcher for a delivery that is about
	// to be stored; ok is false where a claim must take it. nil: the process does
	// not dispatch.
	Reserve func(lane invite.Lane) (r Reservation, ok bool)
	// Rehearse hears of every invite of test mode before its mint, so that a
	// scripted recipient can also script how Pipedream answers. May be nil.
	Rehearse func(ctx context.Context, externalUserID string, r invite.Recipient) error
	// Announce returns the public event of an invite that is about to be stored. show
	// returns the invite as it will be if it is created at a time.
	Announce func(show func(at time.Time) find.Invite) (ledger.NewPublic, error)
	// Publish hands events out on, in the transaction that made them true.
	Publish func(ctx context.Context, tx pgx.Tx, applied ...ledger.Applied) error
	// Created is told of each invite that was stored. May be nil.
	Created func(place invite.Place, channel invite.Channel)
	Tracer  *trace.Tracer         // nil: records nothing
	Metrics prometheus.Registerer // may be nil
	Log     *slog.Logger
	Now     func() time.Time // for what callers name by the clock; default time.Now
}

// Pauses are the pauses of sending, as this process knows them. Package
// pause has a Board.
type Pauses interface {
	// Find returns the pause that concerns a message.
	Find(m traffic.Message) (traffic.Pause, bool)
	// Held reports whether a channel is paused: its messages wait.
	Held(lane invite.Lane) bool
}

// Service makes invites and changes their course.
type Service struct {
	p       Params
	commits *committer
	refused *refusals
	flights singleflight.Group
	lanes   lanes
}

// New makes a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	err := required.Check("issue.Params", map[string]any{
		"DB": p.DB, "Box": p.Box, "Minters": p.Minters, "Project": p.Project, "Senders": p.Senders, "OneWay": p.OneWay,
		"Wake": p.Wake, "Publish": p.Publish, "Announce": p.Announce, "Uses": p.Uses, "Pauses": p.Pauses,
	})
	if err != nil {
		return nil, err
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Service{p: p, commits: newCommitter(p.DB, p.Reserve), refused: newRefusals(p.Now, p.Metrics)}, nil
}

// Answer is what a create or a resend is answered with.
type Answer struct {
	Invite   resource.Invite
	Outcome  ledger.Outcome
	Replayed bool
	// Connected is given instead of an invite where if_connected returns an account
	// that no invite connected.
	Connected *ConnectedAccount
	// Warnings list the texts that recipients read differently from the
	// request.
	Warnings []Warning
}

func (s *Service) project(p access.Principal) (config.Project, error) {
	project, ok := s.p.Project(p.Project)
	if !ok {
		return config.Project{}, invite.Errorf(invite.CodeUnavailable, "The project of this key is not configured on this service.")
	}
	return project, nil
}

func (s *Service) minter(p access.Principal) (*mint.Minter, error) {
	m, ok := s.p.Minters(p.Place, p.Environment)
	if !ok {
		return nil, invite.Errorf(invite.CodeUnavailable, "This service has no Pipedream credentials for this key's mode.")
	}
	return m, nil
}

// present reads an invite and gives it the shape its asker may see.
func (s *Service) present(ctx context.Context, p access.Principal, id invite.ID) (resource.Invite, error) {
	inv, err := find.Get(ctx, s.p.DB, p.Place, id)
	if err != nil {
		return resource.Invite{}, notFound(err, id)
	}
	return resource.Present(s.p.Box, inv, s.links(p))
}

func (s *Service) links(p access.Principal) resource.Links {
	return resource.Links{Show: p.Can(access.LinksRead), PublicURL: s.p.PublicURL}
}

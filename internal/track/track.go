package track

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Errors that an inbound edge turns into its answer.
var (
	// ErrUnknown: nothing here is reached by this path, or the token in the
	// body is not the one the path was made for. Answer 404.
	ErrUnknown = errors.New("no such callback")
	// ErrForged: the signature does not hold. Answer 403.
	ErrForged = errors.New("callback not signed by its provider")
	// ErrMalformed: signed, or secret enough, but not what the provider sends. Answer 400.
	ErrMalformed = errors.New("callback cannot be read")
	// ErrLater: the confirmation cannot be had now; the caller tries again.
	ErrLater = errors.New("account cannot be confirmed now")
)

// Accounts reads connected accounts of one Pipedream project and environment.
type Accounts interface {
	Account(ctx context.Context, id string) (pipedream.Account, error)
	Accounts(ctx context.Context, f pipedream.AccountFilter) ([]pipedream.Account, string, error)
	// Credentials names the client at Pipedream whose limits the calls count toward.
	Credentials() []byte
}

// Check is a pending confirmation. AccountID is empty if no account was
// named.
type Check struct {
	InviteID  invite.ID
	AccountID string
}

// Params are what a Tracker needs.
type Params struct {
	DB       postgres.Transactor
	Box      *seal.Box
	Accounts func(place invite.Place, environment string) (Accounts, bool)
	// Callbacks reads the posts of a provider for a project and mode; false where
	// they do not use it or it cannot reach us.
	Callbacks func(provider string, place invite.Place) (provider.Callbacks, bool)
	// Senders are what a project's texts come from: messaging services or numbers.
	// Empty if none is configured.
	Senders func(place invite.Place) []string
	// Publish hands on, in the same transaction, what follows from events.
	Publish func(ctx context.Context, tx pgx.Tx, applied ...ledger.Applied) error
	// Later makes sure, from the same transaction on, that Settle is called
	// with c until it returns nil. It may wait some seconds: Settle is tried
	// at once after the commit as well.
	Later func(ctx context.Context, tx pgx.Tx, c Check) error
	// SawReport is told whenever verified reports came.
	SawReport func(provider string, place invite.Place)
	// Budget is shared by all polls of one Pipedream project: 5 a second. May be nil.
	Budget limit.Budget
	// Watched are the projects and modes whose connected accounts are checked daily.
	Watched []invite.Place
	// Reconnects reports whether a project wants an invite for an account that became
	// unhealthy. May be nil.
	Reconnects func(project string) bool
	// Silence is the time after which an unreported message of each kind gets
	// the reason no_receipt; default the channels' ReportWithin.
	Silence []ledger.Silence
	// InlineConfirm bounds the confirmation that is tried while Pipedream
	// waits for our answer; default 3 s.
	InlineConfirm time.Duration
	Now           func() time.Time // for the budget of one invite's looks; default time.Now
	Log           *slog.Logger
}

// Tracker folds callbacks, polls and overdue ends into state. It is safe for
// concurrent use.
type Tracker struct {
	p      Params
	flight singleflight.Group
	looks  *limit.Keyed // per invite: a page that is reloaded must not eat the project's budget
	avail  *Availability
}

// looksAtOnce is how many looks for one invite may follow each other at once.
const looksAtOnce = 5

// New makes a Tracker. A missing collaborator is an error.
func New(p Params) (*Tracker, error) {
	err := required.Check("track.Params", map[string]any{
		"DB": p.DB, "Box": p.Box, "Accounts": p.Accounts, "Callbacks": p.Callbacks, "Senders": p.Senders, "Publish": p.Publish,
		"Later": p.Later, "SawReport": p.SawReport,
	})
	if err != nil {
		return nil, err
	}
	if p.Budget == nil {
		p.Budget = unlimited{}
	}
	if p.InlineConfirm <= 0 {
		p.InlineConfirm = 3 * time.Second
	}
	if p.Silence == nil {
		for _, livemode := range []bool{false, true} {
			for _, spec := range invite.Specs() {
				p.Silence = append(p.Silence, ledger.Silence{Livemode: livemode, Channel: spec.Channel, After: spec.ReportWithin})
			}
		}
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Tracker{p: p, looks: limit.New(limit.Per(1, time.Second), looksAtOnce, p.Now), avail: NewAvailability(p.DB, p.Log)}, nil
}

// Availability is the record of missed callbacks. The process that serves them runs it.
func (t *Tracker) Availability() *Availability { return t.avail }

type unlimited struct{}

func (unlimited) Allow(string) (bool, time.Duration) { return true, 0 }

func (t *Tracker) inTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return postgres.InTx(ctx, t.p.DB, fn)
}

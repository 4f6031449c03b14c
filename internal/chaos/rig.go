package chaos

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/wire"
	"github.com/connectlink/connectlink/templates"
)

// PublicURL is where the rig's invite links point.
const PublicURL = "https://go.acme.example"

// Rig is what a dispatcher needs around it.
type Rig struct {
	DB        *pgxpool.Pool
	DirectURL string
	Box       *seal.Box
	SinkURL   string
	Settle    time.Duration // of lookups
	Log       *slog.Logger
	// SendGridReports makes SendGrid a provider that reports; else it is blind.
	SendGridReports bool
	OnUnknown       string
	Now             func() time.Time // the clock that a process believes in; time.Now
	// Passing is told of each place that a delivery passes: those of package
	// dispatch, and those of a call.
	Passing func(dispatch.Point)
}

// Senders makes the senders of a rig, by channel.
func (r Rig) Senders() (mail *sendgrid.Sender, text *twilio.Sender) {
	p := sendgrid.Params{
		BaseURL: r.SinkURL + "/sendgrid", APIKey: secret.New("SG.sink"), HTTP: wire.Client(wire.Params{}), Now: r.Now, Settle: r.Settle,
		From: message.Address{Email: secret.New("invites@acme.example"), Name: "Acme"},
	}
	if r.SendGridReports {
		p.ReportingSince = time.Now
	}
	return sendgrid.New(p), twilio.New(twilio.Params{
		BaseURL: r.SinkURL + "/twilio", AccountSID: "AC00000000000000000000000000000000", AuthToken: secret.New("sink"),
		From: "+15005550006", HTTP: wire.Client(wire.Params{}), Now: r.Now, Settle: r.Settle,
	})
}

// builtInTexts are read once: it takes longer than all else that a rig needs.
//
//nolint:gochecknoglobals // it is only read
var builtInTexts = sync.OnceValues(func() (*message.Renderer, error) { return message.NewRenderer(templates.FS) })

// Params wires a dispatcher to the rig; callers set knobs on the result.
func (r Rig) Params() (dispatch.Params, error) {
	renderer, err := builtInTexts()
	if err != nil {
		return dispatch.Params{}, err
	}
	composer, err := compose.New(compose.Params{PublicURL: PublicURL, Messages: func(invite.Place) *message.Renderer { return renderer }})
	if err != nil {
		return dispatch.Params{}, err
	}
	minter := mint.New(mint.Params{
		Client: pipedream.New(pipedream.Params{
			BaseURL: r.SinkURL + "/pipedream", ClientID: "sink", ClientSecret: secret.New("sink"), ProjectID: "proj_sink",
			Environment: "development", LinkHosts: []string{"pipedream.com"}, FirstDelay: time.Millisecond,
		}),
		Box: r.Box, PublicURL: PublicURL, Budget: limit.New(limit.Per(6000, time.Minute), 6000, time.Now),
	})
	mail, text := r.Senders()
	project := config.Project{ID: "default", Brand: config.Brand{Name: "Acme"}, OnUnknown: r.OnUnknown}
	pauses, err := pause.NewBoard(r.DB, r.Log)
	if err != nil {
		return dispatch.Params{}, err
	}
	return dispatch.Params{
		Pauses: pauses,
		DB:     r.DB, DirectURL: secret.New(r.DirectURL), Box: r.Box, Composer: composer, Log: r.Log, Now: r.Now,
		Minters: func(invite.Place, string) (*mint.Minter, bool) { return minter, true },
		Project: func(string) (config.Project, bool) { return project, true },
		Senders: func(_ invite.Place, ch invite.Channel) []provider.Sender {
			if ch == invite.SMS {
				return []provider.Sender{r.seen(text)}
			}
			return []provider.Sender{r.seen(mail)}
		},
		Passing: r.Passing,
		// The sink counts messages; suppressions and events have no part in it.
		BlockKeys: func(invite.Place, invite.Channel, string) []seal.Hash { return nil },
		Publish:   func(context.Context, pgx.Tx, ...ledger.Applied) error { return nil },
		CallbackURL: func(place invite.Place, provider, inv, attempt string) string {
			return PublicURL + "/hooks/" + provider + "/" + place.Project + "/test/" + inv + "/" + attempt
		},
	}, nil
}

// Load describes the deliveries to make. The zero value is an email with an
// invite link and a held connect link.
type Load struct {
	Project   string // "default"
	Channel   invite.Channel
	LinkType  invite.LinkType
	Pending   bool          // no connect link is held
	ExpiresIn time.Duration // 4 h
	Left      time.Duration // of the held link; ExpiresIn
	ValidFor  time.Duration
	Content   func(*invite.Content)
}

// Loaded is one delivery that was made.
type Loaded struct {
	InviteID   invite.ID
	DeliveryID invite.DeliveryID
	Key        string // the link that its message carries, as the sink's ledger has it
	Lane       invite.Lane
}

// Prepared are deliveries that are not stored yet.
type Prepared struct {
	Made []Loaded
	rows []ledger.New
	lane invite.Lane
}

// Insert makes n deliveries as an accepted request does.
func (r Rig) Insert(ctx context.Context, n int, l Load) ([]Loaded, error) {
	p, err := r.Prepare(n, l)
	if err != nil {
		return nil, err
	}
	return p.Made, r.Store(ctx, p, nil)
}

// Prepare makes n deliveries and stores none.
func (r Rig) Prepare(n int, l Load) (Prepared, error) {
	if l.Project == "" {
		l.Project = "default"
	}
	if l.Channel == "" {
		l.Channel = invite.Email
	}
	if l.LinkType == "" {
		l.LinkType = invite.InviteLink
	}
	if l.ExpiresIn == 0 {
		l.ExpiresIn = invite.DefaultExpiresIn
	}
	if l.Left == 0 {
		l.Left = l.ExpiresIn
	}
	p := Prepared{lane: invite.Place{Project: l.Project}.Lane(l.Channel)}
	for i := range n {
		row, made, err := r.row(l, p.lane, i)
		if err != nil {
			return Prepared{}, err
		}
		p.rows, p.Made = append(p.rows, row), append(p.Made, made)
	}
	return p, nil
}

// Store stores prepared deliveries as accepted requests are stored: with leases of
// d, which begins work on them, where it has room; nil: for a claim to take.
func (r Rig) Store(ctx context.Context, p Prepared, d *dispatch.Dispatcher) error {
	if err := ledger.EnsureLane(ctx, r.DB, p.lane); err != nil {
		return err
	}
	for rows := range slices.Chunk(p.rows, 200) {
		if err := r.storeGroup(ctx, rows, d); err != nil {
			return err
		}
	}
	return nil
}

func (r Rig) storeGroup(ctx context.Context, rows []ledger.New, d *dispatch.Dispatcher) error {
	reserved := make([]*dispatch.Reservation, len(rows))
	for i := range rows {
		if d == nil {
			break
		}
		if reservation, ok := d.Reserve(rows[i].Delivery.Lane); ok {
			owner, lasts := reservation.Lease()
			rows[i].Delivery.Lease, reserved[i] = &ledger.NewLease{Owner: owner, Lasts: lasts}, reservation
		}
	}
	stored, err := ledger.Insert(ctx, r.DB, rows)
	for i, reservation := range reserved {
		switch {
		case reservation == nil:
		case err == nil && stored[i].Leased:
			reservation.Start(rows[i], stored[i])
		default:
			reservation.Cancel()
		}
	}
	return err
}

func (r Rig) row(l Load, lane invite.Lane, i int) (ledger.New, Loaded, error) {
	id, del := invite.New[invite.ID](), invite.New[invite.DeliveryID]()
	code := access.NewCode()
	content := invite.Content{Recipient: invite.Recipient{
		Email: fmt.Sprintf("pat.%s@customer.example", id), Phone: Phone(id), Name: "Pat Doe",
	}, Inviter: "Sam Rivera"}
	if l.Content != nil {
		l.Content(&content)
	}
	plain, err := json.Marshal(content)
	if err != nil {
		return ledger.New{}, Loaded{}, err
	}
	seals := func(text []byte, column string, of [16]byte) []byte {
		if err != nil {
			return nil
		}
		var sealed []byte
		sealed, err = r.Box.Seal(text, seal.AD{Column: column, ID: of})
		return sealed
	}
	codeID := invite.New[invite.EventID]().UUID()
	row := ledger.New{
		ID: id, Place: invite.Place{Project: l.Project}, Environment: "development", Status: invite.Active, Channel: l.Channel, LinkType: l.LinkType,
		InitiatedBy: invite.ByProduct, ExternalUserID: fmt.Sprintf("user-%d", i), App: invite.App{Slug: "slack", Name: "Slack"},
		Content: seals(plain, "invites.content", id.UUID()), ExpiresIn: l.ExpiresIn, ValidFor: l.ValidFor,
		CreatedBy: invite.New[invite.KeyID](),
		Delivery:  &ledger.Delivery{ID: del, Number: 1, Channel: l.Channel, Kind: "first", Lane: lane},
		Code:      ledger.Code{ID: codeID, Digest: secret.Digest(code), Sealed: seals([]byte(code.Reveal()), "codes.code", codeID)},
		Event:     invite.Event{ID: invite.New[invite.EventID](), Type: invite.EventCreated, Actor: invite.Actor{Kind: invite.ActorKey}},
	}
	made := Loaded{InviteID: id, DeliveryID: del, Key: PublicURL + "/c/" + code.Reveal(), Lane: lane}
	if l.Pending {
		row.Status = invite.Pending
		return row, made, err
	}
	link := invite.New[invite.LinkID]()
	url := "https://pipedream.com/_static/connect.html?token=ctok_" + rand.Text() + "&connectLink=true&app=slack"
	row.Link = &ledger.Link{
		ID: link, URL: seals([]byte(url), "connect_links.url", link.UUID()), TokenDigest: randomBytes(), WebhookDigest: randomBytes(),
		Granted: l.ExpiresIn, Left: l.Left, ExpiresAtRaw: "as given",
	}
	if l.LinkType == invite.ConnectLink {
		made.Key = url
	}
	return row, made, err
}

func randomBytes() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return b
}

// Phone is a number of one invite only, so that a lookup by recipient finds
// only its messages.
func Phone(id invite.ID) string {
	u := id.UUID()
	n := uint64(0)
	for _, b := range u[8:] {
		n = n<<8 | uint64(b)
	}
	return fmt.Sprintf("+1%010d", n%10_000_000_000)
}

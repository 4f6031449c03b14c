// Package tracktest gives tests of recipients and callbacks what they start
// from: invites in a real database, and a small Pipedream on a real socket
// whose accounts and moods the test decides.
package tracktest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// Kit is a database, keys and a Pipedream of one test's own.
type Kit struct {
	t      testing.TB
	Pool   *pgxpool.Pool
	Box    *seal.Box
	Vendor *Pipedream
	Minter *mint.Minter
}

// New makes a Kit that lives as long as the test.
func New(t testing.TB) *Kit {
	t.Helper()
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keys)
	if err != nil {
		t.Fatal(err)
	}
	return NewWith(t, box)
}

// NewWith makes a Kit with keys of the test's.
func NewWith(t testing.TB, box *seal.Box) *Kit {
	t.Helper()
	k := &Kit{t: t, Pool: postgrestest.Pool(t), Box: box, Vendor: newPipedream(t)}
	k.Minter = mint.New(mint.Params{
		Client: k.Vendor.Client(), Box: box, PublicURL: "https://connect.example.test", CallbackURL: "https://connect.example.test",
		Budget: limit.New(limit.Per(100, time.Minute), 100, time.Now), Now: time.Now,
	})
	return k
}

// Minters is a mint.Set that knows the one project "default".
func (k *Kit) Minters(place invite.Place, _ string) (*mint.Minter, bool) {
	return k.Minter, place.Project == "default"
}

// Client reads accounts from the Kit's Pipedream.
func (k *Kit) Client() *pipedream.Client { return k.Vendor.Client() }

// Made is an invite with the secrets a test needs to act on it from outside.
type Made struct {
	ID       invite.ID
	Code     secret.Text
	Hook     secret.Text // the secret of its webhook's path; zero without a link
	Token    secret.Text // its connect token; zero without a link
	LinkID   invite.LinkID
	Delivery invite.DeliveryID
}

// Options shape an invite. The zero value is an active email invite with a
// link of four hours, for the external user "user-1" and the app "slack".
type Options struct {
	User     string
	App      string
	NoLink   bool // pending: minting must be retried
	Channel  invite.Channel
	Life     time.Duration // of the link; default 4 h
	ValidFor time.Duration
	Content  *invite.Content
	OAuth    string
	// Reconnect is the account that the invite asks to connect again, Of the invite by
	// which it was connected.
	Reconnect string
	Of        invite.ID
	// Hashed stores the user's hash, Sealed the user's id sealed as well. Without
	// them the invite is as an earlier version stored it.
	Hashed, Sealed bool
}

// Invite inserts an invite as the API would.
func (k *Kit) Invite(o Options) Made {
	k.t.Helper()
	if o.User == "" {
		o.User = "user-1"
	}
	if o.App == "" {
		o.App = "slack"
	}
	if o.Channel == "" {
		o.Channel = invite.Email
	}
	if o.Life == 0 {
		o.Life = 4 * time.Hour
	}
	if o.Content == nil {
		o.Content = &invite.Content{Recipient: invite.Recipient{Email: "pat@customer.example", Phone: "+12025550100", Name: "Pat"}, Inviter: "Sam Rivera"}
	}
	m := Made{ID: invite.New[invite.ID](), Code: access.NewCode()}
	plain, err := json.Marshal(o.Content)
	k.must(err)
	row := ledger.New{
		ID: m.ID, Place: invite.Place{Project: "default"}, Environment: "production", Status: invite.Active, Channel: o.Channel,
		LinkType: invite.InviteLink, InitiatedBy: invite.ByProduct, ExternalUserID: o.User,
		App: invite.App{Slug: o.App, Name: "Slack", AuthType: "oauth"}, OAuthAppID: o.OAuth,
		Content:   k.seal(plain, "invites.content", m.ID.UUID()),
		ExpiresIn: 4 * time.Hour, ValidFor: o.ValidFor, CreatedBy: invite.New[invite.KeyID](),
		Event: invite.Event{ID: invite.New[invite.EventID](), Type: invite.EventCreated},
		Terms: ledger.Terms(k.Box, invite.Place{Project: "default"}, *o.Content),
	}
	if o.Reconnect != "" {
		row.Kind, row.ReconnectAccount, row.ReconnectOf = invite.PurposeReconnect, o.Reconnect, o.Of
	}
	if o.Hashed || o.Sealed {
		row.UserHash = userid.Hash(k.Box, invite.Place{Project: "default"}, o.User)
	}
	if o.Sealed {
		user, err := userid.Seal(k.Box, m.ID, o.User, row.UserHash)
		k.must(err)
		row.ExternalUserID, row.SealedUserID = user.UserText, user.SealedUser
	}
	row.Code = ledger.Code{ID: invite.New[invite.EventID]().UUID(), Digest: secret.Digest(m.Code)}
	row.Code.Sealed = k.seal([]byte(m.Code.Reveal()), "codes.code", row.Code.ID)
	if o.NoLink {
		row.Status = invite.Pending
	} else {
		var link ledger.Link
		link, m.Hook, m.Token = k.Link(o.Life, o.Life)
		row.Link, m.LinkID = &link, link.ID
	}
	if o.Channel != invite.LinkOnly {
		m.Delivery = invite.New[invite.DeliveryID]()
		row.Delivery = &ledger.Delivery{ID: m.Delivery, Number: 1, Channel: o.Channel, Kind: "first", Lane: invite.Place{Project: "default"}.Lane(o.Channel)}
	}
	in, err := ledger.Insert(k.t.Context(), k.Pool, []ledger.New{row})
	k.must(err)
	if in[0].Lost {
		k.t.Fatal("the invite was not stored")
	}
	return m
}

// Link makes a connect link that was not minted at any Pipedream.
func (k *Kit) Link(granted, left time.Duration) (link ledger.Link, hook, token secret.Text) {
	k.t.Helper()
	hook, token = access.NewCallbackSecret(), secret.New("ctok_"+access.NewCallbackSecret().Reveal())
	id := invite.New[invite.LinkID]()
	url := "https://pipedream.com/_static/connect.html?token=" + token.Reveal() + "&connectLink=true&app=slack"
	return ledger.Link{
		ID: id, URL: k.seal([]byte(url), "connect_links.url", id.UUID()), TokenDigest: secret.Digest(token),
		WebhookDigest: secret.Digest(hook), Granted: granted, Left: left, ExpiresAtRaw: time.Now().Add(left).UTC().Format(time.RFC3339Nano),
	}, hook, token
}

// HandOut hands out an invite's link, as a press of the button does.
func (k *Kit) HandOut(m Made) {
	k.t.Helper()
	k.InTx(func(tx pgx.Tx) error {
		if err := ledger.SetHandedOut(k.t.Context(), tx, m.ID, m.LinkID); err != nil {
			return err
		}
		_, err := ledger.Append(k.t.Context(), tx, k.Box, m.ID, invite.Event{
			Type: invite.EventContinued, LinkID: m.LinkID, Actor: invite.Actor{Kind: invite.ActorRecipient},
		})
		return err
	})
}

// Attempt records the beginning of a call to a provider, as dispatch does:
// the delivery is being sent and its outcome is unknown.
func (k *Kit) Attempt(m Made, provider, outcome string) invite.AttemptID {
	k.t.Helper()
	id := invite.New[invite.AttemptID]()
	k.Exec(`INSERT INTO attempts (invite_id, delivery_id, id, number, provider, account, template_version, lease_token, outcome, started_at)
		SELECT $1, $2, $3, 1 + count(*), $4, $4, 'v1', 1, $5, now() FROM attempts WHERE invite_id = $1`, m.ID, m.Delivery, id, provider, outcome)
	k.Append(m.ID, invite.Event{Type: invite.EventDeliverySending, DeliveryID: m.Delivery, AttemptID: id})
	return id
}

// Append records events.
func (k *Kit) Append(id invite.ID, events ...invite.Event) {
	k.t.Helper()
	k.InTx(func(tx pgx.Tx) error {
		_, err := ledger.Append(k.t.Context(), tx, k.Box, id, events...)
		return err
	})
}

// InTx runs fn in a transaction.
func (k *Kit) InTx(fn func(tx pgx.Tx) error) {
	k.t.Helper()
	k.must(postgres.InTx(k.t.Context(), k.Pool, fn))
}

// Exec runs SQL by which a test makes time pass or breaks something.
func (k *Kit) Exec(sql string, args ...any) {
	k.t.Helper()
	_, err := k.Pool.Exec(k.t.Context(), sql, args...)
	k.must(err)
}

// Get reads an invite.
func (k *Kit) Get(id invite.ID) find.Invite {
	k.t.Helper()
	got, err := find.Any(k.t.Context(), k.Pool, id)
	k.must(err)
	return got
}

// Types lists an invite's events by type.
func (k *Kit) Types(id invite.ID) []invite.EventType {
	k.t.Helper()
	var types []invite.EventType
	for _, e := range k.Events(id) {
		types = append(types, e.Type)
	}
	return types
}

// Events reads an invite's timeline.
func (k *Kit) Events(id invite.ID) []find.Event {
	k.t.Helper()
	events, err := find.Events(k.t.Context(), k.Pool, id)
	k.must(err)
	return events
}

// Count counts by a query.
func (k *Kit) Count(sql string, args ...any) int {
	k.t.Helper()
	var n int
	k.must(k.Pool.QueryRow(k.t.Context(), sql, args...).Scan(&n))
	return n
}

func (k *Kit) seal(plain []byte, column string, id [16]byte) []byte {
	k.t.Helper()
	sealed, err := k.Box.Seal(plain, seal.AD{Column: column, ID: id})
	k.must(err)
	return sealed
}

func (k *Kit) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

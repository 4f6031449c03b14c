package issue_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const publicURL = "https://go.acme.example"

// world is a database, Pipedream's stand-in on the wire, and as many
// processes' worth of services as a test asks for.
type world struct {
	t       testing.TB
	db      *pgxpool.Pool
	box     *seal.Box
	sandbox *sandbox.Sandbox
	vendors *httptest.Server
	mints   atomic.Int64
	down    atomic.Bool
	onMint  atomic.Pointer[func()] // may be nil
	key     access.Principal
	project config.Project
	woken   chan invite.Lane
}

func newWorld(t testing.TB) *world {
	t.Helper()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: postgrestest.Pool(t), box: box, woken: make(chan invite.Lane, 1024)}
	if w.sandbox, err = sandbox.New(t.Context(), sandbox.Params{DB: w.db, Box: box, PublicURL: publicURL + "/sandbox"}); err != nil {
		t.Fatal(err)
	}
	handler := w.sandbox.Vendors()
	w.vendors = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/tokens") {
			w.mints.Add(1)
			if f := w.onMint.Load(); f != nil {
				(*f)()
			}
			if w.down.Load() {
				http.Error(rw, "bad gateway", http.StatusBadGateway)
				return
			}
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.vendors.Close)
	w.project = config.Project{ID: "default", Brand: config.Brand{Name: "Acme", Region: "US"}}
	w.key = w.newKey()
	return w
}

func (w *world) newKey() access.Principal {
	id := invite.New[invite.KeyID]()
	key, hint := access.NewKey(false)
	parsed, err := access.ParseKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	err = account.InsertKey(w.t.Context(), w.db, account.Key{
		ID: id, Place: invite.Place{Project: "default"}, Hint: hint, Environment: "development", Scopes: []string{},
	}, parsed.Digest)
	if err != nil {
		w.t.Fatal(err)
	}
	return access.Principal{
		Kind: access.KindKey, ID: id.String(), Place: invite.Place{Project: "default"}, Environment: "development", Scopes: access.DefaultScopes(),
	}
}

// process is one process's service: it shares nothing with another's but the database.
func (w *world) process(change ...func(*issue.Params)) *issue.Service {
	cred := w.sandbox.Credentials()
	client := pipedream.New(pipedream.Params{
		BaseURL: w.vendors.URL + "/pipedream", ClientID: cred.PipedreamClientID, ClientSecret: cred.PipedreamClientSecret,
		ProjectID: cred.PipedreamProjectID, Environment: "development", FirstDelay: time.Millisecond,
	})
	minter := mint.New(mint.Params{
		Client: client, Box: w.box, PublicURL: publicURL, CallbackURL: publicURL,
		Budget: limit.New(limit.Per(100, time.Minute), 100, time.Now),
	})
	pauses, err := pause.NewBoard(w.db, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := pauses.Load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	p := issue.Params{
		Pauses:  pauses,
		Senders: func(invite.Place) []string { return nil }, OneWay: func(invite.Place) bool { return false },
		DB: w.db, Box: w.box, PublicURL: publicURL,
		Minters:  func(invite.Place, string) (*mint.Minter, bool) { return minter, true },
		Project:  func(string) (config.Project, bool) { return w.project, true },
		Uses:     func(quota.Message) []ledger.Use { return nil },
		Wake:     func(lane invite.Lane) { w.woken <- lane },
		Publish:  func(context.Context, pgx.Tx, ...ledger.Applied) error { return nil },
		Announce: func(func(time.Time) find.Invite) (ledger.NewPublic, error) { return ledger.NewPublic{}, nil },
		Rehearse: func(ctx context.Context, user string, r invite.Recipient) error {
			script := sandbox.MintScriptFor(r.Email)
			if script == "" {
				return nil
			}
			return w.sandbox.ScriptMint(ctx, user, script)
		},
		Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&p)
	}
	s, err := issue.New(p)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// count answers a question about the database with one number.
func (w *world) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.db.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func ask(user string) issue.CreateRequest {
	return issue.CreateRequest{
		ExternalUserID: user, App: "slack", OAuthAppID: "oa_slack9", Channel: "email",
		Recipient: &issue.RecipientRequest{Email: "Pat.Doe@customer.example", Name: "Pat Doe"},
		Inviter:   &issue.InviterRequest{Name: "Sam Rivera"},
	}
}

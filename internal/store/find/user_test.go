package find_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// statements is a pgx tracer that keeps every parameter sent to Postgres.
type statements struct {
	mu   sync.Mutex
	args []string
}

func (s *statements) add(sql string, args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.args = append(s.args, sql)
	for _, a := range args {
		s.args = append(s.args, fmt.Sprintf("%v %s", a, a))
	}
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	s.add(d.SQL, d.Args)
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	s.add(d.SQL, d.Args)
}

func (*statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// take returns the statements sent since the last call.
func (s *statements) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.args, "\n")
	s.args = nil
	return all
}

// newTraced is an archive whose statements are kept.
func newTraced(t *testing.T) (*archive, *statements) {
	t.Helper()
	a := newArchive(t)
	cfg, err := pgxpool.ParseConfig(postgrestest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	sent := &statements{}
	cfg.ConnConfig.Tracer = sent
	if a.db, err = pgxpool.NewWithConfig(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.db.Close)
	return a, sent
}

// addressLike are user ids that are addresses and numbers, with what of them
// must not be sent to Postgres.
var addressLike = map[string]string{
	"canary.person+x@victim.example":           "canary.person",
	`"canary person"@victim.example`:           "canary person",
	"Canary Person <canary@victim.example>":    "canary@",
	"mailto:canary.person@victim.example":      "canary.person",
	"canary.person%40victim.example":           "canary.person",
	"canary.person＠victim.example":             "canary.person",
	"+1 415 555 0188":                          "555 0188",
	"+14155550188":                             "4155550188",
	"4155550188":                               "4155550188",
	"tel:+1-415-555-0188":                      "555-0188",
	"call4155550188now":                        "4155550188",
	"(415) 555-0188 ext. 7":                    "555-0188",
	"auth0|canary.person@victim.example":       "canary.person",
	"att_canary.person@victim.example":         "canary.person",
	"canary.person@victim.example:tenant-7":    "canary.person",
	"crm/Canary Person":                        "Canary",
	"https://crm.example/u/canary@victim.test": "canary@",
}

// TestF09AnAddressReachesPostgresOnlyHashed: an address or number that is
// searched for, or by which a user's invites are looked up, is in no statement
// and no parameter, and the invites are found all the same.
func TestF09AnAddressReachesPostgresOnlyHashed(t *testing.T) {
	t.Parallel()
	for _, older := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored by an earlier version: %t", older), func(t *testing.T) {
			t.Parallel()
			a, sent := newTraced(t)
			for user, canary := range addressLike {
				s := a.add(person{user: user, email: "someone@elsewhere.example"})
				if older {
					a.exec(`UPDATE invites SET user_hash = NULL`)
				}
				sent.take()
				f := a.search("  " + user)
				if !slices.Contains(hits(f.Hits), s.id.String()+" user") {
					t.Errorf("%q finds %v, want %s", user, hits(f.Hits), s.id)
				}
				u := find.NewUser(a.box, invite.Place{Project: "default"}, user)
				list, _, err := find.List(t.Context(), a.db, find.Filter{Place: invite.Place{Project: "default"}, User: u, Limit: 3})
				if err != nil || len(list) != 1 || list[0].ID != s.id {
					t.Errorf("the list of %q: %v, %v", user, list, err)
				}
				if inv, ok, err := find.FindActive(t.Context(), a.db, u, "slack"); err != nil || !ok || inv.ID != s.id {
					t.Errorf("the open invite of %q: %v, %t, %v", user, inv.ID, ok, err)
				}
				if ids, err := find.ListUser(t.Context(), a.db, u, 3); err != nil || !slices.Equal(ids, []invite.ID{s.id}) {
					t.Errorf("the invites of %q: %v, %v", user, ids, err)
				}
				if c, err := find.CountUser(t.Context(), a.db, u); err != nil || c != (find.UserCount{Invites: 1, Working: 1}) {
					t.Errorf("the number of the invites of %q: %+v, %v", user, c, err)
				}
				if ids, err := find.ListActive(t.Context(), a.db, u, "slack", invite.New[invite.ID]()); err != nil || !slices.Equal(ids, []invite.ID{s.id}) {
					t.Errorf("the open invites of %q: %v, %v", user, ids, err)
				}
				text := sent.take()
				if text == "" {
					t.Fatal("no statement was traced")
				}
				if strings.Contains(strings.ToLower(text), strings.ToLower(canary)) {
					t.Errorf("searching for %q sends Postgres %q in\n%s", user, canary, text)
				}
			}
		})
	}
}

// TestF09NothingTypedReachesPostgresAsAnAddress: also what nothing has.
func TestF09NothingTypedReachesPostgresAsAnAddress(t *testing.T) {
	t.Parallel()
	a, sent := newTraced(t)
	for text, canary := range addressLike {
		a.search(text)
		a.search("<" + text + ">")
		a.search(strings.ToUpper(text))
		if all := sent.take(); strings.Contains(strings.ToLower(all), strings.ToLower(canary)) {
			t.Errorf("searching for %q sends Postgres %q in\n%s", text, canary, all)
		}
	}
}

func TestF09ASMTPMessageIDFindsItsInviteByTheAttemptInIt(t *testing.T) {
	t.Parallel()
	a, sent := newTraced(t)
	s := a.add(person{email: "pat@customer.example"})
	a.add(person{email: "sam@customer.example"})
	attempt := invite.New[invite.AttemptID]()
	message := "<" + attempt.String() + "@brand.example>"
	a.exec(`INSERT INTO attempts (invite_id, delivery_id, id, number, provider, account, template_version,
		lease_token, outcome, started_at, provider_message_id) VALUES ($1, $2, $3, 1, 'smtp', 'smtp:1', 'v1', 1, 'accepted', now(), $4)`,
		s.id, s.delivery, attempt, message)
	sent.take()
	for _, text := range []string{message, strings.Trim(message, "<>"), "Message-ID: " + message, attempt.String(), strings.ToUpper(message)} {
		if diff := cmp.Diff([]string{s.id.String() + " message"}, hits(a.search(text).Hits)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	if text := sent.take(); strings.Contains(text, "@brand") {
		t.Errorf("the message id was sent to Postgres in\n%s", text)
	}
	for _, q := range []find.Query{{Place: invite.Place{Project: "other"}, Text: message}, {Place: invite.Place{Project: "default", Live: true}, Text: message}} {
		if f := a.searchAs(q); len(f.Hits) > 0 {
			t.Errorf("%+v finds %v", q, hits(f.Hits))
		}
	}
}

func TestAProvidersMessageIDIsFoundWhateverItsDigits(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for _, id := range []string{"SM0123456789abcdef0123456789abcdef", "MM01234567890123456789012345678901", "14c5d75ce93.dfd.64b469", "xQZ-1Lp0TyGk1hd6d4wqzw", "-0_1Lp0TyGk1hd6d4wqz-w"} {
		s := a.add(person{email: "pat@customer.example"})
		a.sent(s, id)
		if diff := cmp.Diff([]string{s.id.String() + " message"}, hits(a.search(id).Hits)); diff != "" {
			t.Errorf("%q: %s", id, diff)
		}
	}
}

func TestAnErasedUserIsFoundNeitherByIDNorByHash(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	s := a.add(person{user: "pat@customer.example", email: "someone@elsewhere.example"})
	if err := pgx.BeginFunc(t.Context(), a.db, func(tx pgx.Tx) error {
		return ledger.SetErased(t.Context(), tx, []invite.ID{s.id}, "erased:00", userid.Hash(a.box, invite.Place{Project: "default"}, "erased:00"))
	}); err != nil {
		t.Fatal(err)
	}
	if f := a.search("pat@customer.example"); len(f.Hits) > 0 {
		t.Errorf("found: %v", hits(f.Hits))
	}
	if ids, err := find.ListUser(t.Context(), a.db, find.NewUser(a.box, invite.Place{Project: "default"}, "pat@customer.example"), 3); err != nil || len(ids) > 0 {
		t.Errorf("listed: %v, %v", ids, err)
	}
}

// An erasure ends the link of a failed invite too: the person may have it by another way.
func TestCountUserCountsTheLinksThatWork(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	failed := a.bounced(a.add(person{user: "user-7", email: "pat@customer.example"}), invite.AddressNotFound)
	a.append(a.add(person{user: "user-7", email: "pat@customer.example"}).id, invite.Event{Type: invite.EventRevoked})
	u := find.NewUser(a.box, invite.Place{Project: "default"}, "user-7")
	if c, err := find.CountUser(t.Context(), a.db, u); err != nil || c != (find.UserCount{Invites: 2, Working: 1}) {
		t.Errorf("%+v, %v", c, err)
	}
	a.exec(`UPDATE invites SET gives_up_at = now() WHERE id = $1`, failed.id)
	if c, err := find.CountUser(t.Context(), a.db, u); err != nil || c != (find.UserCount{Invites: 2}) {
		t.Errorf("after its end: %+v, %v", c, err)
	}
}

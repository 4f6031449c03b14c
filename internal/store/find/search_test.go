package find_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// archive is a database with invites in it.
type archive struct {
	t   *testing.T
	db  *pgxpool.Pool
	key *seal.Keyset
	box *seal.Box
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	k, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	a := &archive{t: t, db: postgrestest.Pool(t), key: k}
	a.box = a.boxOf(k)
	return a
}

func (a *archive) boxOf(k *seal.Keyset) *seal.Box {
	a.t.Helper()
	box, err := seal.NewBox(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return box
}

type person struct {
	project            string
	livemode           bool
	user               string
	sealed             bool // store user sealed
	email, phone, name string
	request, inviter   string
	metadata           map[string]string
}

type stored struct {
	id          invite.ID
	delivery    invite.DeliveryID
	code, token secret.Text
}

func (a *archive) add(p person) stored {
	a.t.Helper()
	if p.project == "" {
		p.project = "default"
	}
	if p.user == "" {
		p.user = "user-" + invite.New[invite.ID]().String()
	}
	channel := invite.Email
	if p.email == "" {
		channel = invite.SMS
	}
	s := stored{id: invite.New[invite.ID](), delivery: invite.New[invite.DeliveryID](), code: access.NewCode(), token: secret.New("ctok_" + access.NewCode().Reveal())}
	r := invite.Recipient{Email: p.email, Phone: p.phone, Name: p.name}
	sealed := func(plain, column string, id [16]byte) []byte {
		b, err := a.box.Seal([]byte(plain), seal.AD{Column: column, ID: id})
		if err != nil {
			a.t.Fatal(err)
		}
		return b
	}
	content := invite.Content{Recipient: r, Inviter: p.inviter, Metadata: p.metadata}
	plain, err := json.Marshal(content)
	if err != nil {
		a.t.Fatal(err)
	}
	link, code := invite.New[invite.LinkID](), invite.New[invite.EventID]().UUID()
	user := userid.Columns{UserText: p.user}
	hash := userid.Hash(a.box, invite.Place{Project: p.project, Live: p.livemode}, p.user)
	if p.sealed {
		if user, err = userid.Seal(a.box, s.id, p.user, hash); err != nil {
			a.t.Fatal(err)
		}
	}
	_, err = ledger.Insert(a.t.Context(), a.db, []ledger.New{{
		ID: s.id, Place: invite.Place{Project: p.project, Live: p.livemode}, Environment: "development", Status: invite.Active, Channel: channel,
		LinkType: invite.InviteLink, InitiatedBy: invite.ByProduct, ExternalUserID: user.UserText,
		SealedUserID: user.SealedUser, UserHash: hash, App: invite.App{Slug: "slack", Name: "Slack"},
		Content: sealed(string(plain), "invites.content", s.id.UUID()), ExpiresIn: time.Hour, CreatedBy: invite.New[invite.KeyID](),
		Link: &ledger.Link{
			ID: link, URL: sealed("https://pipedream.com/x?token="+s.token.Reveal(), "connect_links.url", link.UUID()),
			TokenDigest: secret.Digest(s.token), WebhookDigest: secret.Digest(access.NewCode()), Granted: time.Hour, Left: time.Hour,
			ExpiresAtRaw: time.Now().Add(time.Hour).Format(time.RFC3339),
		},
		Delivery: &ledger.Delivery{ID: s.delivery, Number: 1, Channel: channel, Kind: "first", Lane: invite.Place{Project: "default"}.Lane("x")},
		Code:     ledger.Code{ID: code, Digest: secret.Digest(s.code), Sealed: sealed(s.code.Reveal(), "codes.code", code)},
		Event:    invite.Event{ID: invite.New[invite.EventID](), Type: invite.EventCreated, Data: invite.Data{RequestID: p.request}},
		Terms:    ledger.Terms(a.box, invite.Place{Project: p.project, Live: p.livemode}, content),
	}})
	if err != nil {
		a.t.Fatal(err)
	}
	return s
}

func (a *archive) append(id invite.ID, events ...invite.Event) {
	a.t.Helper()
	if err := postgres.InTx(a.t.Context(), a.db, func(tx pgx.Tx) error {
		_, err := ledger.Append(a.t.Context(), tx, a.box, id, events...)
		return err
	}); err != nil {
		a.t.Fatal(err)
	}
}

// bounced lets the message come back.
func (a *archive) bounced(s stored, reason invite.Reason) stored {
	a.t.Helper()
	a.append(s.id, invite.Event{Type: invite.EventDeliveryBounced, DeliveryID: s.delivery, Data: invite.Data{Reason: reason}, At: time.Now()})
	return s
}

// sent records that a provider took the message under an id of its own.
func (a *archive) sent(s stored, message string) {
	a.t.Helper()
	if _, err := a.db.Exec(a.t.Context(), `INSERT INTO attempts (invite_id, delivery_id, id, number, provider, account, template_version,
		lease_token, outcome, started_at, provider_message_id) VALUES ($1, $2, $3, 1, 'sendgrid', 'sendgrid:1', 'v1', 1, 'accepted', now(), $4)`,
		s.id, s.delivery, invite.New[invite.AttemptID](), message); err != nil {
		a.t.Fatal(err)
	}
}

func (a *archive) search(text string) find.Found {
	a.t.Helper()
	return a.searchAs(find.Query{Place: invite.Place{Project: "default"}, Region: "US", Text: text})
}

func (a *archive) searchAs(q find.Query) find.Found {
	a.t.Helper()
	f, err := find.Search(a.t.Context(), a.db, a.box, q)
	if err != nil {
		a.t.Fatalf("search for %q: %v", q.Text, err)
	}
	return f
}

// hits are the results, as "inv_… by".
func hits(list []find.Hit) []string {
	out := make([]string, 0, len(list))
	for _, h := range list {
		out = append(out, h.ID.String()+" "+string(h.By))
	}
	return out
}

func newRequest() string {
	return "req_" + strings.TrimPrefix(invite.New[invite.ID]().String(), "inv_")
}

func TestAnInviteIsFoundByEverythingThatNamesIt(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	first, again := newRequest(), newRequest()
	s := a.add(person{user: "crm/4711 ", email: "Pat.Doe@Customer.example", phone: "+12025550147", name: "Pat O'Doe", request: first})
	a.append(s.id, invite.Event{Type: invite.EventResent, Data: invite.Data{RequestID: again, HasLink: true}})
	a.append(s.id, invite.Event{Type: invite.EventConnected, At: time.Now(), Data: invite.Data{AccountID: "apn_7xKd9"}})
	a.sent(s, "14c5d75ce93.dfd")
	a.sent(a.add(person{email: "sam@elsewhere.example", phone: "+12025550199", name: "Sam Roe", request: newRequest()}), "SM0123456789abcdef0123456789abcdef")
	for text, by := range map[string]find.By{
		"pat.doe@customer.example": find.ByEmail,
		"PAT.DOE@CUSTOMER.EXAMPLE": find.ByEmail,
		"(202) 555-0147":           find.ByPhone,
		"+12025550147":             find.ByPhone,
		"0147":                     find.ByLast4,
		s.id.String():              find.ByInvite,
		invite.ReferenceOf(s.id):   find.ByReference,
		" " + strings.ToLower(strings.ReplaceAll(invite.ReferenceOf(s.id), "-", " ")) + "\n": find.ByReference,
		s.delivery.String():                     find.ByDelivery,
		first:                                   find.ByRequest,
		again:                                   find.ByRequest,
		s.code.Reveal():                         find.ByLink,
		"https://go.acme/c/" + s.code.Reveal():  find.ByLink,
		"https://x/y?token=" + s.token.Reveal(): find.ByConnectLink,
		"14c5d75ce93.dfd":                       find.ByMessage,
		"apn_7xKd9":                             find.ByAccount,
		"customer.example":                      find.ByDomain,
		"pat":                                   find.ByName,
		"Doe, Pat":                              find.ByName,
	} {
		f := a.search(text)
		if diff := cmp.Diff([]string{s.id.String() + " " + string(by)}, hits(f.Hits)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	if f := a.search("pat roe"); len(f.Hits) != 0 {
		t.Errorf("of a name every word must be there, yet %v", hits(f.Hits))
	}
}

func TestAnExternalUserIDIsFoundWhateverItLooksLike(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for _, user := range []string{"user-1", "pat@customer.example", "2025550147", "O'Brien\\; DROP TABLE invites;--", "用户 42", "%"} {
		s := a.add(person{user: user, email: "someone@elsewhere.example"})
		f := a.search(" " + user + "\n")
		if diff := cmp.Diff([]string{s.id.String() + " user"}, hits(f.Hits)); diff != "" {
			t.Errorf("%q: %s", user, diff)
		}
	}
}

func TestSearchNeverLooksIntoAnotherProjectOrMode(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	request := newRequest()
	other := []person{{project: "other"}, {livemode: true}}
	for _, p := range other {
		p.user, p.email, p.phone, p.name, p.request = "user-9", "pat@customer.example", "+12025550147", "Pat", request
		s := a.bounced(a.add(p), invite.AddressNotFound)
		a.sent(s, "SM0123456789abcdef0123456789abcdef")
		a.append(s.id, invite.Event{Type: invite.EventResent, Data: invite.Data{RequestID: request, HasLink: true}},
			invite.Event{Type: invite.EventConnected, At: time.Now(), Data: invite.Data{AccountID: "apn_1"}})
		for _, text := range []string{
			"pat@customer.example", "+12025550147", "0147", "pat", "customer.example", "user-9", "apn_1", request, "SM0123456789abcdef0123456789abcdef",
			s.id.String(), s.delivery.String(), s.code.Reveal(), "token=" + s.token.Reveal(), "pat@custmer.example",
		} {
			if f := a.search(text); len(f.Hits)+len(f.Similar) > 0 {
				t.Errorf("%q in test mode of default finds %v %v of %+v", text, hits(f.Hits), hits(f.Similar), p)
			}
		}
		if f := a.searchAs(find.Query{Place: invite.Place{Project: or(p.project, "default"), Live: p.livemode}, Text: s.code.Reveal()}); len(f.Hits) != 1 {
			t.Errorf("in its own place it is found %d times", len(f.Hits))
		}
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestTheRightAddressFindsTheMisspeltOne(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	wrongDomain := a.bounced(a.add(person{email: "pat.doe@custmer.example", name: "Patricia Doe"}), invite.AddressNotFound)
	wrongLocal := a.bounced(a.add(person{email: "pta@customer.example", name: "Pat"}), invite.AddressNotFound)
	sameDomain := a.bounced(a.add(person{email: "sam@customer.example"}), invite.AddressNotFound)
	wrongNumber := a.bounced(a.add(person{phone: "+12025550147"}), invite.NumberUnknown)
	a.add(person{email: "pat.doe@fine.example", name: "Pat Doe"}) // arrived, or is on its way: nothing to put right
	for text, want := range map[string][]string{
		"pat.doe@customer.example": {wrongDomain.id.String() + " email", wrongLocal.id.String() + " name", sameDomain.id.String() + " domain"},
		"+1 202 555 9147":          {wrongNumber.id.String() + " phone"},
		"+44 20 7946 0958":         nil,
		"+1 212 555 0147":          {wrongNumber.id.String() + " phone"},
		"+44 20 7946 0147":         {wrongNumber.id.String() + " last4"},
		"patricia smith":           {wrongDomain.id.String() + " name"},
	} {
		f := a.search(text)
		if len(f.Hits) > 0 {
			t.Errorf("%q is nobody's address, and yet %v", text, hits(f.Hits))
		}
		if diff := cmp.Diff(want, hits(f.Similar), cmp.Transformer("", func(l []string) string { return strings.Join(l, "\n") })); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestWhateverStaffPasteIsAnswered(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.add(person{email: "pat@customer.example"})
	for _, text := range []string{
		"", " ", "\x00", "\xff\xfe", "'", `"`, "%", "_", "\\", "<script>alert(1)</script>", "inv_", "inv_zzzzzzzzzzzzzzzzzzzzzzzzzz", "dlv_0", "req_1",
		strings.Repeat("a", 10_000), strings.Repeat("@", 3000), strings.Repeat("+1", 2000), "pat@@customer", "http://", "://", "?token=", "0000",
		"\u202e\u2066\ufeff", "SELECT 1; DROP TABLE invites", strings.Repeat("word ", 500), "🎈", "/c/", "https://x/c/" + strings.Repeat("A", 20) + "/c/" + strings.Repeat("B", 20),
	} {
		if f := a.search(text); len(f.Hits) > 0 {
			t.Errorf("%.40q finds %v", text, hits(f.Hits))
		}
	}
}

func TestManyHitsAreCutAndSaidToBe(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	var newest stored
	for range 4 {
		newest = a.add(person{email: "pat@customer.example"})
	}
	f := a.searchAs(find.Query{Place: invite.Place{Project: "default"}, Text: "pat@customer.example", Limit: 3})
	if len(f.Hits) != 3 || !f.More || f.Hits[0].ID != newest.id {
		t.Errorf("found %v, more %t; want the newest three and more", hits(f.Hits), f.More)
	}
}

func TestAnAddressHashedByAnOlderKeyIsStillFound(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	s := a.add(person{email: "pat@customer.example", name: "Pat Doe"})
	rotated, err := a.key.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	a.box = a.boxOf(rotated)
	later := a.add(person{email: "pat@customer.example", name: "Pat Doe"})
	for _, text := range []string{"pat@customer.example", "pat doe", "pat"} {
		if f := a.search(text); len(f.Hits) != 2 || f.Hits[0].ID != later.id || f.Hits[1].ID != s.id {
			t.Errorf("%q finds %v, want both, the later first", text, hits(f.Hits))
		}
	}
}

// Once the longest word's newest invites were all that was looked at.
func TestBugANameIsFoundByItsRareWordHoweverLongAgo(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	s := a.add(person{email: "ng@customer.example", name: "Christopher Ng"})
	common := contact.Term{Kind: contact.TermName, Value: "christopher"}
	a.crowd(12_000, time.Now().Add(time.Hour), "slack")
	a.exec(`INSERT INTO search_terms (hash, invite_id) SELECT $1, id FROM invites WHERE id <> $2`,
		a.box.Hash(common.Kind, common.Parts(invite.Place{Project: "default"})...), s.id)
	if diff := cmp.Diff([]string{s.id.String() + " name"}, hits(a.search("Christopher Ng").Hits)); diff != "" {
		t.Error(diff)
	}
}

// A visit is the commonest change of all. Were progress in an index, or in its
// predicate, each would write to every index of invites.
func TestAVisitWritesToNoIndexOfInvites(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	s := a.add(person{email: "pat@customer.example"})
	if err := postgres.InTx(t.Context(), a.db, func(tx pgx.Tx) error {
		if _, err := ledger.Append(t.Context(), tx, a.box, s.id, invite.Event{Type: invite.EventVisited}); err != nil {
			return err
		}
		var updated, hot int
		if err := tx.QueryRow(t.Context(), `SELECT pg_stat_get_xact_tuples_updated('invites'::regclass), pg_stat_get_xact_tuples_hot_updated('invites'::regclass)`).Scan(&updated, &hot); err != nil {
			return err
		}
		if updated != 1 || hot != 1 {
			t.Errorf("%d rows updated, %d of them without a write to indexes", updated, hot)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

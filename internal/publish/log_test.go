package publish_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/waittest"
)

var here = invite.Place{Project: "default"}

// logKit is a log of events in a database of the test's own, of a project without endpoints.
type logKit struct {
	*tracktest.Kit
	t      *testing.T
	outbox *publish.Outbox
	log    *publish.Log
}

func newLogKit(t *testing.T) *logKit {
	t.Helper()
	k := tracktest.New(t)
	return &logKit{Kit: k, t: t, outbox: publish.NewOutbox(k.Box), log: publish.NewLog(k.Pool, k.Box)}
}

// write records events in a transaction of the caller.
func (k *logKit) write(tx pgx.Tx, id invite.ID, events ...invite.Event) error {
	applied, err := ledger.Append(k.t.Context(), tx, k.Box, id, events...)
	if err != nil {
		return err
	}
	return k.outbox.Enqueue(k.t.Context(), tx, applied)
}

func (k *logKit) happens(id invite.ID, events ...invite.Event) {
	k.t.Helper()
	k.InTx(func(tx pgx.Tx) error { return k.write(tx, id, events...) })
}

// list reads a page once all events are certain: transactions of other tests, in other
// databases of the server, hold them back too.
func (k *logKit) list(f find.Feed) publish.Page {
	k.t.Helper()
	waittest.Until(k.t, "all events are certain", func() bool {
		return k.Count(`SELECT count(*) FROM public_events WHERE xact >= pg_snapshot_xmin(pg_current_snapshot())`) == 0
	})
	return k.listNow(f)
}

func (k *logKit) listNow(f find.Feed) publish.Page {
	k.t.Helper()
	f.Place = here
	if f.Types == nil {
		f.Types = invite.PublicTypes()
	}
	if f.Limit == 0 {
		f.Limit = 100
	}
	page, err := k.log.List(k.t.Context(), f)
	if err != nil {
		k.t.Fatal(err)
	}
	return page
}

// logged is the part of an event that the tests compare.
type logged struct {
	ID       invite.EventID
	Object   string
	Type     string
	Sequence int
	InviteID invite.ID `json:"invite_id"`
	Project  string
	Data     struct {
		Invite struct {
			Status, Progress string
			Version          int
		}
	}
}

func read(t *testing.T, raw json.RawMessage) (e logged) {
	t.Helper()
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func types(t *testing.T, page publish.Page) (out []string) {
	t.Helper()
	for _, raw := range page.Events {
		out = append(out, read(t, raw).Type)
	}
	return out
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestTheLogKeepsEachEventAsItWas: every public event of an invite is stored with its
// own snapshot, also where the project has no webhook, and reads return its bytes.
func TestTheLogKeepsEachEventAsItWas(t *testing.T) {
	t.Parallel()
	k := newLogKit(t)
	m := k.Invite(tracktest.Options{})
	visit := invite.Event{Type: invite.EventVisited, Data: invite.Data{LooksLike: invite.LooksLikePerson}}
	k.happens(m.ID, visit)
	k.happens(m.ID, visit) // not the first any more
	k.happens(m.ID, invite.Event{Type: invite.EventContinued, Data: invite.Data{LooksLike: invite.LooksLikeScanner}})
	// Two events of one transaction: the same snapshot, two sequences.
	k.happens(m.ID, invite.Event{Type: invite.EventContinued}, invite.Event{Type: invite.EventConnectFailed})
	k.happens(m.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	k.happens(m.ID, invite.Event{Type: invite.EventRevoked}) // changes nothing

	page := k.list(find.Feed{})
	want(t, "events", types(t, page), "invite.opened", "invite.continued", "invite.connect_failed", "invite.connected")
	last := 0
	for i, raw := range page.Events {
		e := read(t, raw)
		if e.Object != "event" || e.InviteID != m.ID || e.Project != "default" || e.Sequence <= last || e.Sequence > e.Data.Invite.Version {
			t.Errorf("event %d after sequence %d: %s", i, last, raw)
		}
		last = e.Sequence
		again, err := k.log.Get(t.Context(), here, e.ID)
		if err != nil || string(again) != string(raw) {
			t.Errorf("%s read alone: %v %s\nin the list: %s", e.Type, err, again, raw)
		}
		if _, err := k.log.Get(t.Context(), invite.Place{Project: "other"}, e.ID); err == nil {
			t.Errorf("%s is shown to another project", e.Type)
		}
		if _, err := k.log.Get(t.Context(), invite.Place{Project: "default", Live: true}, e.ID); err == nil {
			t.Errorf("%s is shown in the other mode", e.Type)
		}
	}
	if e := read(t, page.Events[0]); e.Data.Invite.Progress != "visited" || e.Data.Invite.Status != "active" {
		t.Errorf("opened tells of a later state: %s", page.Events[0])
	}
	if n := k.Count(`SELECT count(*) FROM public_events WHERE position('customer.example' in encode(body, 'escape')) > 0`); n != 0 {
		t.Error("an address is stored in the clear")
	}
}

// TestTheCursorNeverSkipsALateCommit: a transaction that began to write first and
// commits last is not behind the cursor of a reader who read meanwhile.
func TestTheCursorNeverSkipsALateCommit(t *testing.T) {
	t.Parallel()
	k := newLogKit(t)
	slow, fast := k.Invite(tracktest.Options{User: "slow"}), k.Invite(tracktest.Options{User: "fast"})
	before := k.Invite(tracktest.Options{User: "before"})
	k.happens(before.ID, invite.Event{Type: invite.EventExpired})
	read1 := k.list(find.Feed{})
	want(t, "before", types(t, read1), "invite.expired")

	late, err := k.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = late.Rollback(context.WithoutCancel(t.Context())) }()
	if err := k.write(late, slow.ID, invite.Event{Type: invite.EventConnectFailed}); err != nil {
		t.Fatal(err)
	}
	k.happens(fast.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	read2 := k.listNow(find.Feed{After: read1.Next})
	want(t, "while a transaction is open", types(t, read2))
	if read2.Next != read1.Next {
		t.Errorf("an empty page moves the cursor from %v to %v", read1.Next, read2.Next)
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	read3 := k.list(find.Feed{After: read2.Next})
	want(t, "after its commit", types(t, read3), "invite.connect_failed", "invite.connected")
	want(t, "at the end", types(t, k.list(find.Feed{After: read3.Next})))
}

func TestTheLogIsFilteredAndPaged(t *testing.T) {
	t.Parallel()
	k := newLogKit(t)
	one, two := k.Invite(tracktest.Options{User: "ada", Hashed: true}), k.Invite(tracktest.Options{User: "bob"})
	k.happens(one.ID, invite.Event{Type: invite.EventConnectFailed})
	k.happens(two.ID, invite.Event{Type: invite.EventConnectFailed})
	k.happens(one.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	k.happens(two.ID, invite.Event{Type: invite.EventExpired})
	want(t, "of a type", types(t, k.list(find.Feed{Types: []invite.PublicType{"invite.expired", "invite.connected"}})), "invite.connected", "invite.expired")
	want(t, "of an invite", types(t, k.list(find.Feed{InviteID: two.ID})), "invite.connect_failed", "invite.expired")
	want(t, "of a user", types(t, k.list(find.Feed{User: find.NewUser(k.Box, here, "ada")})), "invite.connect_failed", "invite.connected")
	want(t, "of a user without a hash", types(t, k.list(find.Feed{User: find.NewUser(k.Box, here, "bob")})), "invite.connect_failed", "invite.expired")
	want(t, "of a user's other invite", types(t, k.list(find.Feed{User: find.NewUser(k.Box, here, "ada"), InviteID: two.ID})))
	want(t, "of nobody", types(t, k.list(find.Feed{User: find.NewUser(k.Box, here, "eve")})))

	var got []string
	for next, more := (find.Position{}), true; more; {
		page := k.list(find.Feed{Limit: 1, After: next})
		got, next, more = append(got, types(t, page)...), page.Next, page.More
		if parsed, err := find.ParsePosition(next.String()); err != nil || parsed != next {
			t.Fatalf("position %v is written %s and read %v, %v", next, next, parsed, err)
		}
	}
	var newest []string
	for next, more := (find.Position{}), true; more; {
		page := k.list(find.Feed{Limit: 3, After: next, Newest: true})
		newest, next, more = append(newest, types(t, page)...), page.Next, page.More
	}
	slices.Reverse(newest)
	want(t, "newest first", newest, got...)
	want(t, "page by page", got, "invite.connect_failed", "invite.connect_failed", "invite.connected", "invite.expired")

	// Two days ago, events had ids of that time. Their bytes are bound to their ids.
	for i, m := range []tracktest.Made{one, two} {
		at := time.Now().Add(-48*time.Hour + time.Duration(i)*time.Second)
		k.Exec(`UPDATE public_events SET created_at = $1, id = $2, body = NULL WHERE type = 'invite.connect_failed' AND invite_id = $3`,
			at, invite.From[invite.EventID](at), m.ID)
	}
	day := time.Now().Add(-24 * time.Hour)
	want(t, "since a day", types(t, k.list(find.Feed{CreatedAfter: day})), "invite.connected", "invite.expired")
	want(t, "until a day", types(t, k.list(find.Feed{CreatedBefore: day})), "invite.connect_failed", "invite.connect_failed")
	want(t, "since tomorrow", types(t, k.list(find.Feed{CreatedAfter: time.Now().Add(24 * time.Hour)})))
	for _, bad := range []string{"evc_", "evc_0", "evt_069hqkhjp5sv1bqg1oprs35ep0", "evc_" + strings.Repeat("v", 39), "evc_" + strings.Repeat("0", 40)} {
		if _, err := find.ParsePosition(bad); err == nil {
			t.Errorf("%s is taken for a position", bad)
		}
	}
}

func TestErasingAPersonErasesTheSnapshots(t *testing.T) {
	t.Parallel()
	k := newLogKit(t)
	m := k.Invite(tracktest.Options{})
	k.happens(m.ID, invite.Event{Type: invite.EventConnectFailed})
	before := read(t, k.list(find.Feed{}).Events[0])
	k.InTx(func(tx pgx.Tx) error {
		return ledger.SetErased(t.Context(), tx, []invite.ID{m.ID}, "erased-1", userid.Hash(k.Box, here, "erased-1"))
	})
	raw, err := k.log.Get(t.Context(), here, before.ID)
	if err != nil {
		t.Fatal(err)
	}
	if e := read(t, raw); e.ID != before.ID || e.Type != before.Type || e.Sequence != before.Sequence || strings.Contains(string(raw), "customer.example") || !strings.Contains(string(raw), `"external_user_id":"erased-1"`) {
		t.Errorf("after an erasure: %s", raw)
	}
}

func TestEventsAreKeptForThirtyDays(t *testing.T) {
	t.Parallel()
	k := newLogKit(t)
	m := k.Invite(tracktest.Options{})
	k.happens(m.ID, invite.Event{Type: invite.EventConnectFailed})
	now := time.Now()
	for _, c := range []struct{ days, left int }{{29, 1}, {31, 0}} {
		if err := k.log.DeleteOld(t.Context(), now.AddDate(0, 0, c.days)); err != nil {
			t.Fatal(err)
		}
		if got := len(k.list(find.Feed{}).Events); got != c.left {
			t.Errorf("after %d days: %d events, want %d", c.days, got, c.left)
		}
	}
}

// TestTheHighestSequenceIsTheLastWord: a consumer that keeps the event with the highest
// sequence of each invite ends right, in any order of events and with any number of copies.
func TestTheHighestSequenceIsTheLastWord(t *testing.T) {
	t.Parallel()
	k := newLogKit(t)
	var made []tracktest.Made
	for _, ends := range [][]invite.Event{
		{{Type: invite.EventConnectFailed}, {Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}}},
		{{Type: invite.EventConnectFailed}, {Type: invite.EventExpired}},
		{{Type: invite.EventVisited}, {Type: invite.EventReported}},
		{{Type: invite.EventExpired}, {Type: invite.EventResent}, {Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_2"}}},
	} {
		m := k.Invite(tracktest.Options{User: "user of " + string(ends[len(ends)-1].Type)})
		made = append(made, m)
		if len(ends) == 2 && ends[0].Type == invite.EventConnectFailed {
			k.happens(m.ID, ends...) // in one transaction
			continue
		}
		for _, e := range ends {
			k.happens(m.ID, e)
		}
	}
	events := k.list(find.Feed{}).Events
	if len(events) != 9 {
		t.Fatalf("%d events: %s", len(events), events)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		order := append(slices.Clone(events), events[random.IntN(len(events))])
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		kept := map[invite.ID]logged{}
		for _, raw := range order {
			if e := read(t, raw); e.Sequence > kept[e.InviteID].Sequence {
				kept[e.InviteID] = e
			}
		}
		for _, m := range made {
			inv := k.Get(m.ID)
			if got := kept[m.ID].Data.Invite; got.Status != string(inv.Status) || got.Progress != string(inv.Progress) {
				t.Fatalf("the consumer ends with %+v, the invite is %s, %s", kept[m.ID], inv.Status, inv.Progress)
			}
		}
	}
}

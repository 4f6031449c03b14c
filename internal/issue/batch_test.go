package issue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// batchOf is n items for users of their own, with a key each.
func batchOf(n int, name string) []issue.BatchItem {
	items := make([]issue.BatchItem, n)
	for i := range items {
		user := fmt.Sprintf("%s-%d", name, i)
		items[i] = issue.BatchItem{Request: ask(user), Meta: issue.Meta{Route: "POST /v1/invites", IdempotencyKey: user}}
		items[i].Request.Recipient = &issue.RecipientRequest{Email: user + "@customer.example", Name: "Pat Doe"}
	}
	return items
}

func TestABatchStoresTheGoodItemsBesideTheBad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	_, _, err := suppression.Insert(t.Context(), w.db, w.box, suppression.Scope{Place: invite.Place{Project: "default"}}, suppression.New{
		Channel: invite.Email, Kind: invite.NotMe, Address: secret.New("u-3@customer.example"), Source: suppression.FromPage,
	})
	if err != nil {
		t.Fatal(err)
	}
	standing, err := s.Create(t.Context(), w.key, ask("u-6"), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	items := batchOf(11, "u")
	items[1].Request.Channel = "fax"
	items[2].Request.App = "slak"
	items[4].Meta.IdempotencyKey = items[0].Meta.IdempotencyKey // with other values
	items[5] = items[0]                                         // the same again
	items[6].Request.IfActive = "return"
	items[7].Request.IfActive, items[7].Request.ExternalUserID = "error", "u-6"
	items[8].Err = invite.Errorf(invite.CodeInvalidRequest, "not readable")
	items[9].Meta = issue.Meta{}
	items[10].Request.App, items[10].Request.OAuthAppID = "no_such_app", ""
	results, err := s.CreateBatch(t.Context(), w.key, items)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []invite.Code{
		1: invite.CodeInvalidRequest, 2: invite.CodeUnknownApp, 3: invite.CodeRecipientSuppressed, 4: invite.CodeIdempotencyReused,
		7: invite.CodeActiveInviteExists, 8: invite.CodeInvalidRequest, 10: invite.CodeUnknownApp,
	} {
		r := results[i]
		if want == "" && (r.Err != nil || r.Answer.Invite.ID.IsZero()) {
			t.Errorf("item %d: %v, invite %q", i, r.Err, r.Answer.Invite.ID)
		}
		if want != "" && invite.CodeOf(r.Err) != want {
			t.Errorf("item %d: %v, want %q", i, r.Err, want)
		}
	}
	if a := results[5].Answer; !a.Replayed || a.Invite.ID != results[0].Answer.Invite.ID {
		t.Errorf("the same item twice: %s replayed %t, and %s", a.Invite.ID, a.Replayed, results[0].Answer.Invite.ID)
	}
	if a := results[6].Answer; a.Outcome != ledger.Existing || a.Invite.ID != standing.Invite.ID {
		t.Errorf("if_active return: %s %s", a.Outcome, a.Invite.ID)
	}
	if n := w.count(`SELECT count(*) FROM invites`); n != 3 {
		t.Errorf("%d invites are stored, want the one before and items 0 and 9", n)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE status = 'queued'`); n != 3 {
		t.Errorf("%d messages are queued", n)
	}
}

func TestARepeatedBatchIsAnsweredAsTheFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	items := batchOf(20, "u")
	first, err := w.process().CreateBatch(t.Context(), w.key, items)
	if err != nil {
		t.Fatal(err)
	}
	mints := w.mints.Load()
	again, err := w.process().CreateBatch(t.Context(), w.key, items)
	if err != nil {
		t.Fatal(err)
	}
	for i := range items {
		a, b := first[i], again[i]
		if a.Err != nil || b.Err != nil || a.Answer.Replayed || !b.Answer.Replayed || a.Answer.Invite.ID != b.Answer.Invite.ID ||
			*a.Answer.Invite.ConnectLinkURL != *b.Answer.Invite.ConnectLinkURL || b.Answer.Outcome != ledger.Created {
			t.Fatalf("item %d: %v, %v, replayed %t and %t", i, a.Err, b.Err, a.Answer.Replayed, b.Answer.Replayed)
		}
	}
	if n := w.mints.Load(); n != mints {
		t.Errorf("%d tokens were minted for repeated items", n-mints)
	}
	// An item alone, and a single create in a batch.
	alone, err := w.process().Create(t.Context(), w.key, items[7].Request, items[7].Meta)
	if err != nil || !alone.Replayed || alone.Invite.ID != first[7].Answer.Invite.ID {
		t.Errorf("an item alone: %v, replayed %t", err, alone.Replayed)
	}
	items[7].Request.Note = "Another"
	changed, err := w.process().CreateBatch(t.Context(), w.key, items[6:8])
	if err != nil || changed[0].Err != nil || invite.CodeOf(changed[1].Err) != invite.CodeIdempotencyReused {
		t.Errorf("another value: %v, %v", err, changed[1].Err)
	}
}

// TestTwinBatchesMakeEachInviteOnce, on two processes at the same time.
func TestTwinBatchesMakeEachInviteOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	items := batchOf(30, "u")
	var wg sync.WaitGroup
	results := make([][]issue.BatchResult, 4)
	for i := range results {
		wg.Go(func() {
			var err error
			if results[i], err = w.process().CreateBatch(t.Context(), w.key, items); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i := range items {
		made := 0
		for _, r := range results {
			if r[i].Err != nil || r[i].Answer.Invite.ID != results[0][i].Answer.Invite.ID {
				t.Fatalf("item %d: %v, %s", i, r[i].Err, r[i].Answer.Invite.ID)
			}
			if !r[i].Answer.Replayed {
				made++
			}
		}
		if made != 1 {
			t.Errorf("item %d was made %d times", i, made)
		}
	}
	if n := w.count(`SELECT count(*) FROM invites`); n != len(items) {
		t.Errorf("%d invites of %d items", n, len(items))
	}
}

func TestABatchDuringAnOutageOfPipedreamIsStoredAsPending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.down.Store(true)
	results, err := w.process().CreateBatch(t.Context(), w.key, batchOf(20, "u"))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Err != nil || r.Answer.Outcome != ledger.Postponed || r.Answer.Invite.Status != invite.Pending {
			t.Errorf("item %d: %v, %s", i, r.Err, r.Answer.Outcome)
		}
	}
}

// trips counts requests to PostgreSQL, and the time until it answered.
type trips struct {
	n     atomic.Int64
	time  atomic.Int64
	reads atomic.Int64 // of time, the part of batches
}

type tripStart struct{}

func (c *trips) start(ctx context.Context) context.Context {
	return context.WithValue(ctx, tripStart{}, time.Now())
}

func (c *trips) end(ctx context.Context) int64 {
	c.n.Add(1)
	took := int64(time.Since(ctx.Value(tripStart{}).(time.Time)))
	c.time.Add(took)
	return took
}

func (c *trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return c.start(ctx)
}
func (c *trips) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) { c.end(ctx) }
func (c *trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return c.start(ctx)
}
func (c *trips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (c *trips) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) {
	c.reads.Add(c.end(ctx))
}

// traced is a service whose round trips are counted. The stand-in of Pipedream has
// another pool.
func (w *world) traced() (*issue.Service, *trips) {
	w.t.Helper()
	c := &trips{}
	cfg := w.db.Config()
	cfg.ConnConfig.Tracer = c
	counted, err := pgxpool.NewWithConfig(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(counted.Close)
	own := w.db
	w.db = counted
	s := w.process()
	w.db = own
	return s, c
}

// TestABatchTakesTheRoundTripsOfOneCreate: one to read, one to store.
func TestABatchTakesTheRoundTripsOfOneCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, c := w.traced()
	if _, err := s.Create(t.Context(), w.key, ask("warm"), issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	items := batchOf(issue.MaxBatch, "u")
	before := c.n.Load()
	results, err := s.CreateBatch(t.Context(), w.key, items)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Err != nil {
			t.Fatalf("item %d: %v", i, r.Err)
		}
	}
	if n := c.n.Load() - before; n != 2 {
		t.Errorf("%d round trips for %d items, want 2", n, len(items))
	}
	before = c.n.Load()
	if _, err := s.CreateBatch(t.Context(), w.key, items); err != nil {
		t.Fatal(err)
	}
	// The third waits until the items are replicated.
	if n := c.n.Load() - before; n != 3 {
		t.Errorf("%d round trips for %d repeated items, want 3", n, len(items))
	}
}

// BenchmarkBatch compares the time that PostgreSQL takes for one create and for a
// batch of 100.
func BenchmarkBatch(b *testing.B) {
	w := newWorld(b)
	go func() {
		for range w.woken { //nolint:revive // no dispatcher reads the wake-ups here
		}
	}()
	s, c := w.traced()
	run := func(b *testing.B, size int) {
		for range 20 { // statements are prepared, pages are warm
			batch(b, s, w.key, size)
		}
		from, read := c.time.Load(), c.reads.Load()
		for b.Loop() {
			batch(b, s, w.key, size)
		}
		b.ReportMetric(float64(c.time.Load()-from)/float64(b.N)/1e6, "database-ms/op")
		b.ReportMetric(float64(c.reads.Load()-read)/float64(b.N)/1e6, "of-it-reading-ms/op")
	}
	b.Run("1", func(b *testing.B) { run(b, 1) })
	b.Run("100", func(b *testing.B) { run(b, issue.MaxBatch) })
}

func batch(b *testing.B, s *issue.Service, p access.Principal, size int) {
	b.Helper()
	results, err := s.CreateBatch(b.Context(), p, batchOf(size, invite.New[invite.EventID]().String()))
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

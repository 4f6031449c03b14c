package app_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
)

const (
	smallRows    = 10_000
	growthRounds = 5
	growthRuns   = 20 // in each round
	growthGroup  = 25 // invites of one group commit
)

// BenchmarkGrowth compares a database of CONNECTLINK_BENCH_ROWS invites with one of
// 10,000: for each operation it reports the pages touched and the time taken in the
// large one ÷ in the small one, as minimum, median and maximum of five interleaved
// rounds. Each run is a transaction that is rolled back, so commits are not in it.
// Run it with -benchtime 1x.
//
// The number of pages grows by one level of each B-tree that a key is looked up in,
// and the time by pages that are not in PostgreSQL's shared buffers any more.
func BenchmarkGrowth(b *testing.B) {
	small, large := newGrown(b, smallRows), newGrown(b, benchRows())
	for i, q := range small.queries {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				var pages, times []float64
				var ofSmall, seconds float64
				for range growthRounds {
					ofSmall = small.countPages(b, i)
					pages = append(pages, large.countPages(b, i)/ofSmall)
					var ratio float64
					ratio, seconds = compareTimes(b, small, large, i)
					times = append(times, ratio)
				}
				reportSpread(b, "pages", pages)
				reportSpread(b, "time", times)
				b.ReportMetric(ofSmall, "pages-small")
				b.ReportMetric(1e6*seconds, "µs-small")
			}
		})
	}
}

func reportSpread(b *testing.B, name string, ratios []float64) {
	slices.Sort(ratios)
	b.ReportMetric(ratios[0], name+"-min")
	b.ReportMetric(ratios[len(ratios)/2], name+"-ratio")
	b.ReportMetric(ratios[len(ratios)-1], name+"-max")
}

// grown is a filled database, with the operations on it.
type grown struct {
	pool      *pgxpool.Pool
	explained *explained
	queries   []hotQuery
}

func newGrown(b *testing.B, n int) *grown {
	b.Helper()
	url := postgrestest.New(b)
	newest := fillTables(b, url, n)
	hashUsers(b, url)
	keys, err := seal.NewKeyset()
	if err != nil {
		b.Fatal(err)
	}
	box, err := seal.NewBox(keys)
	if err != nil {
		b.Fatal(err)
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	for setting, value := range map[string]string{"jit": "off", "enable_seqscan": "off", "random_page_cost": "1.1"} { // as package postgres sets them
		cfg.ConnConfig.RuntimeParams[setting] = value
	}
	g := &grown{explained: newExplained(b, url, "auto")}
	if g.pool, err = pgxpool.NewWithConfig(b.Context(), cfg); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(g.pool.Close)
	g.prepare(b, box, newest)
	return g
}

// prepare adds the same rows to each database: failures of the
// past day, search terms under a key that is known, and leased deliveries.
func (g *grown) prepare(b *testing.B, box *seal.Box, newest invite.ID) {
	b.Helper()
	place := invite.Place{Project: "default"}
	email, err := contact.ReadEmail("pat.doe@customer.example")
	if err != nil {
		b.Fatal(err)
	}
	for _, t := range contact.Terms(email, "", "Pat Doe") {
		if _, err := g.pool.Exec(b.Context(), `INSERT INTO search_terms (hash, invite_id) SELECT $1, id FROM (SELECT id FROM invites ORDER BY id DESC LIMIT 60) i`,
			box.Hash(t.Kind, t.Parts(place)...)); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := g.pool.Exec(b.Context(), `INSERT INTO events (invite_id, seq, id, project_id, livemode, type, actor, data, occurred_at)
		SELECT id, 4, gen_random_uuid(), project_id, livemode, 'delivery.bounced', 'provider', '{}', created_at FROM invites ORDER BY id DESC LIMIT 50`); err != nil {
		b.Fatal(err)
	}
	want := queue.Want{Owner: 1, Lease: time.Hour, Batch: growthGroup, PerLane: growthGroup}
	jobs, err := queue.Claim(b.Context(), g.pool, want)
	if err != nil || len(jobs) != growthGroup {
		b.Fatalf("claimed %d: %v", len(jobs), err)
	}
	for _, sql := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := g.pool.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	search := func(text string) func(context.Context, pgx.Tx) error {
		return func(ctx context.Context, tx pgx.Tx) error {
			found, err := find.Search(ctx, tx, box, find.Query{Place: place, Text: text})
			if err == nil && len(found.Hits) == 0 {
				return errNotThere
			}
			return err
		}
	}
	g.queries = []hotQuery{
		{"accept 25", func(ctx context.Context, tx pgx.Tx) error {
			return err2(ledger.Insert(ctx, tx, newInvites(growthGroup)))
		}},
		{"claim 25", func(ctx context.Context, tx pgx.Tx) error { return err2(queue.Claim(ctx, tx, want)) }},
		{"begin 25", func(ctx context.Context, tx pgx.Tx) error {
			attempts := make([]queue.NewAttempt, len(jobs))
			for i, j := range jobs {
				attempts[i] = queue.NewAttempt{Lease: j.Lease, ID: invite.New[invite.AttemptID](), Version: j.Invite.Version, Provider: "sendgrid", Account: "sendgrid:1", TemplateVersion: "v1"}
			}
			begun, err := queue.Begin(ctx, tx, attempts, time.Minute)
			for _, a := range attempts {
				if err == nil && !begun[a.ID].OK {
					err = fmt.Errorf("not begun: %+v", begun[a.ID])
				}
			}
			return found(len(begun) == growthGroup, err)
		}},
		{"finish 25", func(ctx context.Context, tx pgx.Tx) error {
			batches := make([]ledger.Batch, len(jobs))
			for i, j := range jobs {
				batches[i] = ledger.Batch{ID: j.InviteID, Events: []invite.Event{{Type: invite.EventDeliveryAccepted, DeliveryID: j.DeliveryID, Actor: invite.Actor{Kind: invite.ActorSystem}}}}
			}
			return err2(ledger.AppendAll(ctx, tx, box, batches))
		}},
		{"list", func(ctx context.Context, tx pgx.Tx) error {
			_, _, err := find.List(ctx, tx, find.Filter{Place: place, Limit: 25})
			return err
		}},
		{"get", func(ctx context.Context, tx pgx.Tx) error { return err2(find.Get(ctx, tx, place, newest)) }},
		{"search by address", search("pat.doe@customer.example")},
		{"search by name", search("Pat Doe")},
		{"home", func(ctx context.Context, tx pgx.Tx) error { return err2(find.GetAttention(ctx, tx, place, time.Now())) }},
	}
}

// newInvites makes invites with all that one accept writes.
func newInvites(n int) []ledger.New {
	list := make([]ledger.New, n)
	for i := range list {
		terms := make([]seal.Hash, 6)
		for t := range terms {
			terms[t] = randomBytes(21)
		}
		list[i] = ledger.New{
			Place: invite.Place{Project: "default"}, ID: invite.New[invite.ID](), Environment: "development", Status: invite.Active, Channel: invite.Email,
			LinkType: invite.InviteLink, InitiatedBy: invite.ByProduct, ExternalUserID: fmt.Sprintf("user-%x", randomBytes(8)), UserHash: randomBytes(21),
			App: invite.App{Slug: "slack", Name: "Slack"}, Content: randomBytes(330), ExpiresIn: 4 * time.Hour, CreatedBy: invite.New[invite.KeyID](),
			Link: &ledger.Link{
				ID: invite.New[invite.LinkID](), URL: randomBytes(260), TokenDigest: randomBytes(32), WebhookDigest: randomBytes(32),
				Granted: 4 * time.Hour, Left: 4 * time.Hour, ExpiresAtRaw: "2026-11-29T16:00:00Z",
			},
			Delivery: &ledger.Delivery{
				ID: invite.New[invite.DeliveryID](), Number: 1, Channel: invite.Email, Kind: invite.KindFirst,
				Lane: invite.Lane{Place: invite.Place{Project: "default"}, Channel: invite.Email},
			},
			Code:        ledger.Code{ID: [16]byte(randomBytes(16)), Digest: randomBytes(32), Sealed: randomBytes(70)},
			Event:       invite.Event{ID: invite.New[invite.EventID]()},
			Idempotency: &ledger.Idempotency{Route: "POST /v1/invites", KeyHash: randomBytes(32), BodyMAC: randomBytes(33), Outcome: ledger.Created},
			Terms:       terms,
		}
	}
	return list
}

func randomBytes(n int) []byte {
	raw := make([]byte, n)
	_, _ = rand.Read(raw)
	return raw
}

func (g *grown) countPages(b *testing.B, query int) float64 {
	b.Helper()
	pages := 0
	for _, p := range g.explained.explain(b, g.queries[query]) {
		pages += p.Plan.Hit + p.Plan.Read
	}
	return float64(pages)
}

// compareTimes returns the time of one run in the large database ÷ in the small one,
// each the median of a round in which they take turns, and the small one's seconds.
func compareTimes(b *testing.B, small, large *grown, query int) (ratio, seconds float64) {
	b.Helper()
	var s, l []time.Duration
	for range growthRuns {
		s = append(s, small.time(b, query))
		l = append(l, large.time(b, query))
	}
	slices.Sort(s)
	slices.Sort(l)
	seconds = s[growthRuns/2].Seconds()
	return l[growthRuns/2].Seconds() / seconds, seconds
}

func (g *grown) time(b *testing.B, query int) time.Duration {
	b.Helper()
	tx, err := g.pool.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	from := time.Now()
	if err := g.queries[query].run(b.Context(), tx); err != nil {
		b.Fatal(err)
	}
	return time.Since(from)
}

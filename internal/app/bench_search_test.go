package app_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
)

// The budgets of what support staff wait for, at the server.
const (
	searchBudget = 50 * time.Millisecond
	homeBudget   = 100 * time.Millisecond
)

// fillTerms gives the invites of a fill what they are searched by, made with a
// real key: one person with a few invites, a mail host that a third of all
// share, and failed ones with a slip in their domain.
func fillTerms(b *testing.B, url string, box *seal.Box, n int) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, t := range []struct {
		kind, value string
		every, at   int
	}{
		{contact.TermEmail, "pat.doe@customer.example", n / 20, 7},
		{contact.TermLocal, "pat.doe", 1000, 0}, // the fill's failed ones
		{contact.TermDomain, "gmail.com", 3, 1},
		{contact.TermDomain, "custmer.example", 1000, 0},
		{contact.TermPhone, "+12025550147", n / 10, 3},
		{contact.TermLast4, "0147", 10_000, 3},
		{contact.TermName, "pat", 100, 7},
		{contact.TermName, "doe", 150, 7},
	} {
		term := contact.Term{Kind: t.kind, Value: t.value}
		// Walked in the order of the ids, which is the order of n.
		if _, err := conn.Exec(b.Context(), `INSERT INTO search_terms SELECT $1, id FROM (SELECT id, row_number() OVER (ORDER BY id) n FROM invites) i
			WHERE n % $2 = $3`, box.Hash(t.kind, term.Parts("default", false)...), t.every, t.at); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := conn.Exec(b.Context(), `INSERT INTO suppressions (id, project_id, livemode, channel, kind, hash, source, created_at)
		SELECT id, project_id, livemode, channel, 'hard_bounce', sha256(id::text::bytea), 'receipt', created_at
		FROM (SELECT *, row_number() OVER (ORDER BY id) n FROM invites) i WHERE n % 10 = 0`); err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Exec(b.Context(), "VACUUM ANALYZE search_terms, suppressions"); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSearch shows that support staff find an invite among any number of
// others within their patience, by whatever they paste, and that home counts
// what needs attention as quickly. It fails past the budget or on a scan.
func BenchmarkSearch(b *testing.B) {
	n := benchRows()
	k, err := seal.NewKeyset()
	if err != nil {
		b.Fatal(err)
	}
	box, err := seal.NewBox(k)
	if err != nil {
		b.Fatal(err)
	}
	url := postgrestest.New(b)
	newest := fillTables(b, url, n)
	fillTerms(b, url, box, n)
	alike := func(text string) func(context.Context, pgx.Tx) error {
		return func(ctx context.Context, tx pgx.Tx) error {
			f, err := find.Search(ctx, tx, box, find.Query{ProjectID: "default", Region: "US", Text: text})
			if err == nil && len(f.Similar) == 0 {
				b.Fatalf("%q: nothing looks alike", text)
			}
			return err
		}
	}
	search := func(text string, hits bool) func(context.Context, pgx.Tx) error {
		return func(ctx context.Context, tx pgx.Tx) error {
			f, err := find.Search(ctx, tx, box, find.Query{ProjectID: "default", Region: "US", Text: text})
			if err == nil && (len(f.Hits) > 0) != hits {
				b.Fatalf("%q: %d hits, %d similar", text, len(f.Hits), len(f.Similar))
			}
			return err
		}
	}
	request := "req_" + strings.TrimPrefix(newest.String(), "inv_")
	queries := []hotQuery{
		{"email", search("Pat.Doe@customer.example", true)},
		{"phone", search("(202) 555-0147", true)},
		{"invite id", search(newest.String(), true)},
		{"delivery id", search("dlv_"+strings.TrimPrefix(newest.String(), "inv_"), false)},
		{"user id", search("user-7", true)},
		{"link", search("https://go.acme.example/c/Ab3Ab3Ab3Ab3Ab3Ab3Ab", false)},
		{"message id", search("m"+"1234", true)},
		{"request id", search(request, false)},
		{"name", search("Pat Doe", true)},
		{"big domain", search("gmail.com", true)},
		{"last four", search("0147", true)},
		{"misspelt", alike("pat.doe@gmail.com")},
		{"nobody", search("zz.top@nowhere.example", false)},
		{"home", func(ctx context.Context, tx pgx.Tx) error {
			return err2(find.GetAttention(ctx, tx, "default", false, time.Now()))
		}},
	}
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		e := newExplained(b, url, mode)
		for _, q := range queries {
			b.Run(strings.TrimPrefix(strings.TrimSuffix(mode, "_plan"), "force_")+"/"+q.name, func(b *testing.B) { e.judgeTime(b, q) })
		}
	}
}

// judgeTime looks at a query's plans once, then at how long it takes.
func (e *explained) judgeTime(b *testing.B, q hotQuery) {
	pages := 0
	for _, p := range e.explain(b, q) {
		pages += p.Plan.Hit + p.Plan.Read
		if tables := p.Plan.scanned(); len(tables) > 0 {
			b.Fatalf("reads %v from end to end:\n%s", tables, p.Query)
		}
	}
	budget := searchBudget
	if q.name == "home" {
		budget = homeBudget
	}
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		tx, err := e.pool.Begin(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := q.run(b.Context(), tx); err != nil {
			b.Fatal(err)
		}
		_ = tx.Rollback(b.Context())
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	p95 := took[len(took)*95/100]
	b.ReportMetric(float64(pages), "pages")
	b.ReportMetric(ms(p95), "p95-ms")
	if len(took) >= 20 && p95 > budget {
		b.Errorf("takes %s at the 95th percentile, budget %s", p95, budget)
	}
}

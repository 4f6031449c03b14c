package find

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

const (
	// recent is how far back a message that did not arrive may lie.
	recent = 30 * 24 * time.Hour
	// maxSimilar is how many look-alikes are of help.
	maxSimilar = 8
)

// clue is something a misspelt address still has in common with the right one,
// and how much that says.
type clue struct {
	contact.Term
	by     By
	weight int
}

// clues are what is left of an address when one part of it is wrong.
func clues(m meaning) []clue {
	var out []clue
	add := func(kind, value string, by By, weight int) {
		if value != "" {
			out = append(out, clue{contact.Term{Kind: kind, Value: value}, by, weight})
		}
	}
	for _, email := range m.emails {
		local, domain := contact.EmailParts(email)
		add(contact.TermLocal, local, ByEmail, 4)
		add(contact.TermDomain, domain, ByDomain, 1)
		for _, word := range contact.NameWords(strings.NewReplacer("+", " ", "_", " ").Replace(local)) {
			if len(word) > 1 {
				add(contact.TermName, word, ByName, 2)
			}
		}
	}
	if m.phone != "" {
		add(contact.TermLast4, contact.Last4(m.phone), ByLast4, 3)
	}
	for _, word := range m.name {
		add(contact.TermName, word, ByName, 2)
	}
	return out
}

// similarTo looks at both ends, because either can be the long one: the newest
// invites that failed, and the newest that have the clue. Common clues (a big
// mail host) are met among the failed, rare ones along their own index. OFFSET
// keeps the first one look-up per invite: as a join it would read all that was
// ever sent to a big mail host, by hash it would be a look-up per clue.
const similarTo = `
	WITH clues AS (SELECT * FROM unnest($1::bytea[], $2::int[], $3::text[]) c(hash, weight, by)),
	failed AS MATERIALIZED (
		SELECT i.id, c.hash FROM (
			SELECT id FROM invites WHERE project_id = $4 AND livemode = $5 AND status = 'failed' AND id > $6 ORDER BY id DESC LIMIT 500
		) i CROSS JOIN LATERAL (SELECT hash FROM search_terms WHERE invite_id = i.id OFFSET 0) c WHERE c.hash = ANY($1)
	), alike AS MATERIALIZED (
		SELECT t.invite_id AS id, c.hash FROM clues c
		CROSS JOIN LATERAL (SELECT invite_id FROM search_terms WHERE hash = c.hash AND invite_id > $6 ORDER BY invite_id DESC LIMIT 50) t
	), both_ends AS (SELECT id, hash FROM failed UNION SELECT id, hash FROM alike)
	SELECT b.id, max(c.weight), (array_agg(c.by ORDER BY c.weight DESC))[1]
	FROM both_ends b JOIN clues c ON c.hash = b.hash JOIN invites i ON i.id = b.id
	WHERE i.project_id = $4 AND i.livemode = $5 AND (i.status = 'failed' OR EXISTS (
		SELECT FROM deliveries d WHERE d.invite_id = i.id AND d.status IN ('bounced', 'undelivered', 'rejected', 'suppressed', 'complained', 'unknown')
			AND d.number = (SELECT max(number) FROM deliveries l WHERE l.invite_id = i.id)))
	GROUP BY b.id ORDER BY sum(c.weight) DESC, b.id DESC LIMIT $7`

func (s *search) similar(ctx context.Context, db postgres.DB, m meaning) ([]Hit, error) {
	var hashes []seal.Hash
	var weights []int
	var kinds []string
	for _, c := range clues(m) {
		for _, h := range s.hashes(c.Term) {
			hashes, weights, kinds = append(hashes, h), append(weights, c.weight), append(kinds, string(c.by))
		}
	}
	if len(hashes) == 0 {
		return nil, nil
	}
	var now time.Time
	if err := db.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return nil, fmt.Errorf("search: similar: %w", postgres.Translate(err))
	}
	var order []invite.ID
	rows, _ := db.Query(ctx, similarTo, hashes, weights, kinds, s.q.ProjectID, s.q.Livemode, invite.From[invite.ID](now.Add(-recent)), maxSimilar)
	var id invite.ID
	var weight int
	var by By
	if _, err := pgx.ForEachRow(rows, []any{&id, &weight, &by}, func() error {
		order = append(order, id)
		s.hits[id] = by
		return nil
	}); err != nil {
		return nil, fmt.Errorf("search: similar: %w", postgres.Translate(err))
	}
	if len(order) == 0 {
		return nil, nil
	}
	hits, _, err := s.load(ctx, db)
	if err != nil {
		return nil, err
	}
	sorted := make([]Hit, 0, len(hits))
	for _, id := range order { // the likeliest first
		for _, h := range hits {
			if h.ID == id {
				sorted = append(sorted, h)
			}
		}
	}
	return sorted, nil
}

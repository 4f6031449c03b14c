package find

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

const (
	// recent is how far back a message that did not arrive may lie.
	recent = 30 * 24 * time.Hour
	// maxSimilar is how many look-alikes are of help.
	maxSimilar = 8
	// fewBetter look-alikes make those that share a domain only worth listing.
	fewBetter = 3
)

// similarTo gives candidates from both ends, because either can be the long one:
// the newest invites that failed, and of those that share a part of the address
// or name the newest. Which of them are alike is decided on their addresses,
// which are sealed: so they are opened and compared in memory.
const similarTo = `
	WITH candidates AS (
		(SELECT id FROM invites WHERE project_id = $2 AND livemode = $3 AND status = 'failed' AND id > $4 ORDER BY id DESC LIMIT 500)
		UNION
		SELECT t.invite_id FROM unnest($1::bytea[]) h
		CROSS JOIN LATERAL (SELECT invite_id FROM search_terms WHERE hash = h AND invite_id > $4 ORDER BY invite_id DESC LIMIT 50) t
	)
	SELECT i.id, i.content FROM candidates c CROSS JOIN LATERAL (SELECT id, content, status FROM invites
		WHERE id = c.id AND project_id = $2 AND livemode = $3 AND content IS NOT NULL OFFSET 0) i
	WHERE i.status = 'failed' OR EXISTS (
		SELECT FROM deliveries d WHERE d.invite_id = i.id AND d.status IN ('bounced', 'undelivered', 'rejected', 'suppressed', 'complained', 'unknown')
			AND d.number = (SELECT max(number) FROM deliveries l WHERE l.invite_id = i.id))`

// similar gives the likeliest first, and how many more share the domain only.
func (s *search) similar(ctx context.Context, db postgres.DB, m meaning) (similar []Hit, atDomain int, err error) {
	wanted := soughtIn(m)
	var hashes []seal.Hash
	for _, term := range wanted.terms() {
		hashes = append(hashes, s.hashes(term)...)
	}
	if len(hashes) == 0 {
		return nil, 0, nil
	}
	var now time.Time
	if err := db.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return nil, 0, fmt.Errorf("search: similar: %w", postgres.Translate(err))
	}
	var alike []likeness
	rows, _ := db.Query(ctx, similarTo, hashes, s.q.Project, s.q.Live, invite.From[invite.ID](now.Add(-recent)))
	var id invite.ID
	var sealed []byte
	if _, err := pgx.ForEachRow(rows, []any{&id, &sealed}, func() error {
		// One that no key opens resembles nothing, and hides no other.
		if content, err := Open(s.box, id, sealed); err == nil {
			if l := wanted.compare(content.Recipient); l.weight > 0 {
				l.id = id
				alike = append(alike, l)
			}
		}
		return nil
	}); err != nil {
		return nil, 0, fmt.Errorf("search: similar: %w", postgres.Translate(err))
	}
	alike, atDomain = likeliest(alike)
	for _, l := range alike {
		s.hits[l.id] = l.by
	}
	if len(alike) == 0 {
		return nil, 0, nil
	}
	found, err := s.load(ctx, db)
	if err != nil {
		return nil, 0, err
	}
	for _, l := range alike {
		for _, h := range found.Hits {
			if h.ID == l.id {
				h.Slips, h.Typed = l.slips, l.typed
				similar = append(similar, h)
			}
		}
	}
	return similar, atDomain, nil
}

package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// Moved is a person whose uses are counted under hashes of other keys than the primary
// one.
type Moved struct {
	Scope UseScope
	Old   []seal.Hash
	New   seal.Hash
}

// FindMoved returns those of the people who have uses under an old hash.
func FindMoved(ctx context.Context, db postgres.DB, people []Moved) ([]Moved, error) {
	if len(people) == 0 {
		return nil, nil
	}
	var of []int
	var scopes []string
	var subjects [][]byte
	for i, p := range people {
		for _, old := range p.Old {
			of, scopes, subjects = append(of, i), append(scopes, string(p.Scope)), append(subjects, old)
		}
	}
	rows, _ := db.Query(ctx, `
		SELECT DISTINCT k.of FROM unnest($1::bigint[], $2::text[], $3::bytea[]) k(of, scope, subject) CROSS JOIN LATERAL (
			SELECT FROM sending_uses u WHERE u.scope = k.scope AND u.subject = k.subject AND u.day = '1970-01-01' OFFSET 0) u`,
		of, scopes, subjects)
	found, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("find uses under old hashes: %w", postgres.Translate(err))
	}
	out := make([]Moved, 0, len(found))
	for _, i := range found {
		out = append(out, people[i])
	}
	return out, nil
}

// MoveUses adds what a person used under old hashes to what they used under the new
// one. It must be a transaction of its own: it waits for the row of the new hash.
func MoveUses(ctx context.Context, db postgres.DB, m Moved) error {
	_, err := db.Exec(ctx, `
		WITH old AS (
			DELETE FROM sending_uses WHERE scope = $1 AND subject = ANY($2) AND day = '1970-01-01'
			RETURNING messages, cost, times, extra, extra_until, used_at
		)
		INSERT INTO sending_uses AS u (scope, subject, day, messages, cost, times, extra, extra_until, used_at)
		SELECT $1, $3, '1970-01-01', sum(messages), sum(cost), coalesce((SELECT array_agg(t) FROM old o, unnest(o.times) t), '{}'),
			max(extra), max(extra_until), max(used_at)
		FROM old HAVING count(*) > 0
		ON CONFLICT (scope, subject, day) DO UPDATE SET messages = u.messages + excluded.messages, cost = u.cost + excluded.cost,
			times = coalesce(u.times, '{}') || excluded.times, extra = greatest(u.extra, excluded.extra),
			extra_until = greatest(u.extra_until, excluded.extra_until), used_at = greatest(u.used_at, excluded.used_at)`,
		m.Scope, m.Old, m.New)
	if err != nil {
		return fmt.Errorf("move the uses of a person: %w", postgres.Translate(err))
	}
	return nil
}

package find

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// load reads one page of the hits, newest first. Project and mode are checked
// again: every look-up has them, and a look-up that forgets must have no effect.
func (s *search) load(ctx context.Context, db postgres.DB) (Found, error) {
	ids := slices.SortedFunc(maps.Keys(s.hits), func(a, b invite.ID) int { return cmp.Compare(b.String(), a.String()) })
	out := Found{Count: Count{Total: len(ids), Least: s.least && len(ids) > s.q.Limit}}
	if len(ids) > MaxHits {
		ids = ids[:MaxHits]
		out.Count.Total, out.Count.Least = MaxHits, true
	}
	begin, end := s.bounds(ids)
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM invites i `+joins+`
		WHERE i.id = ANY($1) AND i.project_id = $2 AND i.livemode = $3 ORDER BY i.id DESC`, ids[begin:end], s.q.Project, s.q.Live)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Invite])
	if err != nil {
		return Found{}, fmt.Errorf("search: load: %w", postgres.Translate(err))
	}
	for _, inv := range found {
		out.Hits = append(out.Hits, Hit{Invite: inv, By: s.hits[inv.ID]})
	}
	out.More, out.Count.Newer = end < len(ids), begin
	return out, nil
}

// bounds returns which of the ids, newest first, are on the page.
func (s *search) bounds(ids []invite.ID) (begin, end int) {
	older := func(than invite.ID) int {
		i := slices.IndexFunc(ids, func(id invite.ID) bool { return id.String() < than.String() })
		if i < 0 {
			return len(ids)
		}
		return i
	}
	switch {
	case !s.q.Before.IsZero():
		end = older(s.q.Before)
		if end > 0 && ids[end-1] == s.q.Before {
			end--
		}
		return max(0, end-s.q.Limit), end
	case !s.q.After.IsZero():
		begin = older(s.q.After)
	}
	return begin, min(begin+s.q.Limit, len(ids))
}

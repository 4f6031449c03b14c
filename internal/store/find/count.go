package find

import (
	"context"
	"fmt"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// TotalCap is the limit of counting a list without filters, which is counted along
// one index. A list with filters is counted up to CountCap, among as many
// candidates: each costs look-ups.
const TotalCap = 10_000

// InviterCap is the limit of counting by inviter: of each candidate the words are looked
// up besides.
const InviterCap = 400

// Count is how many invites a filter matches, and where one of them is among them.
type Count struct {
	Total int
	// Least reports that there can be more than Total: the limit of counting was
	// reached, or only a part of the list was looked through.
	Least bool
	// Newer is how many matches are newer than the given invite. With Least it is
	// exact only if it is below Total.
	Newer int
}

// IsPositionKnown reports whether Newer is exact.
func (c Count) IsPositionKnown() bool { return !c.Least || c.Newer < c.Total }

// CountList counts the invites that List pages through, whichever page f names.
// first is the first invite of the page. The cost is bounded as that of List is.
func CountList(ctx context.Context, db postgres.DB, f Filter, first invite.ID) (c Count, err error) {
	f.After, f.Before = invite.ID{}, invite.ID{}
	if f.User.isSet() {
		if f.User, err = f.User.resolve(ctx, db, ""); err != nil {
			return c, err
		}
	}
	l := listing{f: f, most: CountCap + 1}
	switch {
	case (&listing{f: f}).where() == unfiltered:
		l.most = TotalCap + 1
	case len(f.Inviter) > 0:
		l.most = InviterCap + 1
	}
	sql, limit := l.position(first), l.most-1
	if err = db.QueryRow(ctx, sql, l.args...).Scan(&c.Total, &c.Newer); err != nil {
		return c, fmt.Errorf("count invites: %w", postgres.Translate(err))
	}
	if c.Total > limit {
		return Count{Total: limit, Least: true, Newer: min(c.Newer, limit)}, nil
	}
	end, err := stretchEnd(ctx, db, listing{f: f, most: l.most})
	c.Least = !end.IsZero()
	return c, err
}

// position counts the matches up to most, newest first, and those
// among them that are newer than first.
func (l *listing) position(first invite.ID) string {
	source, key := l.source()
	return fmt.Sprintf(`SELECT count(*), count(*) FILTER (WHERE id > %s) FROM (SELECT i.id FROM %s WHERE %s ORDER BY %s DESC LIMIT %d) t`,
		l.arg(first), source, l.where(), key, l.most)
}

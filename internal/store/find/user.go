package find

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// User is one external user of a project and mode, or several, for look-ups of
// their invites. Postgres gets keyed hashes of the id and never the id: products use
// email addresses and phone numbers as ids, and parameters of statements stand
// in the database's logs and statistics views.
type User struct {
	invite.Place

	ids      []string
	hashes   []seal.Hash // of each id, one per live key
	unhashed []invite.ID // of invites without a hash; known once resolved
}

// NewUser makes a User of the product's ids, byte for byte.
func NewUser(box *seal.Box, place invite.Place, externalUserIDs ...string) User {
	u := User{Place: place, ids: externalUserIDs}
	for _, id := range externalUserIDs {
		u.hashes = append(u.hashes, userid.Hashes(box, place, id)...)
	}
	return u
}

func (u User) isSet() bool { return len(u.hashes) > 0 }

// openOnly is of invites that are not over. It begins with a column's name.
const openOnly = `status IN ('scheduled', 'pending', 'active') AND gives_up_at > now()`

// resolve returns u with the ids of the user's invites that have no hash yet. An
// earlier version stored those, and a background job hashes them (see package
// issue); until it is done their ids are read and compared here. narrowed is SQL
// that narrows which of them are read. Afterwards it costs one look into an empty
// index.
func (u User) resolve(ctx context.Context, db postgres.DB, narrowed string) (User, error) {
	rows, _ := db.Query(ctx, `SELECT id, external_user_id FROM invites
		WHERE project_id = $1 AND livemode = $2 AND user_hash IS NULL`+narrowed, u.Project, u.Live)
	var id invite.ID
	var user string
	u.unhashed = nil
	_, err := pgx.ForEachRow(rows, []any{&id, &user}, func() error {
		if slices.Contains(u.ids, user) {
			u.unhashed = append(u.unhashed, id)
		}
		return nil
	})
	if err != nil {
		return u, fmt.Errorf("read users of invites without a hash: %w", postgres.Translate(err))
	}
	return u, nil
}

// table is the SQL of a resolved user's rows of invites, without an alias. The
// planner goes by the hash: OFFSET keeps it from walking along a whole project's
// list where it has no statistics of hashes yet.
func (u User) table(arg func(any) string) string {
	return "(SELECT * FROM invites WHERE " + u.where("", arg) + " OFFSET 0)"
}

// where is the SQL condition of a resolved user's invites; prefix is the table's
// alias with its dot, arg adds an argument and returns its placeholder.
func (u User) where(prefix string, arg func(any) string) string {
	hashed := prefix + "user_hash = ANY(" + arg(u.hashes) + ")"
	if len(u.unhashed) == 0 {
		return hashed
	}
	return "(" + hashed + " OR " + prefix + "id = ANY(" + arg(u.unhashed) + "))"
}

// arguments are those of one statement.
type arguments []any

func (a *arguments) add(v any) string {
	*a = append(*a, v)
	return "$" + strconv.Itoa(len(*a))
}

// ListUser returns up to n ids of a user's invites, by app and age. Erased ones
// belong to no user and are left out.
func ListUser(ctx context.Context, db postgres.DB, u User, n int) ([]invite.ID, error) {
	u, err := u.resolve(ctx, db, "")
	if err != nil {
		return nil, err
	}
	args := arguments{u.Project, u.Live, n}
	table := u.table(args.add)
	rows, _ := db.Query(ctx, `SELECT id FROM `+table+` i
		WHERE project_id = $1 AND livemode = $2 AND erased_at IS NULL
		ORDER BY app_slug, id DESC LIMIT $3`, args...)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[invite.ID])
	if err != nil {
		return nil, fmt.Errorf("list invites of a user: %w", postgres.Translate(err))
	}
	return ids, nil
}

// ListRevocable returns up to n ids of a user's invites that are neither connected
// nor revoked nor erased, the newest first: of one app, or of all where app is
// empty. before is the keyset; zero for the first page.
func ListRevocable(ctx context.Context, db postgres.DB, u User, app string, before invite.ID, n int) ([]invite.ID, error) {
	u, err := u.resolve(ctx, db, "")
	if err != nil {
		return nil, err
	}
	args := arguments{u.Project, u.Live, app, n}
	table := u.table(args.add)
	older := ""
	if !before.IsZero() {
		older = " AND id < " + args.add(before)
	}
	rows, _ := db.Query(ctx, `SELECT id FROM `+table+` i
		WHERE project_id = $1 AND livemode = $2 AND ($3 = '' OR app_slug = $3) AND erased_at IS NULL
			AND status NOT IN ('connected', 'revoked')`+older+`
		ORDER BY id DESC LIMIT $4`, args...)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[invite.ID])
	if err != nil {
		return nil, fmt.Errorf("list revocable invites of a user: %w", postgres.Translate(err))
	}
	return ids, nil
}

// ListByID reads invites of a project and mode in the order of ids; those that do
// not exist are left out.
func ListByID(ctx context.Context, db postgres.DB, place invite.Place, ids []invite.ID) ([]Invite, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM unnest($1::uuid[]) WITH ORDINALITY one(id, place)
		CROSS JOIN LATERAL (SELECT * FROM invites WHERE id = one.id AND project_id = $2 AND livemode = $3 OFFSET 0) i `+joins+`
		ORDER BY one.place`, ids, place.Project, place.Live)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Invite])
	if err != nil {
		return nil, fmt.Errorf("list %d invites: %w", len(ids), postgres.Translate(err))
	}
	return list, nil
}

// UserCount is how many invites a user has.
type UserCount struct {
	Invites   int // not erased
	Working   int // of them, those whose link works, or will: an erasure ends it
	Connected int // of them, those that led to a connected account
	// Least reports that the limit of counting was reached: there can be more.
	Least bool
}

// working is of invites whose link works, or will. That of a failed one does: the person
// may have it by another way.
const working = `status IN ('scheduled', 'pending', 'active', 'failed') AND gives_up_at > now()`

// CountUser counts the invites of a user, up to CountCap: each costs a look-up.
func CountUser(ctx context.Context, db postgres.DB, u User) (c UserCount, err error) {
	if u, err = u.resolve(ctx, db, ""); err != nil {
		return c, err
	}
	args := arguments{u.Project, u.Live, CountCap}
	table := u.table(args.add)
	err = db.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE `+working+`), count(*) FILTER (WHERE status = 'connected') FROM (
			SELECT status, gives_up_at FROM `+table+` i
			WHERE project_id = $1 AND livemode = $2 AND erased_at IS NULL LIMIT $3
		) t`, args...).Scan(&c.Invites, &c.Working, &c.Connected)
	if err != nil {
		return c, fmt.Errorf("count invites of a user: %w", postgres.Translate(err))
	}
	c.Least = c.Invites == CountCap
	return c, nil
}

package find

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// PublicEvent is one event that products are told of, as stored.
type PublicEvent struct {
	invite.Place

	ID        invite.EventID    `db:"id"`
	Xact      uint64            `db:"xact"`
	Type      invite.PublicType `db:"type"`
	InviteID  invite.ID         `db:"invite_id"`
	Sequence  int               `db:"sequence"`
	Body      []byte            `db:"body"` // sealed; nil once the person was erased
	CreatedAt time.Time         `db:"created_at"`
	// Trace is that of the invite, of trace.Marshal; only AnyPublicEvent reads it.
	Trace []byte `db:"trace"`
}

// Position is a place in the feed of public events: the transaction that wrote an
// event, and the event's id within it. Positions grow in the order of the feed.
type Position struct {
	Xact uint64
	ID   invite.EventID
}

// positionText writes positions: lower-case letters and digits.
var positionText = base32.HexEncoding.WithPadding(base32.NoPadding)

// ErrBadPosition is returned for text that is no Position's.
var ErrBadPosition = errors.New("not a position in the feed of events")

// IsZero reports whether the position is before every event.
func (p Position) IsZero() bool { return p.Xact == 0 && p.ID.IsZero() }

// String returns the position as callers see it; empty for the zero one.
func (p Position) String() string {
	if p.IsZero() {
		return ""
	}
	id := p.ID.UUID()
	return "evc_" + positionText.EncodeToString(append(binary.BigEndian.AppendUint64(nil, p.Xact), id[:]...))
}

// ParsePosition reads what String wrote. Errors: ErrBadPosition.
func ParsePosition(s string) (Position, error) {
	const prefix = "evc_"
	if len(s) <= len(prefix) || s[:len(prefix)] != prefix {
		return Position{}, ErrBadPosition
	}
	raw, err := positionText.DecodeString(s[len(prefix):])
	if err != nil || len(raw) != 24 {
		return Position{}, ErrBadPosition
	}
	p := Position{Xact: binary.BigEndian.Uint64(raw), ID: invite.EventFromUUID([16]byte(raw[8:]))}
	if p.String() != s || p.Xact > 1<<63 {
		return Position{}, ErrBadPosition
	}
	return p, nil
}

// Feed narrows a list of public events. Zero members do not narrow.
type Feed struct {
	invite.Place // required

	Types         []invite.PublicType // required
	InviteID      invite.ID
	User          User
	CreatedAfter  time.Time
	CreatedBefore time.Time
	After         Position
	// Newest lists the newest first, and After is where an older page begins.
	Newest bool
	Limit  int
}

// lastPosition is behind every event.
func lastPosition() Position {
	return Position{Xact: math.MaxInt64, ID: invite.EventFromUUID([16]byte(bytes.Repeat([]byte{0xff}, 16)))}
}

const publicColumns = `e.id, e.project_id, e.livemode, e.xact, e.type, e.invite_id, e.sequence, e.body, e.created_at`

const untraced = `, NULL::bytea AS trace`

// settled are the events that no later commit can precede: those of transactions older
// than every one that still runs.
const settled = `e.xact < pg_snapshot_xmin(pg_current_snapshot())`

// createdSlack is how far the times in ids, which processes take from their own
// clocks, and the order of transactions may be apart.
const createdSlack = 15 * time.Minute

// ListPublicEvents reads a page of public events, in the order in which they became
// certain, and whether more follow. An event appears once all transactions that began
// to write before it have ended; so a reader who goes on from the last one's position
// misses none.
func ListPublicEvents(ctx context.Context, db postgres.DB, f Feed) (page []PublicEvent, more bool, err error) {
	if f.User.isSet() {
		if f.User, err = f.User.resolve(ctx, db, ""); err != nil {
			return nil, false, err
		}
	}
	order, beyond := "", ">"
	if f.Newest {
		if order, beyond = " DESC", "<"; f.After.IsZero() {
			f.After = lastPosition()
		}
	}
	args := arguments{f.Project, f.Live, f.Types, f.After.Xact, f.After.ID.UUID(), f.Limit + 1}
	narrowed := `(e.xact, e.id) ` + beyond + ` ($4, $5::uuid) AND ` + settled
	if !f.CreatedAfter.IsZero() {
		// Where to begin is read from the primary key, which is ordered by time.
		narrowed += ` AND e.created_at >= ` + args.add(f.CreatedAfter) + ` AND e.xact >= coalesce((
			SELECT xact FROM public_events WHERE id < ` + args.add(invite.From[invite.EventID](f.CreatedAfter.Add(-createdSlack)).UUID()) + ` ORDER BY id DESC LIMIT 1), '0')`
	}
	if !f.CreatedBefore.IsZero() {
		narrowed += ` AND e.created_at < ` + args.add(f.CreatedBefore) + ` AND e.xact <= coalesce((
			SELECT xact FROM public_events WHERE id > ` + args.add(invite.From[invite.EventID](f.CreatedBefore.Add(createdSlack)).UUID()) + ` ORDER BY id LIMIT 1), pg_snapshot_xmax(pg_current_snapshot()))`
	}
	rows, _ := db.Query(ctx, `SELECT `+publicColumns+untraced+` FROM (`+f.source(&args, narrowed, order)+`) c
		JOIN public_events e ON e.id = c.id ORDER BY e.xact`+order+`, e.id`+order, args...)
	page, err = pgx.CollectRows(rows, pgx.RowToStructByName[PublicEvent])
	if err != nil {
		return nil, false, fmt.Errorf("list public events: %w", postgres.Translate(err))
	}
	if len(page) > f.Limit {
		return page[:f.Limit], true, nil
	}
	return page, false, nil
}

// source is the SQL that reads the ids of a page along the index that the filter
// needs: that of an invite, or that of each type.
func (f Feed) source(args *arguments, narrowed, direction string) string {
	order := ` ORDER BY e.xact` + direction + `, e.id` + direction + ` LIMIT $6`
	own := `e.project_id = $1 AND e.livemode = $2 AND e.type = ANY($3) AND ` + narrowed
	switch {
	case f.User.isSet():
		of := ""
		if !f.InviteID.IsZero() {
			of = ` WHERE i.id = ` + args.add(f.InviteID)
		}
		return `SELECT e.id FROM ` + f.User.table(args.add) + ` i CROSS JOIN LATERAL (
			SELECT * FROM public_events e WHERE e.invite_id = i.id OFFSET 0) e` + andWhere(of, own) + order
	case !f.InviteID.IsZero():
		return `SELECT e.id FROM (SELECT * FROM public_events e WHERE e.invite_id = ` + args.add(f.InviteID) + ` OFFSET 0) e WHERE ` + own + order
	}
	return `SELECT e.id FROM unnest($3::text[]) t CROSS JOIN LATERAL (
		SELECT e.id, e.xact FROM public_events e
		WHERE e.project_id = $1 AND e.livemode = $2 AND e.type = t AND ` + narrowed + order + `) e` + order
}

func andWhere(where, more string) string {
	if where == "" {
		return ` WHERE ` + more
	}
	return where + ` AND ` + more
}

// GetPublicEvent reads one public event of a project and mode. Errors: ErrNotFound.
func GetPublicEvent(ctx context.Context, db postgres.DB, place invite.Place, id invite.EventID) (PublicEvent, error) {
	rows, _ := db.Query(ctx, `SELECT `+publicColumns+untraced+` FROM public_events e WHERE e.id = $1 AND e.project_id = $2 AND e.livemode = $3`,
		id, place.Project, place.Live)
	return onePublic(rows, id)
}

// AnyPublicEvent reads one public event of any project; for the service itself,
// never for a caller. Errors: ErrNotFound.
func AnyPublicEvent(ctx context.Context, db postgres.DB, id invite.EventID) (PublicEvent, error) {
	rows, _ := db.Query(ctx, `SELECT `+publicColumns+`, (SELECT trace FROM invites WHERE id = e.invite_id) AS trace
		FROM public_events e WHERE e.id = $1`, id)
	return onePublic(rows, id)
}

func onePublic(rows pgx.Rows, id invite.EventID) (PublicEvent, error) {
	e, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[PublicEvent])
	if errors.Is(err, pgx.ErrNoRows) {
		return e, fmt.Errorf("get public event %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return e, fmt.Errorf("get public event %s: %w", id, postgres.Translate(err))
	}
	return e, nil
}

// ListAny reads invites of any project by their ids; for the service itself, never
// for a caller. Those that do not exist are left out.
func ListAny(ctx context.Context, db postgres.DB, ids []invite.ID) (map[invite.ID]Invite, error) {
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM unnest($1::uuid[]) w
		CROSS JOIN LATERAL (SELECT * FROM invites WHERE id = w OFFSET 0) i `+joins, ids)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Invite])
	if err != nil {
		return nil, fmt.Errorf("list invites by id: %w", postgres.Translate(err))
	}
	out := make(map[invite.ID]Invite, len(list))
	for _, inv := range list {
		out[inv.ID] = inv
	}
	return out, nil
}

package suppression

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// Sources: how a block came about.
const (
	FromReceipt = "receipt" // a provider's word on a message
	FromReply   = "reply"   // the person's own text message
	FromAPI     = "api"
	FromPage    = "page" // the recipient's page
)

// ErrNotFound is returned for a block that is not there, or is not the asker's.
var ErrNotFound = errors.New("no such suppression")

// New is a block to be added.
type New struct {
	Channel  invite.Channel
	Kind     invite.Block
	Address  secret.Text
	Note     secret.Text
	Source   string
	InviteID invite.ID
	By       string
}

// Row is a block as stored. Address and notes are sealed.
type Row struct {
	invite.Place

	ID        invite.SuppressionID `db:"id"`
	Channel   invite.Channel       `db:"channel"`
	Kind      invite.Block         `db:"kind"`
	Hash      seal.Hash            `db:"hash"`
	Sender    string               `db:"sender"`
	Address   []byte               `db:"address"` // nil once erased
	Note      []byte               `db:"note"`
	Source    string               `db:"source"`
	InviteID  invite.ID            `db:"invite_id"`
	CreatedBy string               `db:"created_by"`
	CreatedAt time.Time            `db:"created_at"`
	LiftedAt  *time.Time           `db:"lifted_at"`
	LiftedBy  string               `db:"lifted_by"`
	LiftNote  []byte               `db:"lift_note"`
}

const rowColumns = `id, project_id, livemode, channel, kind, hash, sender, address, note, source, invite_id, created_by, created_at, lifted_at, lifted_by, lift_note`

// Insert adds a block. Where one stands already under the same key nothing
// changes: the first reason is the one to be lifted. It returns the id of the
// block that stands, and whether it is the new one.
func Insert(ctx context.Context, db postgres.DB, box *seal.Box, s Scope, n New) (invite.SuppressionID, bool, error) {
	id := invite.New[invite.SuppressionID]()
	address, err := sealValue(box, n.Address, "suppressions.address", id)
	if err != nil {
		return id, false, err
	}
	note, err := sealValue(box, n.Note, "suppressions.note", id)
	if err != nil {
		return id, false, err
	}
	sender, known := "", s
	if n.Kind == invite.OptOut {
		// One that was said to another sender is another block: that sender's START
		// lifts it alone.
		sender = s.sender()
		known.Senders = s.Senders[:min(1, len(s.Senders))]
	}
	// The other live keys are looked at too: after a rotation an older block
	// stands under an older key.
	var stands invite.SuppressionID
	err = db.QueryRow(ctx, `
		WITH old AS (
			SELECT id FROM suppressions WHERE hash = ANY($14) AND lifted_at IS NULL AND (kind = 'opt_out') = ($5 = 'opt_out') LIMIT 1
		), added AS (
			INSERT INTO suppressions (id, project_id, livemode, channel, kind, hash, sender, address, note, source, invite_id, created_by)
			SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 WHERE NOT EXISTS (SELECT FROM old)
			ON CONFLICT (hash) WHERE lifted_at IS NULL DO NOTHING
			RETURNING id
		)
		SELECT id FROM added UNION ALL SELECT id FROM old
		UNION ALL SELECT id FROM suppressions WHERE hash = $13 AND lifted_at IS NULL
		LIMIT 1`,
		id, s.Project, s.Live, string(n.Channel), string(n.Kind), hashKey(box, s, n.Channel, n.Kind, n.Address.Reveal()), sender,
		address, note, n.Source, n.InviteID, n.By,
		hashKey(box, s, n.Channel, n.Kind, n.Address.Reveal()), Keys(box, known, n.Channel, n.Address.Reveal())).Scan(&stands)
	if errors.Is(err, pgx.ErrNoRows) {
		return id, false, nil // a twin that has not committed yet was first: it stands
	}
	if err != nil {
		return id, false, fmt.Errorf("insert suppression: %w", postgres.Translate(err))
	}
	return stands, stands == id, nil
}

func sealValue(box *seal.Box, t secret.Text, column string, id invite.SuppressionID) ([]byte, error) {
	if t.IsZero() {
		return nil, nil
	}
	b, err := box.Seal([]byte(t.Reveal()), seal.AD{Column: column, ID: id.UUID()})
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", column, err)
	}
	return b, nil
}

// Open opens a suppression's address or one of its notes; zero for a missing
// one.
func Open(box *seal.Box, id invite.SuppressionID, column string, b []byte) (secret.Text, error) {
	if b == nil {
		return secret.Text{}, nil
	}
	plain, err := box.Open(b, seal.AD{Column: column, ID: id.UUID()})
	if err != nil {
		return secret.Text{}, fmt.Errorf("open %s of %s: %w", column, id, err)
	}
	return secret.New(string(plain)), nil
}

// Standing is a block that stands in the way.
type Standing struct {
	ID   invite.SuppressionID
	Kind invite.Block
	Hash seal.Hash
}

const findStanding = `SELECT id, kind, hash FROM suppressions WHERE hash = ANY($1) AND lifted_at IS NULL ORDER BY kind = 'opt_out' DESC, id`

// ListStanding returns the blocks that stand under any of these keys, opt-outs
// first: they weigh most.
func ListStanding(ctx context.Context, db postgres.DB, keys []seal.Hash) ([]Standing, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	rows, _ := db.Query(ctx, findStanding, keys)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Standing])
	if err != nil {
		return nil, fmt.Errorf("list standing suppressions: %w", postgres.Translate(err))
	}
	return list, nil
}

// Ask is ListStanding as part of a batch: out is filled when its results are read.
func Ask(batch *pgx.Batch, keys []seal.Hash, out *[]Standing) {
	if len(keys) == 0 {
		return
	}
	batch.Queue(findStanding, keys).Query(func(rows pgx.Rows) error {
		var err error
		*out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Standing])
		return err
	})
}

// SetReplaced lifts the block that stands under a hash if it is of one of the kinds: a
// block that weighs more is about to take its place. It reports whether one was lifted.
func SetReplaced(ctx context.Context, tx pgx.Tx, hash seal.Hash, kinds []invite.Block) (bool, error) {
	tag, err := tx.Exec(ctx, `UPDATE suppressions SET lifted_at = now(), lifted_by = 'system'
		WHERE hash = $1 AND lifted_at IS NULL AND kind = ANY($2::text[])`, hash, kinds)
	if err != nil {
		return false, fmt.Errorf("replace a suppression: %w", postgres.Translate(err))
	}
	return tag.RowsAffected() > 0, nil
}

// Get returns a block of the scope, its senders' opt-outs included. Errors: ErrNotFound.
func Get(ctx context.Context, db postgres.DB, s Scope, id invite.SuppressionID) (Row, error) {
	rows, _ := db.Query(ctx, `SELECT `+rowColumns+` FROM suppressions
		WHERE id = $1 AND (project_id = $2 AND livemode = $3 OR sender <> '' AND sender = ANY($4::text[]))`, id, s.Project, s.Live, s.Senders)
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Row])
	if errors.Is(err, pgx.ErrNoRows) {
		return Row{}, fmt.Errorf("get suppression %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Row{}, fmt.Errorf("get suppression %s: %w", id, postgres.Translate(err))
	}
	return r, nil
}

// Filter selects standing blocks of a scope.
type Filter struct {
	Scope
	Channel invite.Channel       // empty: any
	Kind    invite.Block         // empty: any
	Keys    []seal.Hash          // nil: any address
	Since   time.Time            // zero: of any age
	After   invite.SuppressionID // the last one of the page before
	Limit   int
}

// walks is a SELECT of the newest standing blocks of a filter, up to limit of each
// kind, the project's and each sender's, with its arguments.
func (f Filter) walks(columns string, limit int) (string, []any) {
	args := []any{f.Project, f.Live}
	var where strings.Builder
	and := func(condition string, v any) {
		args = append(args, v)
		fmt.Fprintf(&where, " AND "+condition, len(args))
	}
	if f.Channel != "" {
		and("channel = $%d", string(f.Channel))
	}
	if f.Kind != "" {
		and("kind = $%d", string(f.Kind))
	}
	if f.Keys != nil {
		and("hash = ANY($%d)", f.Keys)
	}
	if !f.Since.IsZero() {
		and("id > $%d", invite.From[invite.SuppressionID](f.Since))
	}
	if !f.After.IsZero() {
		and("id < $%d", f.After)
	}
	walk := func(scope string) string {
		return fmt.Sprintf(`(SELECT %s FROM suppressions WHERE lifted_at IS NULL AND %s%s ORDER BY id DESC LIMIT %d)`, columns, scope, where.String(), limit)
	}
	// Each along an index of its own. A sender's opt-out can be the project's too.
	sql := walk("project_id = $1 AND livemode = $2")
	for _, sender := range f.Senders {
		args = append(args, sender)
		sql += " UNION " + walk(fmt.Sprintf("sender <> '' AND sender = $%d", len(args)))
	}
	return sql, args
}

// Count counts the standing blocks that List lists, up to most.
func Count(ctx context.Context, db postgres.DB, f Filter, most int) (int, error) {
	sql, args := f.walks("id", most)
	var n int
	if err := db.QueryRow(ctx, fmt.Sprintf(`SELECT least(count(*), %d) FROM (%s) s`, most, sql), args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count suppressions: %w", postgres.Translate(err))
	}
	return n, nil
}

// CountByDay counts the standing blocks that List lists, up to most, by how many times 24
// hours ago they were made; the latest day comes first.
func CountByDay(ctx context.Context, db postgres.DB, f Filter, days, most int) ([]int, error) {
	sql, args := f.walks("id, created_at", most)
	rows, _ := db.Query(ctx, fmt.Sprintf(`SELECT floor(extract(epoch FROM now() - created_at) / 86400)::int, count(*)::int
		FROM (SELECT created_at FROM (%s) w ORDER BY id DESC LIMIT %d) s GROUP BY 1`, sql, most), args...)
	out := make([]int, days)
	var day, n int
	_, err := pgx.ForEachRow(rows, []any{&day, &n}, func() error {
		if day = max(day, 0); day < days {
			out[day] += n
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count suppressions by day: %w", postgres.Translate(err))
	}
	return out, nil
}

// List returns standing blocks, newest first, and where the next page begins.
func List(ctx context.Context, db postgres.DB, f Filter) ([]Row, invite.SuppressionID, error) {
	sql, args := f.walks(rowColumns, f.Limit+1)
	rows, _ := db.Query(ctx, fmt.Sprintf(`SELECT * FROM (%s) s ORDER BY id DESC LIMIT %d`, sql, f.Limit+1), args...)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Row])
	if err != nil {
		return nil, invite.SuppressionID{}, fmt.Errorf("list suppressions: %w", postgres.Translate(err))
	}
	if len(list) <= f.Limit {
		return list, invite.SuppressionID{}, nil
	}
	list = list[:f.Limit]
	return list, list[f.Limit-1].ID, nil
}

// SetLifted lifts every active suppression under these keys that pick
// allows: opt-outs only, or all others. It returns their number.
func SetLifted(ctx context.Context, db postgres.DB, box *seal.Box, keys []seal.Hash, optOuts bool, by string, note secret.Text) (int, error) {
	standing, err := ListStanding(ctx, db, keys)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, st := range standing {
		if (st.Kind == invite.OptOut) != optOuts || st.Kind == invite.UnsubscribedBlock {
			continue // only the person undoes what they said to the mail provider
		}
		b, err := sealValue(box, note, "suppressions.lift_note", st.ID)
		if err != nil {
			return n, err
		}
		tag, err := db.Exec(ctx, `UPDATE suppressions SET lifted_at = now(), lifted_by = $2, lift_note = $3 WHERE id = $1 AND lifted_at IS NULL`, st.ID, by, b)
		if err != nil {
			return n, fmt.Errorf("lift suppression %s: %w", st.ID, postgres.Translate(err))
		}
		n += int(tag.RowsAffected())
	}
	return n, nil
}

// Addressed is what tells to which address a delivery went.
type Addressed struct {
	Content []byte // the invite's, sealed; nil once erased
	// Corrected: the address was changed since the delivery was queued, so the
	// content names another one.
	Corrected bool
}

// GetAddressed reads it. Errors: ErrNotFound.
func GetAddressed(ctx context.Context, db postgres.DB, id invite.ID, delivery invite.DeliveryID) (Addressed, error) {
	var a Addressed
	err := db.QueryRow(ctx, `
		SELECT content, EXISTS (
			SELECT FROM events e WHERE e.invite_id = i.id AND e.type = 'address_corrected'
				AND e.seq > (SELECT min(q.seq) FROM events q WHERE q.invite_id = i.id AND q.delivery_id = $2))
		FROM invites i WHERE i.id = $1`, id, delivery).Scan(&a.Content, &a.Corrected)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, fmt.Errorf("get address of invite %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return a, fmt.Errorf("get address of invite %s: %w", id, postgres.Translate(err))
	}
	return a, nil
}

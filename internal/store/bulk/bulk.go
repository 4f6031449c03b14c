// Package bulk owns the records of acts on many invites: an act, and its items, which are
// one invite each.
//
// It must not decide what an act may do: package issue does. Addresses come and go sealed.
package bulk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// ErrNotFound is returned for a missing act, and also for one of another project or mode.
var ErrNotFound = errors.New("not found")

// Kind is what an act does to each invite.
type Kind string

// The kinds.
const (
	Resend  Kind = "resend"
	Switch  Kind = "switch" // resend by the act's channel
	Correct Kind = "correct"
	Revoke  Kind = "revoke"
	Extend  Kind = "extend" // by the act's ValidForS
)

// State is the state of an act.
type State string

// The states. A draft is a dry run that was not confirmed.
const (
	Draft    State = "draft"
	Running  State = "running"
	Finished State = "finished"
	Stopped  State = "stopped"
)

// ItemState is the state of an item.
type ItemState string

// The states of items. All but waiting are final.
const (
	Waiting  ItemState = "waiting"
	Done     ItemState = "done"
	Failed   ItemState = "failed"
	LeftOut  ItemState = "left_out"
	NotBegun ItemState = "stopped" // the act was stopped before it
)

// ItemStates returns every state of an item, in the order of a report.
func ItemStates() []ItemState { return []ItemState{Done, Failed, LeftOut, NotBegun, Waiting} }

// Act is an act as stored.
type Act struct {
	invite.Place

	ID          invite.BulkID  `db:"id"`
	StaffID     invite.StaffID `db:"staff_id"`
	Kind        Kind           `db:"act"`
	Channel     invite.Channel `db:"channel"`
	ValidForS   int            `db:"valid_for_s"` // of Extend: seconds from the change of an invite to its new end
	Selection   string         `db:"selection"`
	State       State          `db:"state"`
	Items       int            `db:"items"`
	Emails      int            `db:"emails"`
	Texts       int            `db:"texts"`
	Cost        int64          `db:"cost"`
	CreatedAt   time.Time      `db:"created_at"`
	ConfirmedAt *time.Time     `db:"confirmed_at"`
	EndedAt     *time.Time     `db:"ended_at"`
	StoppedBy   invite.StaffID `db:"stopped_by"` // zero: the service, because the person's access ended
	Now         time.Time      `db:"now"`        // the database's
}

const columns = `project_id, livemode, id, staff_id, act, channel, valid_for_s, selection, state, items, emails, texts, cost, created_at, confirmed_at, ended_at, stopped_by, now() AS now`

// Item is an invite of an act as stored.
type Item struct {
	Number   int               `db:"number"`
	Line     int               `db:"line"` // of a file; 0: there is none
	ID       invite.BulkItemID `db:"id"`
	InviteID invite.ID         `db:"invite_id"`
	State    ItemState         `db:"state"`
	Reason   string            `db:"reason"`
	Doubt    string            `db:"doubt"`
	Address  []byte            `db:"address"` // sealed
	NextAt   time.Time         `db:"next_at"`
	OverAt   *time.Time        `db:"over_at"`
}

const itemColumns = `number, line, id, invite_id, state, reason, doubt, address, next_at, over_at`

// keptDrafts is how many drafts a person has at most in a project and mode.
const keptDrafts = 10

// Insert stores the draft of an act with its items. It replaces the oldest draft of a person
// who has many.
func Insert(ctx context.Context, tx pgx.Tx, a Act, items []Item) error {
	_, err := tx.Exec(ctx, `DELETE FROM bulk_acts WHERE project_id = $1 AND livemode = $2 AND state = 'draft' AND id IN (
		SELECT id FROM bulk_acts WHERE project_id = $1 AND livemode = $2 AND staff_id = $3 AND state = 'draft' ORDER BY id DESC OFFSET $4)`,
		a.Project, a.Live, a.StaffID, keptDrafts-1)
	if err != nil {
		return fmt.Errorf("delete drafts of staff %s: %w", a.StaffID, postgres.Translate(err))
	}
	_, err = tx.Exec(ctx, `INSERT INTO bulk_acts (project_id, livemode, id, staff_id, act, channel, valid_for_s, selection, items, emails, texts, cost)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		a.Project, a.Live, a.ID, a.StaffID, string(a.Kind), string(a.Channel), a.ValidForS, a.Selection, a.Items, a.Emails, a.Texts, a.Cost)
	if err != nil {
		return fmt.Errorf("insert bulk act %s: %w", a.ID, postgres.Translate(err))
	}
	n := len(items)
	numbers, lines, ids, invites := make([]int, n), make([]int, n), make([]invite.BulkItemID, n), make([]invite.ID, n)
	states, reasons, doubts, addresses := make([]string, n), make([]string, n), make([]string, n), make([][]byte, n)
	for i, it := range items {
		numbers[i], lines[i], ids[i], invites[i] = it.Number, it.Line, it.ID, it.InviteID
		states[i], reasons[i], doubts[i], addresses[i] = string(it.State), it.Reason, it.Doubt, it.Address
	}
	// An invite that was deleted in between is left out.
	_, err = tx.Exec(ctx, `INSERT INTO bulk_items (project_id, livemode, bulk_id, number, line, id, invite_id, state, reason, doubt, address, over_at)
		SELECT $1, $2, $3, t.number, t.line, t.id, t.invite_id, t.state, t.reason, t.doubt, t.address, CASE WHEN t.state <> 'waiting' THEN now() END
		FROM unnest($4::int[], $5::int[], $6::uuid[], $7::uuid[], $8::text[], $9::text[], $10::text[], $11::bytea[])
			AS t (number, line, id, invite_id, state, reason, doubt, address)
		CROSS JOIN LATERAL (SELECT FROM invites i WHERE i.id = t.invite_id AND i.project_id = $1 AND i.livemode = $2 OFFSET 0) i`,
		a.Project, a.Live, a.ID, numbers, lines, ids, invites, states, reasons, doubts, addresses)
	if err != nil {
		return fmt.Errorf("insert %d items of bulk act %s: %w", n, a.ID, postgres.Translate(err))
	}
	return nil
}

// Get reads an act. Errors: ErrNotFound.
func Get(ctx context.Context, db postgres.DB, place invite.Place, id invite.BulkID) (Act, error) {
	return one(ctx, db, id, `SELECT `+columns+` FROM bulk_acts WHERE project_id = $1 AND livemode = $2 AND id = $3`, place.Project, place.Live, id)
}

// Lock reads an act and locks it. Errors: ErrNotFound.
func Lock(ctx context.Context, tx pgx.Tx, place invite.Place, id invite.BulkID) (Act, error) {
	return one(ctx, tx, id, `SELECT `+columns+` FROM bulk_acts WHERE project_id = $1 AND livemode = $2 AND id = $3 FOR UPDATE`, place.Project, place.Live, id)
}

func one(ctx context.Context, db postgres.DB, id invite.BulkID, sql string, args ...any) (Act, error) {
	rows, _ := db.Query(ctx, sql, args...)
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Act])
	if errors.Is(err, pgx.ErrNoRows) {
		return Act{}, fmt.Errorf("read bulk act %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Act{}, fmt.Errorf("read bulk act %s: %w", id, postgres.Translate(err))
	}
	return a, nil
}

// List returns the latest acts that were confirmed, up to n, newest first. before is the keyset; zero
// for the first page.
func List(ctx context.Context, db postgres.DB, place invite.Place, before invite.BulkID, n int) ([]Act, error) {
	where, args := "", []any{place.Project, place.Live, n}
	if !before.IsZero() {
		where, args = " AND id < $4", append(args, before)
	}
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM bulk_acts WHERE project_id = $1 AND livemode = $2 AND state <> 'draft'`+where+`
		ORDER BY id DESC LIMIT $3`, args...)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Act])
	if err != nil {
		return nil, fmt.Errorf("list bulk acts: %w", postgres.Translate(err))
	}
	return list, nil
}

// Count is how many items of an act have a state, a reason and a doubt.
type Count struct {
	State  ItemState `db:"state"`
	Reason string    `db:"reason"`
	Doubt  string    `db:"doubt"`
	Items  int       `db:"items"`
}

// CountItems counts the items of an act, the most numerous first.
func CountItems(ctx context.Context, db postgres.DB, place invite.Place, id invite.BulkID) ([]Count, error) {
	rows, _ := db.Query(ctx, `SELECT state, reason, doubt, count(*)::int AS items FROM bulk_items
		WHERE project_id = $1 AND livemode = $2 AND bulk_id = $3 GROUP BY state, reason, doubt ORDER BY items DESC, reason, doubt`, place.Project, place.Live, id)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Count])
	if err != nil {
		return nil, fmt.Errorf("count items of bulk act %s: %w", id, postgres.Translate(err))
	}
	return list, nil
}

// ListItems returns up to n items of an act after a number, in their order. Empty state
// means every state.
func ListItems(ctx context.Context, db postgres.DB, place invite.Place, id invite.BulkID, state ItemState, after, n int) ([]Item, error) {
	rows, _ := db.Query(ctx, `SELECT `+itemColumns+` FROM bulk_items
		WHERE project_id = $1 AND livemode = $2 AND bulk_id = $3 AND number > $4 AND ($5 = '' OR state = $5) ORDER BY number LIMIT $6`,
		place.Project, place.Live, id, after, string(state), n)
	return collectItems(rows, id)
}

// ListDoubts returns the lines of up to n items with a doubt, in their order.
func ListDoubts(ctx context.Context, db postgres.DB, place invite.Place, id invite.BulkID, doubt string, n int) ([]int, error) {
	rows, _ := db.Query(ctx, `SELECT line FROM bulk_items WHERE project_id = $1 AND livemode = $2 AND bulk_id = $3 AND doubt = $4 AND state = 'waiting'
		ORDER BY number LIMIT $5`, place.Project, place.Live, id, doubt, n)
	list, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("list doubts of bulk act %s: %w", id, postgres.Translate(err))
	}
	return list, nil
}

func collectItems(rows pgx.Rows, id invite.BulkID) ([]Item, error) {
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Item])
	if err != nil {
		return nil, fmt.Errorf("list items of bulk act %s: %w", id, postgres.Translate(err))
	}
	return list, nil
}

// Part is an act that changed an invite.
type Part struct {
	ID      invite.BulkID  `db:"id"`
	StaffID invite.StaffID `db:"staff_id"`
	Kind    Kind           `db:"act"`
	At      time.Time      `db:"over_at"`
}

// ListOfInvite returns the acts that changed an invite, the latest first. The caller has made
// sure that the invite is the asker's.
func ListOfInvite(ctx context.Context, db postgres.DB, id invite.ID, n int) ([]Part, error) {
	rows, _ := db.Query(ctx, `SELECT a.id, a.staff_id, a.act, i.over_at
		FROM (SELECT project_id, livemode, bulk_id, over_at FROM bulk_items WHERE invite_id = $1 AND state = 'done' OFFSET 0) i
		CROSS JOIN LATERAL (SELECT id, staff_id, act FROM bulk_acts
			WHERE project_id = i.project_id AND livemode = i.livemode AND id = i.bulk_id OFFSET 0) a
		ORDER BY i.over_at DESC LIMIT $2`, id, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Part])
	if err != nil {
		return nil, fmt.Errorf("list bulk acts of invite %s: %w", id, postgres.Translate(err))
	}
	return list, nil
}

// DeleteAddresses removes the corrected addresses that wait for invites whose personal data is erased.
func DeleteAddresses(ctx context.Context, tx pgx.Tx, ids []invite.ID) error {
	if _, err := tx.Exec(ctx, `UPDATE bulk_items SET address = NULL WHERE invite_id = ANY($1) AND address IS NOT NULL`, ids); err != nil {
		return fmt.Errorf("delete corrected addresses of %d invites: %w", len(ids), postgres.Translate(err))
	}
	return nil
}

const (
	// KeepDraft is how long a dry run can be confirmed.
	KeepDraft = time.Hour
	// Keep is how long the report of an act is kept.
	Keep = 90 * 24 * time.Hour
	// deletedAtOnce bounds one statement of DeleteOld, by acts.
	deletedAtOnce = 10
)

// DeleteOld deletes the drafts that were not confirmed, and old reports.
func DeleteOld(ctx context.Context, db postgres.DB) error {
	for _, old := range []struct {
		where string
		keep  time.Duration
	}{{"state = 'draft' AND created_at", KeepDraft}, {"ended_at IS NOT NULL AND ended_at", Keep}} {
		for {
			tag, err := db.Exec(ctx, `DELETE FROM bulk_acts WHERE (project_id, livemode, id) IN (
				SELECT project_id, livemode, id FROM bulk_acts WHERE `+old.where+` < now() - make_interval(secs => $1) LIMIT $2)`, old.keep.Seconds(), deletedAtOnce)
			if err != nil {
				return fmt.Errorf("delete old bulk acts: %w", postgres.Translate(err))
			}
			if tag.RowsAffected() < deletedAtOnce {
				break
			}
		}
	}
	return nil
}

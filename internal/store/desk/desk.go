// Package desk owns the records that staff keep beside an invite: its owner, and notes.
//
// It must not decide who may take an invite or read a note: package attend does. Texts
// come and go sealed.
package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// ErrNotFound is returned for a missing row, and also for one of another project or mode.
var ErrNotFound = errors.New("not found")

// atWork is the condition that an owner's access has not ended: the account stands, and
// has a role in the project that may act. $1 is the role that may not.
const atWork = `EXISTS (SELECT FROM staff s JOIN staff_roles r ON r.staff_id = s.id
	WHERE s.id = o.staff_id AND s.disabled_at IS NULL AND r.project_id IN (o.project_id, '*') AND r.role <> $1)`

// Desk has the records of a locked invite.
type Desk struct {
	Owner  invite.StaffID // zero: none
	Erased bool           // its personal data is gone
	Notes  int
}

// Lock locks an invite and returns its records. Errors: ErrNotFound.
func Lock(ctx context.Context, tx pgx.Tx, place invite.Place, id invite.ID) (d Desk, err error) {
	err = tx.QueryRow(ctx, `SELECT erased_at IS NOT NULL FROM invites WHERE id = $1 AND project_id = $2 AND livemode = $3 FOR NO KEY UPDATE`,
		id, place.Project, place.Live).Scan(&d.Erased)
	if errors.Is(err, pgx.ErrNoRows) {
		return Desk{}, fmt.Errorf("lock invite %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Desk{}, fmt.Errorf("lock invite %s: %w", id, postgres.Translate(err))
	}
	// Read by a statement of its own, which sees the commits of the wait.
	owners, err := ListOwners(ctx, tx, []invite.ID{id})
	if err != nil {
		return Desk{}, err
	}
	d.Owner = owners[id]
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM invite_notes WHERE invite_id = $1`, id).Scan(&d.Notes); err != nil {
		return Desk{}, fmt.Errorf("count notes of invite %s: %w", id, postgres.Translate(err))
	}
	return d, nil
}

// ListOwners returns the owners of invites. Invites without one, and those whose owner's
// access has ended, are absent.
func ListOwners(ctx context.Context, db postgres.DB, ids []invite.ID) (map[invite.ID]invite.StaffID, error) {
	rows, _ := db.Query(ctx, `SELECT o.invite_id, o.staff_id FROM invite_owners o WHERE o.invite_id = ANY($2) AND `+atWork, string(access.RoleViewer), ids)
	out := map[invite.ID]invite.StaffID{}
	var id invite.ID
	var owner invite.StaffID
	_, err := pgx.ForEachRow(rows, []any{&id, &owner}, func() error {
		out[id] = owner
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list owners of %d invites: %w", len(ids), postgres.Translate(err))
	}
	return out, nil
}

// SetOwner makes a member of staff the owner of an invite.
func SetOwner(ctx context.Context, tx pgx.Tx, place invite.Place, id invite.ID, owner invite.StaffID) error {
	_, err := tx.Exec(ctx, `INSERT INTO invite_owners (invite_id, project_id, livemode, staff_id) VALUES ($1, $2, $3, $4)
		ON CONFLICT (invite_id) DO UPDATE SET staff_id = excluded.staff_id, taken_at = now()`, id, place.Project, place.Live, owner)
	if err != nil {
		return fmt.Errorf("set owner of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// DeleteOwner takes the owner off an invite.
func DeleteOwner(ctx context.Context, tx pgx.Tx, id invite.ID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM invite_owners WHERE invite_id = $1`, id); err != nil {
		return fmt.Errorf("delete owner of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// Note is a note as stored.
type Note struct {
	ID        invite.NoteID  `db:"id"`
	InviteID  invite.ID      `db:"invite_id"`
	StaffID   invite.StaffID `db:"staff_id"`
	Text      []byte         `db:"text"` // sealed
	WrittenAt time.Time      `db:"written_at"`
}

// InsertNote stores a note; WrittenAt is the database's.
func InsertNote(ctx context.Context, tx pgx.Tx, n Note) error {
	if _, err := tx.Exec(ctx, `INSERT INTO invite_notes (id, invite_id, staff_id, text) VALUES ($1, $2, $3, $4)`, n.ID, n.InviteID, n.StaffID, n.Text); err != nil {
		return fmt.Errorf("insert note %s: %w", n.ID, postgres.Translate(err))
	}
	return nil
}

// ListNotes returns the notes of an invite, newest first. The caller has made sure that
// the invite is the asker's.
func ListNotes(ctx context.Context, db postgres.DB, id invite.ID) ([]Note, error) {
	rows, _ := db.Query(ctx, `SELECT id, invite_id, staff_id, text, written_at FROM invite_notes WHERE invite_id = $1 ORDER BY id DESC`, id)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Note])
	if err != nil {
		return nil, fmt.Errorf("list notes of invite %s: %w", id, postgres.Translate(err))
	}
	return list, nil
}

// LockNote locks a note of an invite and returns its author. Errors: ErrNotFound.
func LockNote(ctx context.Context, tx pgx.Tx, of invite.ID, id invite.NoteID) (author invite.StaffID, err error) {
	err = tx.QueryRow(ctx, `SELECT staff_id FROM invite_notes WHERE id = $1 AND invite_id = $2 FOR UPDATE`, id, of).Scan(&author)
	if errors.Is(err, pgx.ErrNoRows) {
		return author, fmt.Errorf("lock note %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return author, fmt.Errorf("lock note %s: %w", id, postgres.Translate(err))
	}
	return author, nil
}

// DeleteNote deletes a note.
func DeleteNote(ctx context.Context, tx pgx.Tx, id invite.NoteID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM invite_notes WHERE id = $1`, id); err != nil {
		return fmt.Errorf("delete note %s: %w", id, postgres.Translate(err))
	}
	return nil
}

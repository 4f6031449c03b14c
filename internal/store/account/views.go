package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// View is a saved view as stored.
type View struct {
	invite.Place

	ID      invite.ViewID  `db:"id"`
	StaffID invite.StaffID `db:"staff_id"`
	Team    bool           `db:"team"`
	Content []byte         `db:"content"` // sealed
}

const viewColumns = `project_id, livemode, id, staff_id, team, content`

// ListViews returns the views of a person and of the team, up to n of each, the oldest
// first.
func ListViews(ctx context.Context, db postgres.DB, place invite.Place, of invite.StaffID, n int) ([]View, error) {
	rows, _ := db.Query(ctx, `
		(SELECT `+viewColumns+` FROM saved_views WHERE project_id = $1 AND livemode = $2 AND team ORDER BY id LIMIT $4)
		UNION ALL
		(SELECT `+viewColumns+` FROM saved_views WHERE project_id = $1 AND livemode = $2 AND staff_id = $3 AND NOT team ORDER BY id LIMIT $4)`,
		place.Project, place.Live, of, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[View])
	if err != nil {
		return nil, fmt.Errorf("list saved views: %w", postgres.Translate(err))
	}
	return list, nil
}

// InsertView stores a view, unless there are most of its kind already: of the team in
// the project and mode, or else of the person. It reports whether it did.
func InsertView(ctx context.Context, tx pgx.Tx, v View, most int) (bool, error) {
	// Two requests of a person wait for each other, and each counts the other's view.
	if _, err := tx.Exec(ctx, `SELECT FROM staff WHERE id = $1 FOR NO KEY UPDATE`, v.StaffID); err != nil {
		return false, fmt.Errorf("lock the person of a saved view: %w", postgres.Translate(err))
	}
	tag, err := tx.Exec(ctx, `INSERT INTO saved_views (project_id, livemode, id, staff_id, team, content)
		SELECT $1, $2, $3, $4, $5, $6 WHERE (
			SELECT count(*) FROM saved_views WHERE project_id = $1 AND livemode = $2 AND CASE WHEN $5 THEN team ELSE staff_id = $4 AND NOT team END) < $7`,
		v.Project, v.Live, v.ID, v.StaffID, v.Team, v.Content, most)
	if err != nil {
		return false, fmt.Errorf("insert saved view %s: %w", v.ID, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// LockView locks a view that a person sees: one's own, or one of the team. found is false
// for any other.
func LockView(ctx context.Context, tx pgx.Tx, place invite.Place, of invite.StaffID, id invite.ViewID) (v View, found bool, err error) {
	rows, _ := tx.Query(ctx, `SELECT `+viewColumns+` FROM saved_views
		WHERE project_id = $1 AND livemode = $2 AND id = $3 AND (team OR staff_id = $4) FOR UPDATE`, place.Project, place.Live, id, of)
	v, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[View])
	if errors.Is(err, pgx.ErrNoRows) {
		return v, false, nil
	}
	if err != nil {
		return v, false, fmt.Errorf("lock saved view %s: %w", id, postgres.Translate(err))
	}
	return v, true, nil
}

// SetView replaces the content of a locked view.
func SetView(ctx context.Context, tx pgx.Tx, v View) error {
	_, err := tx.Exec(ctx, `UPDATE saved_views SET content = $4 WHERE project_id = $1 AND livemode = $2 AND id = $3`, v.Project, v.Live, v.ID, v.Content)
	if err != nil {
		return fmt.Errorf("set saved view %s: %w", v.ID, postgres.Translate(err))
	}
	return nil
}

// DeleteView deletes a locked view.
func DeleteView(ctx context.Context, tx pgx.Tx, v View) error {
	_, err := tx.Exec(ctx, `DELETE FROM saved_views WHERE project_id = $1 AND livemode = $2 AND id = $3`, v.Project, v.Live, v.ID)
	if err != nil {
		return fmt.Errorf("delete saved view %s: %w", v.ID, postgres.Translate(err))
	}
	return nil
}

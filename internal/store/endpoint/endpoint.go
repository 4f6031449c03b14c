package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// ErrNotFound is returned for a missing row, and also for a row of another project
// or mode.
var ErrNotFound = errors.New("not found")

// Why an endpoint is disabled.
const (
	ByRequest = "request" // by a key or by staff
	Gone      = "gone"    // it answered 410
	Failing   = "failing" // no post succeeded for days
)

// Who manages an endpoint.
const (
	ByAPI           = "api" // a key or staff
	ByConfiguration = "configuration"
)

// Row is a webhook endpoint as stored.
type Row struct {
	invite.Place

	ID             invite.EndpointID   `db:"id"`
	Types          []invite.PublicType `db:"types"`   // empty: all
	Content        []byte              `db:"content"` // sealed
	OldSecretUntil *time.Time          `db:"old_secret_until"`
	FailingSince   *time.Time          `db:"failing_since"`
	DisabledAt     *time.Time          `db:"disabled_at"`
	DisabledWhy    string              `db:"disabled_why"`
	ManagedBy      string              `db:"managed_by"`
	CreatedAt      time.Time           `db:"created_at"`
	UpdatedAt      time.Time           `db:"updated_at"`
}

const columns = `w.id, w.project_id, w.livemode, w.types, w.content, w.old_secret_until, w.failing_since, w.disabled_at, w.disabled_why, w.managed_by, w.created_at, w.updated_at`

// Receives reports whether events of a type are for the endpoint.
func (r Row) Receives(t invite.PublicType) bool {
	return len(r.Types) == 0 || slices.Contains(r.Types, t)
}

// Insert stores a new endpoint of the API unless its project and mode have most of those
// already; it reports whether it was stored.
func Insert(ctx context.Context, db postgres.DB, r Row, most int) (Row, bool, error) {
	rows, _ := db.Query(ctx, `
		INSERT INTO webhook_endpoints AS w (id, project_id, livemode, types, content)
		SELECT $1, $2, $3, $4, $5
		WHERE (SELECT count(*) FROM (SELECT FROM webhook_endpoints WHERE project_id = $2 AND livemode = $3 AND managed_by = 'api' LIMIT $6) h) < $6
		RETURNING `+columns, r.ID, r.Project, r.Live, r.Types, r.Content, most)
	stored, err := one(rows, r.ID)
	if errors.Is(err, ErrNotFound) {
		return r, false, nil
	}
	return stored, err == nil, err
}

// InsertConfigured stores the endpoint of a project's configuration, unless its project
// and mode have it already; it reports whether it was stored.
func InsertConfigured(ctx context.Context, tx pgx.Tx, r Row) (bool, error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO webhook_endpoints (id, project_id, livemode, types, content, managed_by) VALUES ($1, $2, $3, $4, $5, 'configuration')
		ON CONFLICT (project_id, livemode) WHERE managed_by = 'configuration' DO NOTHING`, r.ID, r.Project, r.Live, r.Types, r.Content)
	if err != nil {
		return false, fmt.Errorf("insert the configured webhook endpoint of project %s: %w", r.Project, postgres.Translate(err))
	}
	return tag.RowsAffected() > 0, nil
}

// FindConfigured reads the endpoint of a project's configuration, if it was stored.
func FindConfigured(ctx context.Context, db postgres.DB, place invite.Place) (Row, bool, error) {
	return findConfigured(ctx, db, place, "")
}

// LockConfigured is FindConfigured for a change in this transaction.
func LockConfigured(ctx context.Context, tx pgx.Tx, place invite.Place) (Row, bool, error) {
	return findConfigured(ctx, tx, place, " FOR NO KEY UPDATE")
}

func findConfigured(ctx context.Context, db postgres.DB, place invite.Place, lock string) (Row, bool, error) {
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM webhook_endpoints w WHERE w.project_id = $1 AND w.livemode = $2 AND w.managed_by = 'configuration'`+lock,
		place.Project, place.Live)
	r, err := one(rows, invite.EndpointID{})
	if errors.Is(err, ErrNotFound) {
		return r, false, nil
	}
	return r, err == nil, err
}

// List reads the endpoints of a project and mode: that of the configuration, then the
// others, newest first.
func List(ctx context.Context, db postgres.DB, place invite.Place, n int) ([]Row, error) {
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM webhook_endpoints w WHERE w.project_id = $1 AND w.livemode = $2 ORDER BY w.managed_by DESC, w.id DESC LIMIT $3`,
		place.Project, place.Live, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Row])
	if err != nil {
		return nil, fmt.Errorf("list webhook endpoints: %w", postgres.Translate(err))
	}
	return list, nil
}

// ListFailing reads up to n enabled endpoints, of all projects, that have been failing
// since before at.
func ListFailing(ctx context.Context, db postgres.DB, at time.Time, n int) ([]Row, error) {
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM webhook_endpoints w WHERE w.failing_since < $1 AND w.disabled_at IS NULL ORDER BY w.failing_since LIMIT $2`, at, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Row])
	if err != nil {
		return nil, fmt.Errorf("list failing webhook endpoints: %w", postgres.Translate(err))
	}
	return list, nil
}

// Get reads one endpoint of a project and mode. Errors: ErrNotFound.
func Get(ctx context.Context, db postgres.DB, place invite.Place, id invite.EndpointID) (Row, error) {
	return get(ctx, db, place, id, "")
}

// Lock reads one endpoint of a project and mode for a change in this transaction.
// Errors: ErrNotFound.
func Lock(ctx context.Context, tx pgx.Tx, place invite.Place, id invite.EndpointID) (Row, error) {
	return get(ctx, tx, place, id, " FOR NO KEY UPDATE")
}

func get(ctx context.Context, db postgres.DB, place invite.Place, id invite.EndpointID, lock string) (Row, error) {
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM webhook_endpoints w WHERE w.id = $1 AND w.project_id = $2 AND w.livemode = $3`+lock,
		id, place.Project, place.Live)
	return one(rows, id)
}

// Set stores a changed endpoint that Lock has read, and returns it. One that is
// enabled by the change counts as failing no more.
func Set(ctx context.Context, tx pgx.Tx, r Row) (Row, error) {
	rows, _ := tx.Query(ctx, `
		UPDATE webhook_endpoints w SET types = $2, content = $3, old_secret_until = $4, disabled_why = $5,
			disabled_at = CASE WHEN $5 <> '' THEN coalesce(disabled_at, now()) END,
			failing_since = CASE WHEN disabled_at IS NULL THEN failing_since END, updated_at = now()
		WHERE id = $1 RETURNING `+columns, r.ID, r.Types, r.Content, r.OldSecretUntil, r.DisabledWhy)
	return one(rows, r.ID)
}

// Delete deletes an endpoint of the API with what waits for it, and reports whether it
// existed.
func Delete(ctx context.Context, db postgres.DB, place invite.Place, id invite.EndpointID) (bool, error) {
	tag, err := db.Exec(ctx, `DELETE FROM webhook_endpoints WHERE id = $1 AND project_id = $2 AND livemode = $3 AND managed_by = 'api'`, id, place.Project, place.Live)
	if err != nil {
		return false, fmt.Errorf("delete webhook endpoint %s: %w", id, postgres.Translate(err))
	}
	return tag.RowsAffected() > 0, nil
}

func one(rows pgx.Rows, id invite.EndpointID) (Row, error) {
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Row])
	if errors.Is(err, pgx.ErrNoRows) {
		return r, fmt.Errorf("webhook endpoint %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return r, fmt.Errorf("webhook endpoint %s: %w", id, postgres.Translate(err))
	}
	return r, nil
}

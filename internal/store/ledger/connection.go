package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Connection is a connected account under watch.
type Connection struct {
	invite.Place

	Environment string              `db:"environment"`
	AccountID   string              `db:"account_id"`
	InviteID    invite.ID           `db:"invite_id"` // the newest by which it was connected
	Status      invite.Health       `db:"status"`
	Reason      invite.HealthReason `db:"reason"`
	// CheckedAt is when Pipedream last told the status; a finding is stored only if
	// no other came since.
	CheckedAt *time.Time `db:"checked_at"`
}

const connectionColumns = `c.project_id, c.livemode, c.environment, c.account_id, c.invite_id, c.status, c.reason, c.checked_at`

// connectionKey selects a connection by the parameters $1 to $4.
const connectionKey = `c.project_id = $1 AND c.livemode = $2 AND c.environment = $3 AND c.account_id = $4`

// Finding is what Pipedream says of an account.
type Finding struct {
	Status invite.Health
	Reason invite.HealthReason // where Status is Unhealthy
	Error  []byte              // sealed; Pipedream's words
	// Next is when the account is due again.
	Next time.Duration
	// Reconnect, if positive, plans an invite to connect the account again after that
	// time, if the account was not unhealthy before.
	Reconnect time.Duration
}

// Enrol puts the accounts of up to n connected invites under watch and returns their
// number. The first checks are spread over a time.
func Enrol(ctx context.Context, db postgres.DB, place invite.Place, n int, over time.Duration) (int, error) {
	var got int
	err := db.QueryRow(ctx, `
		WITH picked AS (
			SELECT id, environment, account_id FROM invites
			WHERE project_id = $1 AND livemode = $2 AND status = 'connected' AND account_id <> '' AND NOT watched AND erased_at IS NULL
			ORDER BY id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
		), marked AS (
			UPDATE invites SET watched = true WHERE id = ANY(ARRAY(SELECT id FROM picked))
		), put AS (
			INSERT INTO connections (project_id, livemode, environment, account_id, invite_id, next_at)
			SELECT DISTINCT ON (environment, account_id) $1, $2, environment, account_id, id, now() + random() * make_interval(secs => $4)
			FROM picked ORDER BY environment, account_id, id DESC
			ON CONFLICT (project_id, livemode, environment, account_id) DO UPDATE SET invite_id = EXCLUDED.invite_id, error = NULL -- it is sealed for the invite before
				WHERE connections.invite_id < EXCLUDED.invite_id
		) SELECT count(*) FROM picked`, place.Project, place.Live, n, over.Seconds()).Scan(&got)
	if err != nil {
		return 0, fmt.Errorf("put connected accounts under watch: %w", postgres.Translate(err))
	}
	return got, nil
}

// claimedConnection is how long a claimed connection belongs to its claimer.
const claimedConnection = "5 minutes"

// ClaimConnections takes up to n connections of a project and mode that are due.
// Several processes never get the same one.
func ClaimConnections(ctx context.Context, db postgres.DB, place invite.Place, n int) ([]Connection, error) {
	rows, _ := db.Query(ctx, `
		WITH due AS (
			SELECT project_id, livemode, environment, account_id FROM connections
			WHERE project_id = $1 AND livemode = $2 AND next_at <= now() ORDER BY next_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
		)
		UPDATE connections c SET next_at = now() + interval '`+claimedConnection+`' FROM due
		WHERE c.project_id = due.project_id AND c.livemode = due.livemode AND c.environment = due.environment AND c.account_id = due.account_id
		RETURNING `+connectionColumns, place.Project, place.Live, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Connection])
	if err != nil {
		return nil, fmt.Errorf("claim connections: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetConnectionLater makes a connection due after d.
func SetConnectionLater(ctx context.Context, db postgres.DB, c Connection, d time.Duration) error {
	_, err := db.Exec(ctx, `UPDATE connections c SET next_at = now() + make_interval(secs => $5) WHERE `+connectionKey,
		c.Project, c.Live, c.Environment, c.AccountID, d.Seconds())
	if err != nil {
		return fmt.Errorf("put off the check of %s: %w", c.AccountID, postgres.Translate(err))
	}
	return nil
}

// GetConnection returns the connection of an invite's account and puts it under watch
// if it is not. Errors: ErrNotFound, also where the invite has no account or its
// personal data is erased.
func GetConnection(ctx context.Context, db postgres.DB, place invite.Place, id invite.ID) (Connection, error) {
	rows, _ := db.Query(ctx, `
		WITH own AS (
			SELECT id, environment, account_id FROM invites
			WHERE id = $3 AND project_id = $1 AND livemode = $2 AND status = 'connected' AND account_id <> '' AND erased_at IS NULL
		), marked AS (
			UPDATE invites SET watched = true WHERE id = $3 AND NOT watched AND EXISTS (SELECT FROM own)
		)
		INSERT INTO connections AS c (project_id, livemode, environment, account_id, invite_id, next_at)
		SELECT $1, $2, environment, account_id, id, now() + interval '1 day' FROM own
		ON CONFLICT (project_id, livemode, environment, account_id) DO UPDATE SET invite_id = greatest(c.invite_id, EXCLUDED.invite_id),
			error = CASE WHEN c.invite_id < EXCLUDED.invite_id THEN NULL ELSE c.error END -- it is sealed for the invite before
		RETURNING `+connectionColumns, place.Project, place.Live, id)
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Connection])
	if errors.Is(err, pgx.ErrNoRows) {
		return Connection{}, fmt.Errorf("get the connection of invite %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Connection{}, fmt.Errorf("get the connection of invite %s: %w", id, postgres.Translate(err))
	}
	return c, nil
}

// SetFound stores a finding about a connection that was read as c. It reports false,
// and stores nothing, if another finding or a reconnection came since. The invite
// must be locked.
func SetFound(ctx context.Context, tx pgx.Tx, c Connection, f Finding) (bool, error) {
	tag, err := tx.Exec(ctx, `
		UPDATE connections c SET status = $7, reason = $8, error = $9, checked_at = clock_timestamp(),
			since = CASE WHEN c.status = $7 THEN c.since ELSE clock_timestamp() END,
			next_at = now() + make_interval(secs => $10),
			reconnect_at = CASE WHEN $7 <> 'unhealthy' THEN NULL
				WHEN c.status <> 'unhealthy' AND $11::float8 >= 0 THEN now() + make_interval(secs => $11) ELSE c.reconnect_at END
		WHERE `+connectionKey+` AND c.invite_id = $5 AND c.checked_at IS NOT DISTINCT FROM $6`,
		c.Project, c.Live, c.Environment, c.AccountID, c.InviteID, c.CheckedAt,
		string(f.Status), string(f.Reason), f.Error, f.Next.Seconds(), reconnectSeconds(f))
	if err != nil {
		return false, fmt.Errorf("store a finding about %s: %w", c.AccountID, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// reconnectSeconds is Reconnect as a parameter; negative: none is planned.
func reconnectSeconds(f Finding) float64 {
	if f.Reconnect <= 0 {
		return -1
	}
	return f.Reconnect.Seconds()
}

// SetConnected records that an account was connected by an invite, and is healthy,
// and returns the connection as it was before; ok is false when there was none. The
// invite, and those that had the account before, must be locked.
func SetConnected(ctx context.Context, tx pgx.Tx, c Connection, next time.Duration) (before Connection, ok bool, err error) {
	rows, _ := tx.Query(ctx, `SELECT `+connectionColumns+` FROM connections c WHERE `+connectionKey+` FOR NO KEY UPDATE`,
		c.Project, c.Live, c.Environment, c.AccountID)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Connection])
	if err != nil {
		return before, false, fmt.Errorf("lock the connection %s: %w", c.AccountID, postgres.Translate(err))
	}
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO connections AS c (project_id, livemode, environment, account_id, invite_id, status, since, checked_at, next_at)
		VALUES ($1, $2, $3, $4, $5, 'healthy', clock_timestamp(), clock_timestamp(), now() + make_interval(secs => $6))
		ON CONFLICT (project_id, livemode, environment, account_id) DO UPDATE SET invite_id = EXCLUDED.invite_id, status = 'healthy', reason = '',
			error = NULL, since = CASE WHEN c.status = 'healthy' THEN c.since ELSE EXCLUDED.since END,
			checked_at = EXCLUDED.checked_at, next_at = EXCLUDED.next_at, reconnect_at = NULL`,
		c.Project, c.Live, c.Environment, c.AccountID, c.InviteID, next.Seconds())
	batch.Queue(`UPDATE invites SET watched = true WHERE id = $1`, c.InviteID)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return before, false, fmt.Errorf("record the connection %s: %w", c.AccountID, postgres.Translate(err))
	}
	if len(list) == 0 {
		return before, false, nil
	}
	return list[0], true, nil
}

// TakeCall takes one call from the budget of credentials at Pipedream, which gains
// one in every, and holds as many as depth lasts. It reports false, and after which
// time to ask again, where there is none or Pipedream asked for a pause.
func TakeCall(ctx context.Context, db postgres.DB, credentials []byte, every, depth time.Duration) (ok bool, after time.Duration, err error) {
	tag, err := db.Exec(ctx, `
		INSERT INTO pipedream_budgets AS b (credentials, full_at) VALUES ($1, now() + make_interval(secs => $2))
		ON CONFLICT (credentials) DO UPDATE SET full_at = greatest(b.full_at, now()) + make_interval(secs => $2)
			WHERE coalesce(b.rest_until <= now(), true) AND greatest(b.full_at, now()) + make_interval(secs => $2) <= now() + make_interval(secs => $3)`,
		credentials, every.Seconds(), depth.Seconds())
	if err != nil {
		return false, 0, fmt.Errorf("take a call to Pipedream: %w", postgres.Translate(err))
	}
	if tag.RowsAffected() == 1 {
		return true, 0, nil
	}
	var wait float64
	err = db.QueryRow(ctx, `
		SELECT greatest(extract(epoch FROM rest_until - now()), extract(epoch FROM full_at - now()) + $2 - $3, 0.001)::float8
		FROM pipedream_budgets WHERE credentials = $1`, credentials, every.Seconds(), depth.Seconds()).Scan(&wait)
	if err != nil {
		return false, 0, fmt.Errorf("read the budget of calls to Pipedream: %w", postgres.Translate(err))
	}
	return false, time.Duration(wait * float64(time.Second)), nil
}

// PauseCalls lets no process take a call from the budget for d.
func PauseCalls(ctx context.Context, db postgres.DB, credentials []byte, d time.Duration) error {
	_, err := db.Exec(ctx, `
		INSERT INTO pipedream_budgets AS b (credentials, full_at, rest_until) VALUES ($1, now(), now() + make_interval(secs => $2))
		ON CONFLICT (credentials) DO UPDATE SET rest_until = greatest(b.rest_until, EXCLUDED.rest_until)`, credentials, d.Seconds())
	if err != nil {
		return fmt.Errorf("pause calls to Pipedream: %w", postgres.Translate(err))
	}
	return nil
}

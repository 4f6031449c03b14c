// Package account owns the tables of who may act and of who did: API keys,
// client tokens, staff with their roles and sessions, and the audit log.
//
// It stores digests of keys and tokens, never those themselves. It must not
// decide who may what: package access does.
package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// ErrNotFound is returned for a key or an account that is not there.
var ErrNotFound = errors.New("no such key or account")

// Key is an API key as stored.
type Key struct {
	invite.Place

	ID          invite.KeyID `db:"id"`
	Name        string       `db:"name"`
	Hint        string       `db:"hint"`
	Environment string       `db:"environment"`
	Scopes      []string     `db:"scopes"`
	CreatedAt   time.Time    `db:"created_at"`
	LastUsedAt  *time.Time   `db:"last_used_at"`
	// LastUsedFrom is the network of the last use, see access.Network.
	LastUsedFrom string        `db:"last_used_from"`
	Replaces     *invite.KeyID `db:"replaces"` // the key that this one was made to replace
	ExpiresAt    *time.Time    `db:"expires_at"`
	RevokedAt    *time.Time    `db:"revoked_at"`
	Usable       bool          `db:"usable"` // neither revoked nor expired, by the database's clock
}

const keyColumns = `id, project_id, name, hint, livemode, environment, scopes, created_at, last_used_at, last_used_from, replaces, expires_at, revoked_at,
	(revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())) AS usable`

// FindKey returns the key with this digest; ok is false when there is none.
func FindKey(ctx context.Context, db postgres.DB, digest []byte) (Key, bool, error) {
	rows, _ := db.Query(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE digest = $1`, digest)
	k, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Key])
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, false, nil
	}
	if err != nil {
		return Key{}, false, fmt.Errorf("find key: %w", postgres.Translate(err))
	}
	return k, true, nil
}

// GetKey returns a key by its id. Errors: ErrNotFound.
func GetKey(ctx context.Context, db postgres.DB, id invite.KeyID) (Key, error) {
	rows, _ := db.Query(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1`, id)
	k, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Key])
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, fmt.Errorf("get key %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Key{}, fmt.Errorf("get key %s: %w", id, postgres.Translate(err))
	}
	return k, nil
}

// IsKeyUsable reports whether a key is neither revoked nor expired.
func IsKeyUsable(ctx context.Context, db postgres.DB, id invite.KeyID) (bool, error) {
	var usable bool
	err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM api_keys
		WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()))`, id).Scan(&usable)
	if err != nil {
		return false, fmt.Errorf("look at key %s: %w", id, postgres.Translate(err))
	}
	return usable, nil
}

// InsertKey stores a key by its digest.
func InsertKey(ctx context.Context, db postgres.DB, k Key, digest []byte) error {
	_, err := db.Exec(ctx, `
		INSERT INTO api_keys (id, project_id, name, digest, hint, livemode, environment, scopes, expires_at, replaces, end_told)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, `+toldOf+`)`,
		k.ID, k.Project, k.Name, digest, k.Hint, k.Live, k.Environment, k.Scopes, k.ExpiresAt, k.Replaces)
	if err != nil {
		return fmt.Errorf("insert key %s: %w", k.ID, postgres.Translate(err))
	}
	return nil
}

// ListKeys reads every key, newest first; project narrows it unless empty.
func ListKeys(ctx context.Context, db postgres.DB, project string) ([]Key, error) {
	rows, _ := db.Query(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE $1 = '' OR project_id = $1 ORDER BY id DESC`, project)
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByName[Key])
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", postgres.Translate(err))
	}
	return keys, nil
}

// SetKeyRevoked revokes a key; false means that it was revoked before. Errors: ErrNotFound.
func SetKeyRevoked(ctx context.Context, db postgres.DB, id invite.KeyID) (bool, error) {
	var exists, changed bool
	err := db.QueryRow(ctx, `
		WITH u AS (UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id)
		SELECT EXISTS (SELECT FROM api_keys WHERE id = $1), EXISTS (SELECT FROM u)`, id).Scan(&exists, &changed)
	if err != nil {
		return false, fmt.Errorf("revoke key %s: %w", id, postgres.Translate(err))
	}
	if !exists {
		return false, fmt.Errorf("revoke key %s: %w", id, ErrNotFound)
	}
	return changed, nil
}

// SetKeysUsed records that keys were used, to the minute, and from which network.
func SetKeysUsed(ctx context.Context, db postgres.DB, ids []invite.KeyID, network string) error {
	_, err := db.Exec(ctx, `UPDATE api_keys SET last_used_at = now(), last_used_from = $2
		WHERE id = ANY($1) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`, ids, network)
	if err != nil {
		return fmt.Errorf("record use of keys: %w", postgres.Translate(err))
	}
	return nil
}

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

// ReplacePasswordLink stores a link by which the owner of an account sets a password. It
// replaces the account's earlier one. The account must be locked.
func ReplacePasswordLink(ctx context.Context, tx pgx.Tx, id invite.StaffID, digest []byte, lasts time.Duration) error {
	if err := DeletePasswordLinks(ctx, tx, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO staff_links (digest, staff_id, purpose, expires_at) VALUES ($1, $2, 'password', now() + make_interval(secs => $3))`,
		digest, id, lasts.Seconds())
	if err != nil {
		return fmt.Errorf("insert password link of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// FindPasswordLink returns the account of a password link that has not expired.
func FindPasswordLink(ctx context.Context, db postgres.DB, digest []byte) (id invite.StaffID, ok bool, err error) {
	err = db.QueryRow(ctx, `SELECT staff_id FROM staff_links WHERE digest = $1 AND purpose = 'password' AND expires_at > now()`, digest).Scan(&id)
	return foundLink(id, err)
}

// TakePasswordLink deletes a password link; ok is false if it was used, replaced or has
// expired. The account must be locked.
func TakePasswordLink(ctx context.Context, tx pgx.Tx, digest []byte) (ok bool, err error) {
	var id invite.StaffID
	err = tx.QueryRow(ctx, `DELETE FROM staff_links WHERE digest = $1 AND purpose = 'password' AND expires_at > now() RETURNING staff_id`, digest).Scan(&id)
	_, ok, err = foundLink(id, err)
	return ok, err
}

// DeletePasswordLinks deletes the password link of an account.
func DeletePasswordLinks(ctx context.Context, tx pgx.Tx, id invite.StaffID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM staff_links WHERE staff_id = $1 AND purpose = 'password'`, id); err != nil {
		return fmt.Errorf("delete password links of staff %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// foundLink is the answer of a query for a link.
func foundLink(id invite.StaffID, err error) (invite.StaffID, bool, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return id, false, nil
	}
	if err != nil {
		return id, false, fmt.Errorf("find a link of staff: %w", postgres.Translate(err))
	}
	return id, true, nil
}

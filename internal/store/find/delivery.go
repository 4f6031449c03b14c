package find

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// GetDelivery reads one message of a project and mode. Errors: ErrNotFound.
func GetDelivery(ctx context.Context, db postgres.DB, place invite.Place, id invite.DeliveryID) (Delivery, error) {
	rows, _ := db.Query(ctx, `SELECT `+deliveryColumns+` FROM deliveries d
		WHERE d.id = $1 AND d.project_id = $2 AND d.livemode = $3`, id, place.Project, place.Live)
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Delivery])
	if errors.Is(err, pgx.ErrNoRows) {
		return Delivery{}, fmt.Errorf("get delivery %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Delivery{}, fmt.Errorf("get delivery %s: %w", id, postgres.Translate(err))
	}
	return d, nil
}

// Wording is the version of the templates that a delivery was last written with;
// ok is false while nothing of it was handed over.
func Wording(ctx context.Context, db postgres.DB, id invite.ID, delivery invite.DeliveryID) (version string, ok bool, err error) {
	err = db.QueryRow(ctx, `SELECT template_version FROM attempts
		WHERE invite_id = $1 AND delivery_id = $2 AND outcome IN ('accepted', 'unknown') ORDER BY number DESC LIMIT 1`, id, delivery).Scan(&version)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read the wording of delivery %s: %w", delivery, postgres.Translate(err))
	}
	return version, true, nil
}

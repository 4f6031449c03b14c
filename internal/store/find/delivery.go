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
func GetDelivery(ctx context.Context, db postgres.DB, project string, livemode bool, id invite.DeliveryID) (Delivery, error) {
	rows, _ := db.Query(ctx, `SELECT `+deliveryColumns+` FROM deliveries d
		WHERE d.id = $1 AND d.project_id = $2 AND d.livemode = $3`, id, project, livemode)
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Delivery])
	if errors.Is(err, pgx.ErrNoRows) {
		return Delivery{}, fmt.Errorf("get delivery %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Delivery{}, fmt.Errorf("get delivery %s: %w", id, postgres.Translate(err))
	}
	return d, nil
}

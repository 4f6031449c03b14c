package track

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// keep stores one callback as it came, sealed.
func (t *Tracker) keep(ctx context.Context, tx pgx.Tx, provider string, id invite.ID, body []byte) error {
	c, err := t.sealed(provider, id, body)
	if err != nil {
		return err
	}
	return ledger.InsertCallbacks(ctx, tx, []ledger.Callback{c})
}

func (t *Tracker) sealed(provider string, id invite.ID, body []byte) (ledger.Callback, error) {
	row := uuid.Must(uuid.NewV7())
	sealed, err := t.p.Box.Seal(body, seal.AD{Column: "callbacks.body", ID: row})
	if err != nil {
		return ledger.Callback{}, fmt.Errorf("seal callback of %s: %w", provider, err)
	}
	return ledger.Callback{ID: row, Provider: provider, InviteID: id, Body: sealed}, nil
}

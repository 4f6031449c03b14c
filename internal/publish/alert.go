package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

type alertBody struct {
	envelope

	InviteID *invite.ID `json:"invite_id"`
	Data     struct {
		Alert quota.Alert `json:"alert"`
	} `json:"data"`
}

// Raise stores the event of an alert in the log and for the endpoints that receive it,
// in the transaction that records that it was told.
func (o *Outbox) Raise(ctx context.Context, tx pgx.Tx, place invite.Place, a quota.Alert, at time.Time) error {
	return o.storeAlert(ctx, tx, invite.AlertRaised, place, a, at)
}

// Resolve stores the event of the end of what an alert was raised for, in the transaction
// that records the end.
func (o *Outbox) Resolve(ctx context.Context, tx pgx.Tx, place invite.Place, a quota.Alert, at time.Time) error {
	return o.storeAlert(ctx, tx, invite.AlertResolved, place, a, at)
}

func (o *Outbox) storeAlert(ctx context.Context, tx pgx.Tx, kind invite.PublicType, place invite.Place, a quota.Alert, at time.Time) error {
	id := invite.New[invite.EventID]()
	raw, err := encodeAlert(id, kind, place, a, at)
	if err != nil {
		return err
	}
	row, err := sealEvent(o.box, id, kind, place, raw, at)
	if err != nil {
		return err
	}
	return o.store(ctx, tx, []ledger.PublicEvent{row})
}

func encodeAlert(id invite.EventID, kind invite.PublicType, place invite.Place, a quota.Alert, at time.Time) ([]byte, error) {
	b := alertBody{envelope: newEnvelope(id, kind, at, place)}
	b.Data.Alert = a
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", id, err)
	}
	return raw, nil
}

// sampleAlert is an invented alert for an event of a type.
func sampleAlert(kind invite.PublicType, now time.Time) quota.Alert {
	if kind == invite.AlertResolved {
		return quota.ThresholdAlert(quota.AlertBounces, 2, 10)
	}
	midnight := now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	return quota.Alert{Kind: quota.AlertNear, Limit: "project_per_day", Scope: "project", Used: "40000", Max: "50000", ResetsAt: &midnight}
}

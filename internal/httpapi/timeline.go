package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
)

// eventShape is an entry of an invite's timeline. Ids that do not apply are null.
type eventShape struct {
	ID         invite.EventID   `json:"id"`
	Object     string           `json:"object"`
	InviteID   invite.ID        `json:"invite_id"`
	Version    int              `json:"version"` // of the invite, once this had happened
	Type       invite.EventType `json:"type"`
	Actor      actorShape       `json:"actor"`
	DeliveryID *string          `json:"delivery_id"`
	AttemptID  *string          `json:"attempt_id"`
	Data       invite.Data      `json:"data"`
	Detail     *string          `json:"detail"` // words of a person or a provider
	OccurredAt time.Time        `json:"occurred_at"`
	CreatedAt  time.Time        `json:"created_at"`
}

type actorShape struct {
	Kind invite.ActorKind `json:"kind"`
	ID   *string          `json:"id"`
}

// deliveryShape is one message to one recipient.
type deliveryShape struct {
	ID                invite.DeliveryID     `json:"id"`
	Object            string                `json:"object"`
	InviteID          invite.ID             `json:"invite_id"`
	Number            int                   `json:"number"`
	Kind              string                `json:"kind"`
	Channel           invite.Channel        `json:"channel"`
	Status            invite.DeliveryStatus `json:"status"`
	Reason            *resource.Reason      `json:"reason"`
	Provider          *string               `json:"provider"`
	ProviderMessageID *string               `json:"provider_message_id"`
	Attempts          int                   `json:"attempts"`
	NextAttemptAt     *time.Time            `json:"next_attempt_at"`
	CreatedAt         time.Time             `json:"created_at"`
	UpdatedAt         time.Time             `json:"updated_at"`
}

func (a *api) events(c echo.Context) error {
	id, err := a.ownInvite(c)
	if err != nil {
		return err
	}
	shapes, err := a.eventsOf(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, listOf(shapes, ""))
}

func (a *api) deliveries(c echo.Context) error {
	id, err := a.ownInvite(c)
	if err != nil {
		return err
	}
	shapes, err := a.deliveriesOf(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, listOf(shapes, ""))
}

// ownInvite is the id of the path, once it is known to be the asker's.
func (a *api) ownInvite(c echo.Context) (invite.ID, error) {
	id, err := inviteID(c)
	if err != nil {
		return id, err
	}
	if err := parseQuery(c).done(); err != nil {
		return id, err
	}
	_, err = a.owned(c.Request().Context(), keyPrincipal(c), id)
	return id, err
}

func (a *api) eventsOf(ctx context.Context, id invite.ID) ([]eventShape, error) {
	events, err := find.Events(ctx, a.DB, id)
	if err != nil {
		return nil, err
	}
	shapes := make([]eventShape, len(events))
	for i, e := range events {
		shapes[i] = eventShape{
			ID: e.ID, Object: "event", InviteID: e.InviteID, Version: e.Seq, Type: e.Type,
			Actor:      actorShape{Kind: e.Actor, ID: orNull(e.ActorID)},
			DeliveryID: orNull(e.DeliveryID.String()), AttemptID: orNull(e.AttemptID.String()),
			Data: e.Data, OccurredAt: e.OccurredAt.UTC(), CreatedAt: e.CreatedAt.UTC(),
		}
		if e.Detail == nil {
			continue
		}
		words, err := a.Box.Open(e.Detail, seal.AD{Column: "events.detail", ID: e.ID.UUID()})
		if err != nil {
			return nil, fmt.Errorf("open detail of event %s: %w", e.ID, err)
		}
		shapes[i].Detail = orNull(string(words))
	}
	return shapes, nil
}

func (a *api) deliveriesOf(ctx context.Context, id invite.ID) ([]deliveryShape, error) {
	all, err := find.Deliveries(ctx, a.DB, id)
	if err != nil {
		return nil, err
	}
	shapes := make([]deliveryShape, len(all))
	for i, d := range all {
		shapes[i] = shapeOf(d)
	}
	return shapes, nil
}

func shapeOf(d find.Delivery) deliveryShape {
	s := deliveryShape{
		ID: d.ID, Object: "delivery", InviteID: d.InviteID, Number: d.Number, Kind: d.Kind, Channel: d.Channel, Status: d.Status,
		Reason: resource.PresentReason(d.Reason, d.Status, d.ProviderCode), Provider: orNull(d.Provider),
		ProviderMessageID: orNull(d.ProviderMessageID), Attempts: d.Attempts,
		CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.UpdatedAt.UTC(),
	}
	if d.NextAt != nil && d.Status == invite.Queued {
		// While an attempt is in progress, next_at is the lease's end, which is
		// internal.
		at := d.NextAt.UTC()
		s.NextAttemptAt = &at
	}
	return s
}

func (a *api) delivery(c echo.Context) error {
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	d, err := a.ownDelivery(c)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, shapeOf(d))
}

func (a *api) ownDelivery(c echo.Context) (find.Delivery, error) {
	missing := invite.Errorf(invite.CodeDeliveryNotFound, "No delivery of this key's project and mode has this id.")
	id, err := invite.Parse[invite.DeliveryID](c.Param("id"))
	if err != nil {
		return find.Delivery{}, missing
	}
	p := keyPrincipal(c)
	d, err := find.GetDelivery(c.Request().Context(), a.DB, p.Place, id)
	if errors.Is(err, find.ErrNotFound) {
		return d, missing
	}
	return d, err
}

func (a *api) reasons(c echo.Context) error {
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, listOf(invite.Explanations(), ""))
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

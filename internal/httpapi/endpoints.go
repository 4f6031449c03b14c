package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/publish"
)

// Endpoints owns webhook endpoints; *publish.Endpoints does.
type Endpoints interface {
	List(ctx context.Context, p access.Principal) ([]publish.Endpoint, error)
	Resolve(ctx context.Context, p access.Principal, text string) (invite.EndpointID, error)
	Get(ctx context.Context, p access.Principal, id invite.EndpointID) (publish.Endpoint, error)
	Create(ctx context.Context, p access.Principal, c publish.EndpointChange) (publish.Endpoint, error)
	Update(ctx context.Context, p access.Principal, id invite.EndpointID, c publish.EndpointChange) (publish.Endpoint, error)
	Delete(ctx context.Context, p access.Principal, id invite.EndpointID) error
	RotateSecret(ctx context.Context, p access.Principal, id invite.EndpointID, expireOld time.Duration) (publish.Endpoint, error)
	Test(ctx context.Context, p access.Principal, id invite.EndpointID, t invite.PublicType) (publish.Attempt, error)
	Recover(ctx context.Context, p access.Principal, id invite.EndpointID, since time.Time) (int, error)
	Redeliver(ctx context.Context, p access.Principal, event invite.EventID, to invite.EndpointID) ([]invite.EndpointID, error)
	Attempts(ctx context.Context, p access.Principal, id invite.EndpointID, event invite.EventID, before invite.WebhookAttemptID, n int) ([]publish.Attempt, invite.WebhookAttemptID, error)
}

// endpointShape is the JSON shape of a webhook endpoint.
type endpointShape struct {
	ID             string              `json:"id"`
	Object         string              `json:"object"`
	Livemode       bool                `json:"livemode"`
	URL            string              `json:"url"`
	Description    *string             `json:"description"`
	Types          []invite.PublicType `json:"types"` // empty: all
	ManagedBy      string              `json:"managed_by"`
	Status         string              `json:"status"`
	DisabledReason *string             `json:"disabled_reason"`
	DisabledAt     *time.Time          `json:"disabled_at"`
	FailingSince   *time.Time          `json:"failing_since"`
	Secret         string              `json:"secret,omitempty"` // only when it was just made
	OldSecretUntil *time.Time          `json:"old_secret_expires_at"`
	CreatedAt      time.Time           `json:"created_at"`
	UpdatedAt      time.Time           `json:"updated_at"`
}

func shapeEndpoint(e publish.Endpoint) endpointShape {
	s := endpointShape{
		ID: e.ID.String(), Object: "webhook_endpoint", Livemode: e.Live, URL: e.URL, Description: orNull(e.Description), Types: e.Types,
		ManagedBy: e.ManagedBy, Status: "enabled", DisabledReason: orNull(e.DisabledWhy), DisabledAt: inUTC(e.DisabledAt),
		FailingSince: inUTC(e.FailingSince), Secret: e.Secret.Reveal(), OldSecretUntil: inUTC(e.OldSecretUntil),
		CreatedAt: e.CreatedAt.UTC(), UpdatedAt: e.UpdatedAt.UTC(),
	}
	if e.DisabledAt != nil {
		s.Status = "disabled"
	}
	return s
}

// attemptShape is the JSON shape of one post of an event.
type attemptShape struct {
	ID         *string   `json:"id"` // null for a test, which is not stored
	Object     string    `json:"object"`
	EndpointID string    `json:"endpoint_id"`
	EventID    string    `json:"event_id"`
	Number     int       `json:"number"`
	Delivered  bool      `json:"delivered"`
	HTTPStatus *int      `json:"http_status"` // null: no answer came
	Failure    *string   `json:"failure"`
	Answer     *string   `json:"answer"`
	DurationMS int       `json:"duration_ms"`
	CreatedAt  time.Time `json:"created_at"`
}

func shapeAttempt(a publish.Attempt) attemptShape {
	s := attemptShape{
		ID: orNull(a.ID.String()), Object: "webhook_attempt", EndpointID: a.EndpointID.String(), EventID: a.EventID.String(), Number: a.Number,
		Delivered: a.Status >= 200 && a.Status <= 299, Failure: orNull(a.Failure), Answer: orNull(a.Answer),
		DurationMS: int(a.Took.Milliseconds()), CreatedAt: a.CreatedAt.UTC(),
	}
	if a.Status != 0 {
		s.HTTPStatus = &a.Status
	}
	return s
}

func (a *api) listEndpoints(c echo.Context) error {
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	all, err := a.Endpoints.List(c.Request().Context(), keyPrincipal(c))
	if err != nil {
		return err
	}
	shapes := make([]endpointShape, 0, len(all))
	for _, e := range all {
		shapes = append(shapes, shapeEndpoint(e))
	}
	return writeJSON(c, http.StatusOK, listOf(shapes, ""))
}

func (a *api) getEndpoint(c echo.Context) error {
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	id, err := a.resolveEndpoint(c)
	if err != nil {
		return err
	}
	e, err := a.Endpoints.Get(c.Request().Context(), keyPrincipal(c), id)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, shapeEndpoint(e))
}

// endpointRequest is the body of POST /v1/webhook_endpoints.
type endpointRequest struct {
	URL         *string   `json:"url"`
	Description *string   `json:"description"`
	Types       *[]string `json:"types"`
}

func (a *api) createEndpoint(c echo.Context) error {
	var req endpointRequest
	_, faults, err := bindBody(c, &req, false)
	if err := errors.Join(err, faultsError(faults)); err != nil {
		return err
	}
	e, err := a.Endpoints.Create(c.Request().Context(), keyPrincipal(c), publish.EndpointChange{URL: req.URL, Description: req.Description, Types: req.Types})
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusCreated, shapeEndpoint(e))
}

// endpointUpdate is the body of PATCH /v1/webhook_endpoints/{id}.
type endpointUpdate struct {
	URL         *string   `json:"url"`
	Description *string   `json:"description"`
	Types       *[]string `json:"types"`
	Disabled    *bool     `json:"disabled"`
}

func (a *api) updateEndpoint(c echo.Context) error {
	var req endpointUpdate
	id, err := bindEndpoint(c, &req, false)
	if err != nil {
		return err
	}
	e, err := a.Endpoints.Update(c.Request().Context(), keyPrincipal(c), id, publish.EndpointChange(req))
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, shapeEndpoint(e))
}

func (a *api) deleteEndpoint(c echo.Context) error {
	id, err := publish.ParseEndpointID(c.Param("id"))
	if err != nil {
		return err
	}
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	if err := a.Endpoints.Delete(c.Request().Context(), keyPrincipal(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// rotateRequest is the body of POST /v1/webhook_endpoints/{id}/rotate_secret.
type rotateRequest struct {
	ExpireOldIn *int `json:"expire_old_in"` // seconds
}

func (a *api) rotateSecret(c echo.Context) error {
	var req rotateRequest
	id, err := bindEndpoint(c, &req, true)
	if err != nil {
		return err
	}
	expire := publish.DefaultExpireOld
	if req.ExpireOldIn != nil {
		if *req.ExpireOldIn < 0 || *req.ExpireOldIn > int(publish.MaxExpireOld.Seconds()) {
			return faultsError([]invite.Fault{{Pointer: "/expire_old_in", Code: invite.FaultOutOfRange, Detail: "must be from 0 to 604800 seconds; without it the old secret signs too for 86400"}})
		}
		expire = time.Duration(*req.ExpireOldIn) * time.Second
	}
	e, err := a.Endpoints.RotateSecret(c.Request().Context(), keyPrincipal(c), id, expire)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, shapeEndpoint(e))
}

// testRequest is the body of POST /v1/webhook_endpoints/{id}/test.
type testRequest struct {
	Type string `json:"type"`
}

func (a *api) testEndpoint(c echo.Context) error {
	var req testRequest
	id, err := a.bindResolved(c, &req)
	if err != nil {
		return err
	}
	if !invite.IsPublic(req.Type) {
		return faultsError([]invite.Fault{{Pointer: "/type", Code: invite.FaultInvalid, Detail: "must be a type of event, such as invite.connected"}})
	}
	attempt, err := a.Endpoints.Test(c.Request().Context(), keyPrincipal(c), id, invite.PublicType(req.Type))
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, shapeAttempt(attempt))
}

// recoverRequest is the body of POST /v1/webhook_endpoints/{id}/recover.
type recoverRequest struct {
	Since string `json:"since"`
}

// recoveredShape is how many events were queued again.
type recoveredShape struct {
	Object string `json:"object"`
	Queued int    `json:"queued"`
}

func (a *api) recoverEndpoint(c echo.Context) error {
	var req recoverRequest
	id, err := a.bindResolved(c, &req)
	if err != nil {
		return err
	}
	since, err := time.Parse(time.RFC3339, req.Since)
	if err != nil {
		return faultsError([]invite.Fault{{Pointer: "/since", Code: invite.FaultInvalid, Detail: "must be a time like 2026-11-23T15:04:05Z (RFC 3339); events are kept for 30 days"}})
	}
	n, err := a.Endpoints.Recover(c.Request().Context(), keyPrincipal(c), id, since)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusAccepted, recoveredShape{Object: "webhook_recovery", Queued: n})
}

// redeliverRequest is the body of POST /v1/events/{id}/redeliver.
type redeliverRequest struct {
	Endpoint *string `json:"endpoint"`
}

// redeliveredShape names the endpoints that an event was queued for.
type redeliveredShape struct {
	Object    string   `json:"object"`
	EventID   string   `json:"event_id"`
	Endpoints []string `json:"endpoints"`
}

func (a *api) redeliver(c echo.Context) error {
	event, err := invite.Parse[invite.EventID](c.Param("id"))
	if err != nil {
		return publish.NoEvent()
	}
	var req redeliverRequest
	_, faults, err := bindBody(c, &req, true)
	if err := errors.Join(err, faultsError(faults)); err != nil {
		return err
	}
	var to invite.EndpointID
	if req.Endpoint != nil {
		if to, err = a.Endpoints.Resolve(c.Request().Context(), keyPrincipal(c), *req.Endpoint); err != nil {
			return err
		}
	}
	ids, err := a.Endpoints.Redeliver(c.Request().Context(), keyPrincipal(c), event, to)
	if err != nil {
		return err
	}
	shape := redeliveredShape{Object: "webhook_redelivery", EventID: event.String(), Endpoints: make([]string, 0, len(ids))}
	for _, id := range ids {
		shape.Endpoints = append(shape.Endpoints, id.String())
	}
	slices.Sort(shape.Endpoints)
	return writeJSON(c, http.StatusAccepted, shape)
}

func (a *api) listAttempts(c echo.Context) error {
	id, err := a.resolveEndpoint(c)
	if err != nil {
		return err
	}
	q := parseQuery(c)
	limit := q.limit()
	var event invite.EventID
	if v := q.text("event", 100); v != "" {
		if event, err = invite.Parse[invite.EventID](v); err != nil {
			q.add("event", invite.FaultInvalid, "must be an event's id, evt_ and 26 characters")
		}
	}
	var before invite.WebhookAttemptID
	if v := q.values.Get("cursor"); v != "" {
		if before, err = invite.Parse[invite.WebhookAttemptID](v); err != nil {
			q.add("cursor", invite.FaultInvalid, "must be a next_cursor that this endpoint gave")
		}
	}
	if err := q.done("limit", "cursor", "event"); err != nil {
		return err
	}
	page, next, err := a.Endpoints.Attempts(c.Request().Context(), keyPrincipal(c), id, event, before, limit)
	if err != nil {
		return err
	}
	shapes := make([]attemptShape, 0, len(page))
	for _, at := range page {
		shapes = append(shapes, shapeAttempt(at))
	}
	return writeJSON(c, http.StatusOK, listOf(shapes, next.String()))
}

// bindEndpoint reads the endpoint of the path, which is to be changed, and the body.
func bindEndpoint(c echo.Context, into any, optional bool) (invite.EndpointID, error) {
	id, err := publish.ParseEndpointID(c.Param("id"))
	if err != nil {
		return id, err
	}
	_, faults, err := bindBody(c, into, optional)
	return id, errors.Join(err, faultsError(faults))
}

// bindResolved is bindEndpoint for acts that change no endpoint.
func (a *api) bindResolved(c echo.Context, into any) (invite.EndpointID, error) {
	id, err := a.resolveEndpoint(c)
	if err != nil {
		return id, err
	}
	_, faults, err := bindBody(c, into, false)
	return id, errors.Join(err, faultsError(faults))
}

// resolveEndpoint reads the endpoint of the path for acts that do not change it.
func (a *api) resolveEndpoint(c echo.Context) (invite.EndpointID, error) {
	return a.Endpoints.Resolve(c.Request().Context(), keyPrincipal(c), c.Param("id"))
}

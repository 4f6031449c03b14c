package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

const endpointPath = "/v1/webhook_endpoints/{id}"

// ListWebhookEndpoints returns all webhook endpoints of the key's project and mode,
// newest first. The one of the service's configuration has the id `configuration`.
func (c *Client) ListWebhookEndpoints(ctx context.Context) ([]WebhookEndpoint, error) {
	var out WebhookEndpointList
	err := c.send(ctx, request{method: http.MethodGet, path: "/v1/webhook_endpoints", idempotent: true}, &out, nil)
	return out.Data, err
}

// CreateWebhookEndpoint creates an endpoint and returns it with its Secret, which
// is not shown again. The request is not repeated when its response is lost: each
// success is another endpoint.
func (c *Client) CreateWebhookEndpoint(ctx context.Context, body CreateWebhookEndpoint) (WebhookEndpoint, error) {
	var out WebhookEndpoint
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/webhook_endpoints", body: body}, &out, nil)
	return out, err
}

// GetWebhookEndpoint reads an endpoint, without its secret.
func (c *Client) GetWebhookEndpoint(ctx context.Context, id string) (WebhookEndpoint, error) {
	var out WebhookEndpoint
	err := c.send(ctx, request{method: http.MethodGet, path: endpointPath, id: id, idempotent: true}, &out, nil)
	return out, err
}

// UpdateWebhookEndpoint changes the fields of body that are set. Disabled set to
// false enables an endpoint; the events that wait for it are then posted.
func (c *Client) UpdateWebhookEndpoint(ctx context.Context, id string, body UpdateWebhookEndpoint) (WebhookEndpoint, error) {
	var out WebhookEndpoint
	err := c.send(ctx, request{method: http.MethodPatch, path: endpointPath, id: id, body: body, idempotent: true}, &out, nil)
	return out, err
}

// DeleteWebhookEndpoint deletes an endpoint, the events that wait for it and its
// attempts. Deleting it again is ErrorCodeEndpointNotFound, and so is a
// deletion whose response was lost and that was repeated.
func (c *Client) DeleteWebhookEndpoint(ctx context.Context, id string) error {
	return c.send(ctx, request{method: http.MethodDelete, path: endpointPath, id: id, idempotent: true}, nil, nil)
}

// RotateWebhookSecret returns the endpoint with its new Secret. Events carry a
// signature of the old secret too, for ExpireOldIn seconds or 24 hours. The request
// is not repeated when its response is lost: each success is another secret.
func (c *Client) RotateWebhookSecret(ctx context.Context, id string, body RotateWebhookSecret) (WebhookEndpoint, error) {
	var out WebhookEndpoint
	err := c.send(ctx, request{method: http.MethodPost, path: endpointPath + "/rotate_secret", id: id, body: body}, &out, nil)
	return out, err
}

// TestWebhookEndpoint posts an invented event of a type once and returns what the
// endpoint answered, delivered or not.
func (c *Client) TestWebhookEndpoint(ctx context.Context, id string, eventType PublicEventType) (WebhookAttempt, error) {
	var out WebhookAttempt
	err := c.send(ctx, request{method: http.MethodPost, path: endpointPath + "/test", id: id, body: TestWebhookEndpoint{Type: eventType}}, &out, nil)
	return out, err
}

// RecoverWebhookEndpoint queues the events since a time that the endpoint receives
// and did not take. It returns how many were queued.
func (c *Client) RecoverWebhookEndpoint(ctx context.Context, id string, since time.Time) (int, error) {
	var out WebhookRecovery
	err := c.send(ctx, request{method: http.MethodPost, path: endpointPath + "/recover", id: id, body: RecoverWebhookEndpoint{Since: since}}, &out, nil)
	return out.Queued, err
}

// WebhookAttempts lists the posts of events to an endpoint, newest first, for 30
// days. event selects those of one event; empty selects all.
func (c *Client) WebhookAttempts(ctx context.Context, id string, event EventID) iter.Seq2[WebhookAttempt, error] {
	return items(ctx, func(ctx context.Context, cursor string) (page[WebhookAttempt], error) {
		query := url.Values{"limit": {"100"}}
		if event != "" {
			query.Set("event", event)
		}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var out page[WebhookAttempt]
		err := c.send(ctx, request{method: http.MethodGet, path: endpointPath + "/attempts", id: id, query: query, idempotent: true}, &out, nil)
		return out, err
	})
}

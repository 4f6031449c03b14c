package client

import (
	"context"
	"net/http"
)

// Pauses lists the current pauses in the key's project and mode.
func (c *Client) Pauses(ctx context.Context) ([]Pause, error) {
	var out page[Pause]
	err := c.send(ctx, request{method: http.MethodGet, path: "/v1/pauses", idempotent: true}, &out, nil)
	return out.Data, err
}

// PauseSending pauses a channel, or text messages to a country or a range of numbers, and
// returns the pauses after it. The key needs the scope admin.
func (c *Client) PauseSending(ctx context.Context, body PauseSending) ([]Pause, error) {
	var out page[Pause]
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/pauses", body: body, idempotent: true}, &out, nil)
	return out.Data, err
}

// ResumeSending ends a pause that was made by hand, and returns those that remain. The
// key needs the scope admin.
func (c *Client) ResumeSending(ctx context.Context, body ResumeSending) ([]Pause, error) {
	var out page[Pause]
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/pauses/resume", body: body, idempotent: true}, &out, nil)
	return out.Data, err
}

package client

import (
	"context"
	"net/http"
	"net/url"
)

// CreateInvites creates up to 100 invites with one request. It returns a result for
// each item, in their order: an item with a fault has a Problem and stores nothing,
// the others are stored. Give items an IdempotencyKey to repeat them safely after a
// restart; items without one get a key from that of the request.
func (c *Client) CreateInvites(ctx context.Context, invites []BatchInvite, options ...Option) ([]BatchResult, error) {
	var out Batch
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites/batch", body: CreateBatch{Invites: invites}, takesKey: true}, &out, options)
	return out.Results, err
}

// Err returns the item's failure as an *Error, and nil for an item that is stored.
// An item that was not created because the user has a connected account is a
// *ConnectedError.
func (r BatchResult) Err() error {
	switch {
	case r.Problem != nil:
		return &Error{Problem: *r.Problem}
	case r.ConnectedAccount != nil:
		return &ConnectedError{*r.ConnectedAccount}
	}
	return nil
}

// RevokeInvites revokes a user's invites that can still lead to a connection, of
// one app or of all. Connected accounts stay. Repeating it has no further effect.
func (c *Client) RevokeInvites(ctx context.Context, body RevokeInvites) (Revocation, error) {
	var out Revocation
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites/revoke", body: body, idempotent: true}, &out, nil)
	return out, err
}

// SearchApps returns the apps that match q, the best match first, and the most used
// ones for an empty q. AppList.Suggestion is the slug that was probably meant.
func (c *Client) SearchApps(ctx context.Context, q string) (AppList, error) {
	query := url.Values{}
	if q != "" {
		query.Set("q", q)
	}
	var out AppList
	err := c.send(ctx, request{method: http.MethodGet, path: "/v1/apps", query: query, idempotent: true}, &out, nil)
	return out, err
}

package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
)

// SuppressionFilter selects suppressions; zero fields select all active ones.
type SuppressionFilter struct {
	// Channel is email or sms.
	Channel Channel         `json:"channel,omitempty"`
	Kind    SuppressionKind `json:"kind,omitempty"`
	// Recipient is a whole email address, or a phone number with + and country code.
	Recipient string `json:"recipient,omitempty"`
}

// Suppressions lists active suppressions, newest first.
func (c *Client) Suppressions(ctx context.Context, f SuppressionFilter) iter.Seq2[Suppression, error] {
	return items(ctx, func(ctx context.Context, cursor string) (page[Suppression], error) {
		body := struct {
			SuppressionFilter

			Limit  int    `json:"limit"`
			Cursor string `json:"cursor,omitempty"`
		}{f, 100, cursor}
		var out page[Suppression]
		err := c.send(ctx, request{method: http.MethodPost, path: "/v1/suppressions/search", body: body, idempotent: true}, &out, nil)
		return out, err
	})
}

// AddSuppression stops messages to an address. If it is suppressed already, that
// suppression is returned.
func (c *Client) AddSuppression(ctx context.Context, body AddSuppression) (Suppression, error) {
	var out Suppression
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/suppressions", body: body, idempotent: true}, &out, nil)
	return out, err
}

// LiftSuppression allows messages to the address again. reason is for later
// readers and may be empty; it is sent in the URL, so it must name no person.
func (c *Client) LiftSuppression(ctx context.Context, id, reason string) (Suppression, error) {
	query := url.Values{}
	if reason != "" {
		query.Set("reason", reason)
	}
	var out Suppression
	err := c.send(ctx, request{method: http.MethodDelete, path: "/v1/suppressions/{id}", id: id, query: query, idempotent: true}, &out, nil)
	return out, err
}

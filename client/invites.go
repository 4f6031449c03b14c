package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// ConnectedError: nothing was created, because the user has a connected account of
// the app that no invite of this service connected. Only requests with IfConnected
// set to `return` meet it.
type ConnectedError struct{ Account ConnectedAccount }

// Error names the account's id.
func (e *ConnectedError) Error() string {
	return "connectlink: the user has a connected account: " + e.Account.Connection.AccountID
}

// CreateInvite creates an invite and sends it. Errors with a code, among others:
// ErrorCodeInvalidRequest with every faulty field, ErrorCodeActiveInviteExists,
// ErrorCodeRecipientSuppressed, ErrorCodeTokenMintFailed. With IfConnected also
// *ConnectedError.
func (c *Client) CreateInvite(ctx context.Context, body CreateInvite, options ...Option) (Invite, error) {
	var raw json.RawMessage
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites", body: body, takesKey: true}, &raw, options)
	if err != nil {
		return Invite{}, err
	}
	var kind struct{ Object string }
	if err := json.Unmarshal(raw, &kind); err == nil && kind.Object == string(ConnectedAccountObjectConnectedAccount) {
		var account ConnectedAccount
		if err := json.Unmarshal(raw, &account); err != nil {
			return Invite{}, fmt.Errorf("connectlink: read the response: %w", err)
		}
		return Invite{}, &ConnectedError{account}
	}
	var out Invite
	if err := json.Unmarshal(raw, &out); err != nil {
		return Invite{}, fmt.Errorf("connectlink: read the response: %w", err)
	}
	return out, nil
}

// PreviewInvite renders the messages and pages of an invite without creating it.
// language is a language tag or "all"; empty is the recipient's language.
func (c *Client) PreviewInvite(ctx context.Context, body CreateInvite, language string) (InvitePreview, error) {
	query := url.Values{}
	if language != "" {
		query.Set("language", language)
	}
	var out InvitePreview
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites/preview", query: query, body: body, idempotent: true}, &out, nil)
	return out, err
}

// GetInvite reads an invite with its deliveries and its timeline.
func (c *Client) GetInvite(ctx context.Context, id InviteID) (Invite, error) {
	var out Invite
	query := url.Values{"expand": {"deliveries,events"}}
	err := c.send(ctx, request{method: http.MethodGet, path: "/v1/invites/{id}", id: id, query: query, idempotent: true}, &out, nil)
	return out, err
}

// ResendInvite sends an invite again, with changes if body has any.
func (c *Client) ResendInvite(ctx context.Context, id InviteID, body ResendInvite, options ...Option) (Invite, error) {
	var out Invite
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites/{id}/resend", id: id, body: body, takesKey: true}, &out, options)
	return out, err
}

// ExtendInvite lets an invite work until validFor from now, in whole seconds, without a
// message. It never shortens the time.
func (c *Client) ExtendInvite(ctx context.Context, id InviteID, validFor time.Duration, options ...Option) (Invite, error) {
	var out Invite
	body := ExtendInvite{ValidFor: int(validFor.Seconds())}
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites/{id}/extend", id: id, body: body, takesKey: true}, &out, options)
	return out, err
}

// RevokeInvite ends an invite. reason is for the timeline and may be empty.
// Revoking again has no effect.
func (c *Client) RevokeInvite(ctx context.Context, id InviteID, reason string, options ...Option) (Invite, error) {
	body := RevokeInvite{}
	if reason != "" {
		body.Reason = &reason
	}
	var out Invite
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites/{id}/revoke", id: id, body: body, takesKey: true, idempotent: true}, &out, options)
	return out, err
}

// ReconnectInvite creates an invite to connect the account of a connected invite
// again, with changes if body has any, and sends it.
func (c *Client) ReconnectInvite(ctx context.Context, id InviteID, body ReconnectInvite, options ...Option) (Invite, error) {
	var out Invite
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites/{id}/reconnect", id: id, body: body, takesKey: true}, &out, options)
	return out, err
}

// CheckConnection checks the connected account of an invite at Pipedream now and
// returns the invite; Connection.Health has the result.
func (c *Client) CheckConnection(ctx context.Context, id InviteID) (Invite, error) {
	var out Invite
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites/{id}/check_connection", id: id, idempotent: true}, &out, nil)
	return out, err
}

// CreateClientToken creates a token with which an app reads and opens this
// invite. The request is not repeated when its response is lost: each success is
// another token.
func (c *Client) CreateClientToken(ctx context.Context, id InviteID) (ClientToken, error) {
	var out ClientToken
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites/{id}/client_token", id: id}, &out, nil)
	return out, err
}

// InviteFilter selects invites; zero fields select all.
type InviteFilter struct {
	Status         []InviteStatus   `json:"status,omitempty"`
	Progress       []Progress       `json:"progress,omitempty"`
	DeliveryStatus []DeliveryStatus `json:"delivery_status,omitempty"`
	Channel        Channel          `json:"channel,omitempty"`
	App            string           `json:"app,omitempty"`
	ExternalUserID string           `json:"external_user_id,omitempty"`
	// ExternalUserIDs selects the invites of up to 50 users.
	ExternalUserIDs []string `json:"external_user_ids,omitempty"`
	// Recipient is a whole email address, or a phone number with + and country code.
	Recipient string `json:"recipient,omitempty"`
	// Inviter is the inviter's whole name.
	Inviter string `json:"inviter,omitempty"`
	// Metadata has the pairs that the invite's metadata contains.
	Metadata Metadata   `json:"metadata,omitempty"`
	Created  TimeRange  `json:"created,omitzero"`
	Updated  TimeRange  `json:"updated,omitzero"`
	Reason   ReasonCode `json:"reason,omitempty"`
}

// TimeRange selects by a time, From included and Before not.
type TimeRange struct {
	From   time.Time `json:"gte,omitzero"`
	Before time.Time `json:"lt,omitzero"`
}

// CreatedFilter is the former name of TimeRange.
type CreatedFilter = TimeRange

// Invites lists invites, newest first, and reads pages as they are needed. Links
// are null in lists. The filter is sent in a body, because URLs are logged.
func (c *Client) Invites(ctx context.Context, f InviteFilter) iter.Seq2[Invite, error] {
	return items(ctx, func(ctx context.Context, cursor string) (page[Invite], error) {
		body := struct {
			InviteFilter

			Limit  int    `json:"limit"`
			Cursor string `json:"cursor,omitempty"`
		}{f, 100, cursor}
		var out page[Invite]
		err := c.send(ctx, request{method: http.MethodPost, path: "/v1/invites/search", body: body, idempotent: true}, &out, nil)
		return out, err
	})
}

// TestMessages lists the messages of test mode, newest first, with working links.
// invite selects those of one invite; empty selects all.
func (c *Client) TestMessages(ctx context.Context, invite InviteID) iter.Seq2[TestMessage, error] {
	return items(ctx, func(ctx context.Context, cursor string) (page[TestMessage], error) {
		query := url.Values{"limit": {"100"}}
		if invite != "" {
			query.Set("invite", invite)
		}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var out page[TestMessage]
		err := c.send(ctx, request{method: http.MethodGet, path: "/v1/test_helpers/messages", query: query, idempotent: true}, &out, nil)
		return out, err
	})
}

// AdvanceTestInvite skips a waiting time of hours of an invite in test mode.
func (c *Client) AdvanceTestInvite(ctx context.Context, id InviteID, body AdvanceInvite) (Invite, error) {
	var out Invite
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/test_helpers/invites/{id}/advance", id: id, body: body}, &out, nil)
	return out, err
}

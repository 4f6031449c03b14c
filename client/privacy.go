package client

import (
	"context"
	"net/http"
)

// ExportPerson returns all data of the key's project and mode for a user, without
// links. It needs a key with the scope admin. An unknown user has no invites.
func (c *Client) ExportPerson(ctx context.Context, externalUserID string) (PrivacyExport, error) {
	var out PrivacyExport
	body := ExportPerson{ExternalUserID: externalUserID}
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/privacy/export", body: body, idempotent: true}, &out, nil)
	return out, err
}

// ErasePerson revokes a user's open invites and erases the personal data of all of
// them. It cannot be undone. It needs a key with the scope admin. reason is for the
// audit log and may be empty.
func (c *Client) ErasePerson(ctx context.Context, externalUserID, reason string) (Erasure, error) {
	body := ErasePerson{ExternalUserID: externalUserID}
	if reason != "" {
		body.Reason = &reason
	}
	var out Erasure
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/privacy/erase", body: body, idempotent: true}, &out, nil)
	return out, err
}

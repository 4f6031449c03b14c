package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// EventFilter selects events; zero fields select all that are kept.
type EventFilter struct {
	// After is the NextCursor of an earlier page.
	After          string
	Types          []PublicEventType
	InviteID       InviteID
	ExternalUserID string
}

// ListEvents reads the next page of the events that webhooks carry, oldest first.
// Store NextCursor after the page was processed and pass it as After next time: it
// is set at the end of the list too.
func (c *Client) ListEvents(ctx context.Context, f EventFilter) (PublicEventList, error) {
	query := url.Values{"limit": {"100"}}
	for name, value := range map[string]string{"after": f.After, "invite": f.InviteID, "external_user_id": f.ExternalUserID} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(f.Types) > 0 {
		types := make([]string, len(f.Types))
		for i, t := range f.Types {
			types[i] = string(t)
		}
		query.Set("types", strings.Join(types, ","))
	}
	var out PublicEventList
	err := c.send(ctx, request{method: http.MethodGet, path: "/v1/events", query: query, idempotent: true}, &out, nil)
	return out, err
}

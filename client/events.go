package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// EventFilter selects events; zero fields select all that are kept.
type EventFilter struct {
	// After is the NextCursor of an earlier page.
	After          string
	Types          []PublicEventType
	InviteID       InviteID
	ExternalUserID string
	Created        TimeRange
}

func (f EventFilter) query() url.Values {
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
	for name, at := range map[string]time.Time{"created[gte]": f.Created.From, "created[lt]": f.Created.Before} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return query
}

// ListEvents reads the next page of the events that webhooks carry, oldest first.
// Store NextCursor after the page was processed and pass it as After next time: it
// is set at the end of the list too.
func (c *Client) ListEvents(ctx context.Context, f EventFilter) (PublicEventList, error) {
	var out PublicEventList
	err := c.send(ctx, request{method: http.MethodGet, path: "/v1/events", query: f.query(), idempotent: true}, &out, nil)
	return out, err
}

// Events lists the events that webhooks carry, oldest first, and reads pages as they
// are needed. It ends with the newest event. Programs that go on from there later
// use ListEvents, which returns the cursor to store.
func (c *Client) Events(ctx context.Context, f EventFilter) iter.Seq2[PublicEvent, error] {
	return items(ctx, func(ctx context.Context, cursor string) (page[PublicEvent], error) {
		if cursor != "" {
			f.After = cursor
		}
		list, err := c.ListEvents(ctx, f)
		return page[PublicEvent]{Data: list.Data, HasMore: list.HasMore, NextCursor: list.NextCursor}, err
	})
}

// GetEvent reads one event of the last 30 days.
func (c *Client) GetEvent(ctx context.Context, id EventID) (PublicEvent, error) {
	var out PublicEvent
	err := c.send(ctx, request{method: http.MethodGet, path: "/v1/events/{id}", id: id, idempotent: true}, &out, nil)
	return out, err
}

// RedeliverEvent queues an event for an endpoint, or with an empty endpoint for each
// enabled one that receives its type. Receivers see the same webhook-id again. The
// request is not repeated when its response is lost: each success is another post.
func (c *Client) RedeliverEvent(ctx context.Context, id EventID, endpoint string) (WebhookRedelivery, error) {
	body := RedeliverEvent{}
	if endpoint != "" {
		body.Endpoint = &endpoint
	}
	var out WebhookRedelivery
	err := c.send(ctx, request{method: http.MethodPost, path: "/v1/events/{id}/redeliver", id: id, body: body}, &out, nil)
	return out, err
}

package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/store/find"
)

// EventLog reads the public events of a project; *publish.Log does.
type EventLog interface {
	List(ctx context.Context, f find.Feed) (publish.Page, error)
	Get(ctx context.Context, place invite.Place, id invite.EventID) (json.RawMessage, error)
}

// feed is the shape of the list of public events. Unlike other lists it has a cursor
// also at its end, where the next events will follow.
type feed struct {
	Object     string            `json:"object"`
	Data       []json.RawMessage `json:"data"`
	HasMore    bool              `json:"has_more"`
	NextCursor *string           `json:"next_cursor"`
}

// listPublicEvents lists public events, oldest first.
func (a *api) listPublicEvents(c echo.Context) error {
	q, p := parseQuery(c), keyPrincipal(c)
	want := find.Feed{
		Place: p.Place, Limit: q.limit(), Types: invite.PublicTypes(),
		CreatedAfter: q.moment("created[gte]"), CreatedBefore: q.moment("created[lt]"),
	}
	if types := q.words("types", enumNames(invite.PublicTypes())...); len(types) > 0 {
		want.Types = nil
		for _, t := range types {
			want.Types = append(want.Types, invite.PublicType(t))
		}
	}
	if user := q.chars("external_user_id", 250); user != "" {
		want.User = find.NewUser(a.Box, p.Place, user)
	}
	var err error
	if id := q.text("invite", 100); id != "" {
		if want.InviteID, err = invite.Parse[invite.ID](id); err != nil {
			q.add("invite", invite.FaultInvalid, "must be an invite's id, inv_ and 26 characters")
		}
	}
	if after := q.values.Get("after"); after != "" {
		if want.After, err = find.ParsePosition(after); err != nil {
			q.add("after", invite.FaultInvalid, "must be a next_cursor that this endpoint gave")
		}
	}
	if err := q.done("limit", "after", "types", "invite", "external_user_id", "created[gte]", "created[lt]"); err != nil {
		return err
	}
	page, err := a.EventLog.List(c.Request().Context(), want)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, feed{Object: "list", Data: page.Events, HasMore: page.More, NextCursor: orNull(page.Next.String())})
}

func (a *api) getPublicEvent(c echo.Context) error {
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	id, err := invite.Parse[invite.EventID](c.Param("id"))
	if err != nil {
		return publish.NoEvent()
	}
	raw, err := a.EventLog.Get(c.Request().Context(), keyPrincipal(c).Place, id)
	if errors.Is(err, publish.ErrNoEvent) {
		return publish.NoEvent()
	}
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, raw)
}

package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/store/find"
)

// Names of status and the like, for filters.
func enumNames[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// list lists invites by the query string.
func (a *api) list(c echo.Context) error { return a.listInvites(c, parseQuery(c)) }

// listInvites answers a list; q are its filters, wherever the request has them.
func (a *api) listInvites(c echo.Context, q *params) error {
	ctx, p := c.Request().Context(), keyPrincipal(c)
	filter := find.Filter{
		Place: p.Place, Limit: q.limit(),
		Channel:       invite.Channel(q.word("channel", invite.ChannelNames(invite.AllChannels())...)),
		App:           q.text("app", 100),
		Reason:        invite.Reason(q.word("reason", reasonCodes()...)),
		CreatedAfter:  q.moment("created[gte]"),
		CreatedBefore: q.moment("created[lt]"),
	}
	if user := q.chars("external_user_id", 250); user != "" {
		filter.User = find.NewUser(a.Box, p.Place, user)
	}
	for _, s := range q.words("status", enumNames(invite.Statuses())...) {
		filter.Status = append(filter.Status, invite.Status(s))
	}
	if address := q.text("recipient", 320); address != "" {
		filter.Recipient = issue.AddressTerms(a.Box, p.Place, address)
		if len(filter.Recipient) == 0 {
			q.add("recipient", invite.FaultInvalid, "must be an email address, or a phone number that begins with + and the country code")
		}
	}
	if cursor := q.values.Get("cursor"); cursor != "" {
		after, err := invite.Parse[invite.ID](cursor)
		if err != nil {
			q.add("cursor", invite.FaultInvalid, "must be a next_cursor that this endpoint gave")
		}
		filter.After = after
	}
	if err := q.done("limit", "cursor", "status", "channel", "app", "external_user_id", "recipient", "created[gte]", "created[lt]", "reason"); err != nil {
		return err
	}
	page, next, err := find.List(ctx, a.DB, filter)
	if err != nil {
		return err
	}
	shapes := make([]resource.Invite, 0, len(page))
	for _, inv := range page {
		r, err := resource.Present(a.Box, inv, resource.Links{}) // never links in lists
		if err != nil {
			return err
		}
		shapes = append(shapes, r)
	}
	return writeJSON(c, http.StatusOK, listOf(shapes, next.String()))
}

func reasonCodes() []string {
	var out []string
	for _, e := range invite.Explanations() {
		out = append(out, string(e.Code))
	}
	return out
}

// owned reads an invite of the asker's project and mode.
func (a *api) owned(ctx context.Context, p access.Principal, id invite.ID) (find.Invite, error) {
	inv, err := find.Get(ctx, a.DB, p.Place, id)
	if errors.Is(err, find.ErrNotFound) {
		return inv, noInvite()
	}
	return inv, err
}

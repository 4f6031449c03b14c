package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/postgres"
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
	filter := a.inviteFilter(p, q)
	if err := q.done(inviteFilters()...); err != nil {
		return err
	}
	var page []find.Invite
	var next invite.ID
	err := a.Lists.Read(ctx, func(db postgres.DB) (err error) {
		page, next, err = find.List(ctx, db, filter)
		return err
	})
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

// Limits of filters of which several can be given.
const (
	maxUsers = 50
	maxPairs = 10
)

// inviteFilters are the names of all filters of a list of invites.
func inviteFilters() []string {
	return []string{
		"limit", "cursor", "status", "progress", "channel", "delivery_status", "app", "external_user_id", "recipient", "inviter", "metadata[name]",
		"created[gte]", "created[lt]", "updated[gte]", "updated[lt]", "reason",
	}
}

// inviteFilter reads the filters of a list of invites; q keeps their faults.
func (a *api) inviteFilter(p access.Principal, q *params) find.Filter {
	f := find.Filter{
		Place: p.Place, Limit: q.limit(),
		Status:         typed[invite.Status](q.words("status", enumNames(invite.Statuses())...)),
		Progress:       typed[invite.Progress](q.words("progress", enumNames(invite.Progresses())...)),
		DeliveryStatus: typed[invite.DeliveryStatus](q.words("delivery_status", enumNames(invite.DeliveryStatuses())...)),
		Channel:        invite.Channel(q.word("channel", invite.ChannelNames(invite.AllChannels())...)),
		App:            q.text("app", 100),
		Reason:         invite.Reason(q.word("reason", reasonCodes()...)),
		Metadata:       find.MetadataTerms(a.Box, p.Place, q.pairs("metadata", maxPairs, issue.MaxMetaKey, issue.MaxMetaText)),
		CreatedAfter:   q.moment("created[gte]"),
		CreatedBefore:  q.moment("created[lt]"),
		UpdatedAfter:   q.moment("updated[gte]"),
		UpdatedBefore:  q.moment("updated[lt]"),
	}
	if users := q.texts("external_user_id", maxUsers, 250); len(users) > 0 {
		f.User = find.NewUser(a.Box, p.Place, users...)
	}
	if address := q.text("recipient", 320); address != "" {
		f.Recipient = issue.AddressTerms(a.Box, p.Place, address)
		if len(f.Recipient) == 0 {
			q.add("recipient", invite.FaultInvalid, "must be an email address, or a phone number that begins with + and the country code")
		}
	}
	if name := q.chars("inviter", 80); name != "" {
		f.Inviter = find.InviterTerms(a.Box, p.Place, name)
		if len(f.Inviter) == 0 {
			q.add("inviter", invite.FaultInvalid, "must be a name with a letter or a digit")
		}
	}
	if cursor := q.values.Get("cursor"); cursor != "" {
		after, err := invite.Parse[invite.ID](cursor)
		if err != nil {
			q.add("cursor", invite.FaultInvalid, "must be a next_cursor that this endpoint gave")
		}
		f.After = after
	}
	return f
}

// typed gives words that were checked their type.
func typed[T ~string](words []string) []T {
	var out []T
	for _, w := range words {
		out = append(out, T(w))
	}
	return out
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

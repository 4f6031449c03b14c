package httpapi

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
)

// inviteSearch is the body of POST /v1/invites/search.
type inviteSearch struct {
	Limit          *int         `json:"limit"`
	Cursor         string       `json:"cursor"`
	Status         []string     `json:"status"`
	Channel        *string      `json:"channel"`
	App            *string      `json:"app"`
	ExternalUserID *string      `json:"external_user_id"`
	Recipient      *string      `json:"recipient"`
	Created        createdRange `json:"created"`
	Reason         *string      `json:"reason"`
}

type createdRange struct {
	From  *string `json:"gte"`
	Until *string `json:"lt"`
}

// suppressionSearch is the body of POST /v1/suppressions/search.
type suppressionSearch struct {
	Limit     *int    `json:"limit"`
	Cursor    string  `json:"cursor"`
	Channel   *string `json:"channel"`
	Kind      *string `json:"kind"`
	Recipient *string `json:"recipient"`
}

// searchInvites lists invites by filters in the body, where an address stands in
// no URL.
func (a *api) searchInvites(c echo.Context) error {
	var req inviteSearch
	q, err := bodyFilters(c, &req)
	if err != nil {
		return err
	}
	q.setPage(req.Limit, req.Cursor)
	if req.Status != nil {
		joined := strings.Join(req.Status, ",")
		q.set("status", &joined)
	}
	if slices.ContainsFunc(req.Status, func(s string) bool { return strings.Contains(s, ",") }) {
		q.add("status", invite.FaultInvalid, "each state is an item of its own")
	}
	q.set("channel", req.Channel)
	q.set("app", req.App)
	q.set("external_user_id", req.ExternalUserID)
	q.set("recipient", req.Recipient)
	q.set("created[gte]", req.Created.From)
	q.set("created[lt]", req.Created.Until)
	q.set("reason", req.Reason)
	return a.listInvites(c, q)
}

// searchSuppressions lists suppressions by filters in the body.
func (a *api) searchSuppressions(c echo.Context) error {
	var req suppressionSearch
	q, err := bodyFilters(c, &req)
	if err != nil {
		return err
	}
	q.setPage(req.Limit, req.Cursor)
	q.set("channel", req.Channel)
	q.set("kind", req.Kind)
	q.set("recipient", req.Recipient)
	return a.listSuppressed(c, q)
}

// bodyFilters reads a body of filters into a struct, and returns its faults of
// form for those of meaning to be added. A query string is refused: an address
// in it is what the body is for.
func bodyFilters(c echo.Context, into any) (*params, error) {
	if err := parseQuery(c).done(); err != nil {
		return nil, err
	}
	_, faults, err := bindBody(c, into, true)
	if err != nil {
		return nil, err
	}
	return &params{values: url.Values{}, faults: faults, inBody: true}, nil
}

// set sets one filter; nil is not given.
func (q *params) set(name string, value *string) {
	if value != nil {
		q.values.Set(name, *value)
	}
}

func (q *params) setPage(limit *int, cursor string) {
	if cursor != "" { // as a first page may say
		q.values.Set("cursor", cursor)
	}
	if limit != nil {
		q.values.Set("limit", strconv.Itoa(*limit))
	}
}

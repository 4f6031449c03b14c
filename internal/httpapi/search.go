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
	Limit           *int              `json:"limit"`
	Cursor          string            `json:"cursor"`
	Status          []string          `json:"status"`
	Progress        []string          `json:"progress"`
	Channel         *string           `json:"channel"`
	DeliveryStatus  []string          `json:"delivery_status"`
	App             *string           `json:"app"`
	ExternalUserID  *string           `json:"external_user_id"`
	ExternalUserIDs []string          `json:"external_user_ids"`
	Recipient       *string           `json:"recipient"`
	Inviter         *string           `json:"inviter"`
	Metadata        map[string]string `json:"metadata"`
	Created         timeRange         `json:"created"`
	Updated         timeRange         `json:"updated"`
	Reason          *string           `json:"reason"`
}

type timeRange struct {
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
	q.setWords("status", req.Status)
	q.setWords("progress", req.Progress)
	q.setWords("delivery_status", req.DeliveryStatus)
	q.set("channel", req.Channel)
	q.set("app", req.App)
	q.set("external_user_id", req.ExternalUserID)
	for _, user := range req.ExternalUserIDs {
		q.values.Add("external_user_id", user)
	}
	q.set("recipient", req.Recipient)
	q.set("inviter", req.Inviter)
	for name, value := range req.Metadata {
		q.set("metadata["+name+"]", &value)
	}
	q.set("created[gte]", req.Created.From)
	q.set("created[lt]", req.Created.Until)
	q.set("updated[gte]", req.Updated.From)
	q.set("updated[lt]", req.Updated.Until)
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

// setWords sets a choice of several; nil is not given.
func (q *params) setWords(name string, words []string) {
	if words == nil {
		return
	}
	if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, ",") }) {
		q.add(name, invite.FaultInvalid, "each state is an item of its own")
	}
	joined := strings.Join(words, ",")
	q.set(name, &joined)
}

func (q *params) setPage(limit *int, cursor string) {
	if cursor != "" { // as a first page may say
		q.values.Set("cursor", cursor)
	}
	if limit != nil {
		q.values.Set("limit", strconv.Itoa(*limit))
	}
}

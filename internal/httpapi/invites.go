package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

func (a *api) create(c echo.Context) error {
	var req issue.CreateRequest
	raw, faults, err := bindBody(c, &req, false)
	if err != nil {
		return err
	}
	p := keyPrincipal(c)
	if len(faults) > 0 {
		return faultsError(a.complete(p, req, faults))
	}
	m, err := requestMeta(c, raw, "POST /v1/invites")
	if err != nil {
		return err
	}
	made, err := a.Invites.Create(c.Request().Context(), p, req, m)
	if err != nil {
		return err
	}
	return a.answered(c, made)
}

// complete adds the faults of meaning to those of form, so that the author of
// a request hears of all of them at once. What form spoilt is not judged again.
func (a *api) complete(p access.Principal, req issue.CreateRequest, faults []invite.Fault) []invite.Fault {
	if a.Check == nil {
		return faults
	}
	var more *invite.Error
	if !errors.As(a.Check(p, req), &more) {
		return faults
	}
	for _, f := range more.Faults {
		spoilt := slices.ContainsFunc(faults, func(g invite.Fault) bool {
			return g.Pointer == "" || f.Pointer == g.Pointer || strings.HasPrefix(f.Pointer, g.Pointer+"/") ||
				g.Suggestion != "" && f.Pointer == suggestField(g)
		})
		if !spoilt {
			faults = append(faults, f)
		}
	}
	return faults
}

// suggestField is the place that an unknown field was probably meant for.
func suggestField(f invite.Fault) string {
	parent := f.Pointer[:strings.LastIndexByte(f.Pointer, '/')+1]
	return parent + strings.ReplaceAll(f.Suggestion, ".", "/")
}

// answered writes what a create, a resend or an extension came to.
func (a *api) answered(c echo.Context, made issue.Answer) error {
	h := c.Response().Header()
	if made.Replayed {
		h.Set(headerIdempotencyReplayed, "true")
	}
	if made.Connected != nil {
		return writeJSON(c, http.StatusOK, shapeConnected(*made.Connected))
	}
	status := statusOf(made.Outcome)
	if status != http.StatusOK {
		h.Set(echo.HeaderLocation, "/v1/invites/"+made.Invite.ID.String())
	}
	return writeJSON(c, status, madeShape{made.Invite, made.Warnings})
}

// statusOf is the HTTP status by which an answer says what a request came to.
func statusOf(o ledger.Outcome) int {
	switch o {
	case ledger.Created:
		return http.StatusCreated
	case ledger.Postponed:
		return http.StatusAccepted
	}
	return http.StatusOK
}

// madeShape is an invite as the answer of a create or a resend has it.
type madeShape struct {
	resource.Invite
	Warnings []issue.Warning `json:"warnings,omitempty"`
}

// connectedShape is the answer of a create that returns an account instead of an
// invite.
type connectedShape struct {
	Object         string              `json:"object"`
	ExternalUserID string              `json:"external_user_id"`
	App            string              `json:"app"`
	Connection     resource.Connection `json:"connection"`
}

func shapeConnected(a issue.ConnectedAccount) connectedShape {
	return connectedShape{"connected_account", a.ExternalUserID, a.App, a.Connection}
}

func (a *api) resend(c echo.Context) error {
	id, err := inviteID(c)
	if err != nil {
		return err
	}
	var req issue.ResendRequest
	raw, faults, err := bindBody(c, &req, true)
	if err != nil {
		return err
	}
	if err := faultsError(faults); err != nil {
		return err
	}
	m, err := requestMeta(c, raw, "POST /v1/invites/"+id.String()+"/resend")
	if err != nil {
		return err
	}
	made, err := a.Invites.Resend(c.Request().Context(), keyPrincipal(c), id, req, m)
	if err != nil {
		return err
	}
	return a.answered(c, made)
}

func (a *api) extend(c echo.Context) error {
	id, err := inviteID(c)
	if err != nil {
		return err
	}
	var req issue.ExtendRequest
	raw, faults, err := bindBody(c, &req, false)
	if err != nil {
		return err
	}
	if err := faultsError(faults); err != nil {
		return err
	}
	m, err := requestMeta(c, raw, "POST /v1/invites/"+id.String()+"/extend")
	if err != nil {
		return err
	}
	made, err := a.Invites.Extend(c.Request().Context(), keyPrincipal(c), id, req, m)
	if err != nil {
		return err
	}
	return a.answered(c, made)
}

func (a *api) reconnect(c echo.Context) error {
	id, err := inviteID(c)
	if err != nil {
		return err
	}
	var req issue.ReconnectRequest
	raw, faults, err := bindBody(c, &req, true)
	if err != nil {
		return err
	}
	if err := faultsError(faults); err != nil {
		return err
	}
	m, err := requestMeta(c, raw, "POST /v1/invites/"+id.String()+"/reconnect")
	if err != nil {
		return err
	}
	made, err := a.Invites.Reconnect(c.Request().Context(), keyPrincipal(c), id, req, m)
	if err != nil {
		return err
	}
	return a.answered(c, made)
}

func (a *api) revoke(c echo.Context) error {
	id, err := inviteID(c)
	if err != nil {
		return err
	}
	var req issue.RevokeRequest
	raw, faults, err := bindBody(c, &req, true)
	if err != nil {
		return err
	}
	if err := faultsError(faults); err != nil {
		return err
	}
	// Revoking twice is the same as once, so a key is checked and not needed.
	m, err := requestMeta(c, raw, "POST /v1/invites/"+id.String()+"/revoke")
	if err != nil {
		return err
	}
	r, err := a.Invites.Revoke(c.Request().Context(), keyPrincipal(c), id, req, m)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, r)
}

// revocation is the answer of POST /v1/invites/revoke.
type revocation struct {
	Object  string            `json:"object"`
	Revoked int               `json:"revoked"`
	Invites []resource.Invite `json:"invites"`
}

// revokeUser revokes all invites of a user. Doing it twice is the same as once, so
// an Idempotency-Key is checked and not needed.
func (a *api) revokeUser(c echo.Context) error {
	var req issue.RevokeUserRequest
	raw, faults, err := bindBody(c, &req, false)
	if err != nil {
		return err
	}
	if err := faultsError(faults); err != nil {
		return err
	}
	if _, err := requestMeta(c, raw, "POST /v1/invites/revoke"); err != nil {
		return err
	}
	n, invites, err := a.Invites.RevokeUser(c.Request().Context(), keyPrincipal(c), req)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, revocation{"revocation", n, invites})
}

// expanded is an invite with what expand asked for.
type expanded struct {
	resource.Invite
	Deliveries *[]deliveryShape `json:"deliveries,omitempty"`
	Events     *[]eventShape    `json:"events,omitempty"`
}

func (a *api) get(c echo.Context) error {
	id, err := inviteID(c)
	if err != nil {
		return err
	}
	q := parseQuery(c)
	expand := q.words("expand", "deliveries", "events")
	if err := q.done("expand"); err != nil {
		return err
	}
	ctx, p := c.Request().Context(), keyPrincipal(c)
	inv, err := a.owned(ctx, p, id)
	if err != nil {
		return err
	}
	r, err := resource.Present(a.Box, inv, resource.Links{Show: p.Can(access.LinksRead), PublicURL: a.PublicURL})
	if err != nil {
		return err
	}
	out := expanded{Invite: r}
	if slices.Contains(expand, "deliveries") {
		shapes, err := a.deliveriesOf(ctx, id)
		if err != nil {
			return err
		}
		out.Deliveries = &shapes
	}
	if slices.Contains(expand, "events") {
		shapes, err := a.eventsOf(ctx, id)
		if err != nil {
			return err
		}
		out.Events = &shapes
	}
	return writeJSON(c, http.StatusOK, out)
}

// inviteID reads the id of the path. A text that is no id is answered like
// an unknown id.
func inviteID(c echo.Context) (invite.ID, error) {
	id, err := invite.Parse[invite.ID](c.Param("id"))
	if err != nil {
		return id, noInvite()
	}
	return id, nil
}

func noInvite() error {
	return invite.Errorf(invite.CodeInviteNotFound, "No invite of this key's project and mode has this id.")
}

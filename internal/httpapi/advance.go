package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/sandbox"
)

// advanceRequest is the body of POST /v1/test_helpers/invites/{id}/advance.
type advanceRequest struct {
	To string `json:"to"`
}

// advanceTargets are the places an invite of test mode can be moved to at once.
// What a message or a person does is scripted by the recipient's address.
func advanceTargets() []string {
	targets := []string{"expired"}
	for _, s := range sandbox.AccountStates() {
		targets = append(targets, string(s))
	}
	return targets
}

func (a *api) advance(c echo.Context) error {
	id, err := inviteID(c)
	if err != nil {
		return err
	}
	var req advanceRequest
	_, faults, err := bindBody(c, &req, false)
	if err != nil {
		return err
	}
	if !slices.Contains(advanceTargets(), req.To) && len(faults) == 0 {
		faults = append(faults, invite.Fault{Pointer: "/to", Code: invite.FaultInvalid, Detail: "must be one of " + strings.Join(advanceTargets(), ", ")})
	}
	if err := faultsError(faults); err != nil {
		return err
	}
	ctx, p := c.Request().Context(), keyPrincipal(c)
	if _, err := a.owned(ctx, p, id); err != nil {
		return err
	}
	if a.Advance == nil {
		return invite.Errorf(invite.CodeNotYet, "This service cannot advance invites yet.")
	}
	if err := a.Advance(ctx, p, id, req.To); err != nil {
		return err
	}
	inv, err := a.owned(ctx, p, id)
	if err != nil {
		return err
	}
	r, err := resource.Present(a.Box, inv, resource.Links{Show: p.Can(access.LinksRead), PublicURL: a.PublicURL})
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, r)
}

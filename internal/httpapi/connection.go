package httpapi

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/resource"
)

// Connections checks connected accounts at Pipedream; *track.Tracker does. Errors, as
// *invite.Error: invite_not_connected, rate_limited, unavailable.
type Connections interface {
	CheckConnection(ctx context.Context, place invite.Place, id invite.ID) error
}

// checkConnection asks Pipedream now about the account of an invite, which is checked
// once a day where the project watches its connections.
func (a *api) checkConnection(c echo.Context) error {
	id, err := inviteID(c)
	if err != nil {
		return err
	}
	ctx, p := c.Request().Context(), keyPrincipal(c)
	if _, err := a.owned(ctx, p, id); err != nil {
		return err
	}
	if a.Connections == nil {
		return invite.Errorf(invite.CodeNotYet, "This service cannot check connected accounts.")
	}
	if err := a.Connections.CheckConnection(ctx, p.Place, id); err != nil {
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

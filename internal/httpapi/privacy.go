package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/web"
)

// Privacy exports and erases the data of a person; *erase.Service does.
type Privacy interface {
	Export(ctx context.Context, p access.Principal, externalUserID string) (erase.Export, error)
	Erase(ctx context.Context, p access.Principal, externalUserID, reason string) (erase.Erased, error)
}

// personRequest is the body of POST /v1/privacy/export.
type personRequest struct {
	ExternalUserID string `json:"external_user_id"`
}

// eraseRequest is the body of POST /v1/privacy/erase.
type eraseRequest struct {
	ExternalUserID string `json:"external_user_id"`
	Reason         string `json:"reason,omitempty"`
}

// erasureShape is the JSON shape of what came of an erasure.
type erasureShape struct {
	Object string `json:"object"`
	erase.Erased
}

// exportPerson streams, because the data of one person may be long.
func (a *api) exportPerson(c echo.Context) error {
	var req personRequest
	_, faults, err := bindBody(c, &req, false)
	if err := errors.Join(err, faultsError(faults)); err != nil {
		return err
	}
	ctx := c.Request().Context()
	export, err := a.Privacy.Export(ctx, keyPrincipal(c), req.ExternalUserID)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	h.Set(echo.HeaderContentDisposition, `attachment; filename="export.json"`)
	if err := export.Write(ctx, c.Response()); err != nil {
		if c.Response().Committed {
			web.HangUp(c) // half a document must not pass for a whole one
		}
		return fmt.Errorf("export a person: %w", err)
	}
	return nil
}

func (a *api) erasePerson(c echo.Context) error {
	var req eraseRequest
	_, faults, err := bindBody(c, &req, false)
	if err := errors.Join(err, faultsError(faults)); err != nil {
		return err
	}
	done, err := a.Privacy.Erase(c.Request().Context(), keyPrincipal(c), req.ExternalUserID, req.Reason)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, erasureShape{Object: "erasure", Erased: done})
}

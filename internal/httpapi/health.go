package httpapi

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
)

type healthShape struct {
	Status string `json:"status"`
}

// live says that the process answers; it asks nothing else, so that a lost
// database does not get every process restarted.
func (a *api) live(c echo.Context) error { return writeJSON(c, http.StatusOK, healthShape{"ok"}) }

// ready reports whether this process should get traffic. Why not is for the log.
func (a *api) ready(c echo.Context) error {
	if a.Ready != nil {
		if err := a.Ready(c.Request().Context()); err != nil {
			return &invite.Error{
				Code: invite.CodeUnavailable, Message: "This process is not ready.", Err: fmt.Errorf("not ready: %w", err),
			}
		}
	}
	return writeJSON(c, http.StatusOK, healthShape{"ok"})
}

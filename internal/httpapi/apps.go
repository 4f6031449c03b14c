package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
)

// appShape is an app that people can connect.
type appShape struct {
	Slug     string  `json:"slug"`
	Name     string  `json:"name"`
	LogoURL  *string `json:"logo_url"`
	AuthType *string `json:"auth_type"`
}

// appList is a list of apps.
type appList struct {
	list[appShape]
	// Suggestion is the slug that was probably meant, where nothing was found.
	Suggestion *string `json:"suggestion"`
}

// apps lists the apps that match words, or the most used ones.
func (a *api) apps(c echo.Context) error {
	q := parseQuery(c)
	words := q.chars("q", 100)
	if err := q.done("q"); err != nil {
		return err
	}
	found, suggestion, err := a.Invites.SearchApps(c.Request().Context(), keyPrincipal(c), words)
	if err != nil {
		return err
	}
	shapes := make([]appShape, 0, len(found))
	for _, app := range found {
		shapes = append(shapes, shapeApp(app))
	}
	return writeJSON(c, http.StatusOK, appList{listOf(shapes, ""), pointerTo(suggestion)})
}

func shapeApp(app invite.App) appShape {
	return appShape{Slug: app.Slug, Name: app.Name, LogoURL: pointerTo(app.LogoURL), AuthType: pointerTo(app.AuthType)}
}

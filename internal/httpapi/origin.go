package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// Pages of hybrid apps (Capacitor, Ionic) have an origin of their own, so their
// browser asks whether they may call and read /v1/client/ (the Fetch standard's
// CORS protocol). There are no cookies, so there is no credentials mode: the token
// in the Authorization header is all that counts.

const (
	corsMethods = "GET, POST"
	corsHeaders = "Authorization, Accept, Content-Type, If-None-Match, Last-Event-ID, Prefer"
	corsExposed = "ETag, Preference-Applied, Request-Id, Retry-After"
	corsMaxAge  = "7200" // what Chromium caps it to
)

// preflight answers whether a page may make a request. It has no token, so the
// origins of all projects count.
func (a *api) preflight(c echo.Context) error {
	h := c.Response().Header()
	h.Add(echo.HeaderVary, echo.HeaderOrigin)
	if origin := c.Request().Header.Get(echo.HeaderOrigin); a.InApp.allowsOrigin("", origin) {
		h.Set(echo.HeaderAccessControlAllowOrigin, origin)
		h.Set(echo.HeaderAccessControlAllowMethods, corsMethods)
		h.Set(echo.HeaderAccessControlAllowHeaders, corsHeaders)
		h.Set(echo.HeaderAccessControlMaxAge, corsMaxAge)
	}
	return c.NoContent(http.StatusNoContent)
}

// crossOrigin lets a page read the answer, refusals too. Once the token names the
// project, that project's origins count (see clients).
func (a *api) crossOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Add(echo.HeaderVary, echo.HeaderOrigin)
		if origin := c.Request().Header.Get(echo.HeaderOrigin); a.InApp.allowsOrigin("", origin) {
			h.Set(echo.HeaderAccessControlAllowOrigin, origin)
			h.Set(echo.HeaderAccessControlExposeHeaders, corsExposed)
		}
		return next(c)
	}
}

// allowsOrigin reports whether pages of an origin may call for a project, or with
// an empty project for any.
func (a InApp) allowsOrigin(project, origin string) bool {
	return origin != "" && a.AllowsOrigin != nil && a.AllowsOrigin(project, origin)
}

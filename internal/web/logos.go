package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Pictures returns a picture by its name, with its media type.
type Pictures func(ctx context.Context, name string) (image []byte, mediaType string, err error)

// Picture serves pictures by their names, which are digests: a name never changes its
// content. missing is the error where there is none. An SVG that is opened as a page
// loads nothing and runs nothing.
func Picture(get Pictures, missing error) echo.HandlerFunc {
	return func(c echo.Context) error {
		raw, mediaType, err := get(c.Request().Context(), c.Param("name"))
		if errors.Is(err, missing) {
			return echo.ErrNotFound
		}
		if err != nil {
			return err
		}
		h := c.Response().Header()
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		return c.Blob(http.StatusOK, mediaType, raw)
	}
}

package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// Pictures returns a picture by its digest; missing is the error where there is none.
type Pictures func(ctx context.Context, digest string) ([]byte, error)

// Picture serves pictures by the digest in their path, which never changes its content.
func Picture(get Pictures, missing error) echo.HandlerFunc {
	return func(c echo.Context) error {
		digest, ok := strings.CutSuffix(c.Param("name"), ".png")
		if !ok {
			return echo.ErrNotFound
		}
		raw, err := get(c.Request().Context(), digest)
		if errors.Is(err, missing) {
			return echo.ErrNotFound
		}
		if err != nil {
			return err
		}
		h := c.Response().Header()
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		return c.Blob(http.StatusOK, "image/png", raw)
	}
}

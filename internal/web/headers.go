package web

import "github.com/labstack/echo/v4"

// strictPolicy suits answers that are data: nothing may be loaded or framed.
const strictPolicy = "default-src 'none'; frame-ancestors 'none'"

// SecureHeaders sets what every answer carries. Edges with pages replace the
// ones they need otherwise, with Header().Set. https adds Strict-Transport-Security;
// it names no subdomains, because this service does not own its siblings.
func SecureHeaders(https bool) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			h := c.Response().Header()
			// Proxies that rewrite pages (addresses, scripts, images) must leave ours
			// alone: their scripts would be refused, and what they hide is lost.
			h.Set("Cache-Control", "no-store, no-transform")
			h.Set("Content-Security-Policy", strictPolicy)
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("X-Robots-Tag", "noindex")
			if https {
				h.Set("Strict-Transport-Security", "max-age=31536000")
			}
			return next(c)
		}
	}
}

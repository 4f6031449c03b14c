package web

import "github.com/labstack/echo/v4"

// strictPolicy suits answers that are data: nothing may be loaded or framed.
const strictPolicy = "default-src 'none'; frame-ancestors 'none'"

// SecureHeaders sets what every answer carries. Edges with pages replace the
// ones they need otherwise, with Header().Set. strictTransport is the value of
// Strict-Transport-Security; empty without https.
func SecureHeaders(strictTransport string) echo.MiddlewareFunc {
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
			if strictTransport != "" {
				h.Set("Strict-Transport-Security", strictTransport)
			}
			return next(c)
		}
	}
}

// strictTransport names subdomains only where that is asked for: the host's siblings
// may be other programs.
func strictTransport(p Params) string {
	switch {
	case p.PublicURL == nil || p.PublicURL.Scheme != "https":
		return ""
	case p.HSTSSubdomains:
		return "max-age=31536000; includeSubDomains"
	}
	return "max-age=31536000"
}

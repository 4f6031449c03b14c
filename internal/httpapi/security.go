package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
)

// securityTextFor is how long a security.txt can be relied on. RFC 9116 recommends less
// than a year.
const securityTextFor = 90 * 24 * time.Hour

// securityText answers where to report a vulnerability (RFC 9116).
func (a *api) securityText(c echo.Context) error {
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	if a.SecurityContact == "" {
		return invite.Errorf(invite.CodeNotFound, "This installation names no contact for reports of vulnerabilities.")
	}
	lines := []string{
		"Contact: " + a.SecurityContact,
		"Expires: " + time.Now().UTC().Truncate(24*time.Hour).Add(securityTextFor).Format(time.RFC3339),
		"Preferred-Languages: en",
	}
	if a.PublicURL != "" {
		lines = append(lines, "Canonical: "+a.PublicURL+"/.well-known/security.txt")
	}
	c.Response().Header().Set("Cache-Control", "public, max-age=86400")
	return c.Blob(http.StatusOK, "text/plain; charset=utf-8", []byte(strings.Join(lines, "\n")+"\n"))
}

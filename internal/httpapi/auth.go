package httpapi

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/web"
)

// authenticated lets holders of a key pass that has the scope.
func (a *api) authenticated(scope access.Scope) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			key, err := readBearer(c)
			if err != nil {
				return err
			}
			p, err := a.Authenticate(c.Request().Context(), key, web.ClientIP(c))
			if err != nil {
				return err
			}
			p.Origin.RequestID = web.RequestID(c.Request().Context())
			web.SetPrincipal(c, p)
			if scope != anyKey && !p.Can(scope) {
				return lacksScope(p, scope)
			}
			return next(c)
		}
	}
}

// lacksScope is the refusal of a key without the scope. It lists the scopes that
// the key has: its holder may have confused two keys.
func lacksScope(p access.Principal, needed access.Scope) error {
	held := "no scopes"
	if len(p.Scopes) > 0 {
		held = "only " + strings.Join(enumNames(p.Scopes), ", ")
	}
	return invite.Errorf(invite.CodeInsufficientScope, "This needs a key with the scope %s. This key has %s.", needed, held)
}

// readBearer reads the key from the one Authorization header (RFC 6750, section 2.1).
func readBearer(c echo.Context) (secret.Text, error) {
	values := c.Request().Header.Values(echo.HeaderAuthorization)
	if len(values) > 1 {
		return secret.Text{}, invite.Errorf(invite.CodeAuthenticationRequired, "Send one Authorization header, not several.")
	}
	scheme, key, _ := strings.Cut(strings.Join(values, ""), " ")
	if key = strings.TrimSpace(key); key == "" || !strings.EqualFold(scheme, "Bearer") {
		return secret.Text{}, invite.Errorf(invite.CodeAuthenticationRequired, "Send an API key: Authorization: Bearer cl_test_… or cl_live_….")
	}
	return secret.New(key), nil
}

// testKeys lets only keys of test mode pass: what follows would show or move
// real people's invites.
func testKeys(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if keyPrincipal(c).Live {
			return invite.Errorf(invite.CodeTestKeyRequired, "Test helpers work with keys that begin with cl_test_ only.")
		}
		return next(c)
	}
}

// keyPrincipal is the holder of the key; authenticated has put it there.
func keyPrincipal(c echo.Context) access.Principal {
	p, _ := web.Principal(c)
	return p
}

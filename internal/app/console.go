package app

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/templates"
)

// signInsPerMinute bounds how many passwords one address may try.
const signInsPerMinute = 10

func (a *App) mountConsole(e *echo.Echo) error {
	pages, err := view.New(templates.Console)
	if err != nil {
		return fmt.Errorf("read the console: %w", err)
	}
	console.Register(e, console.Params{
		Staff: a.Staff, Keys: a.Grants, DB: a.api, Box: a.box, Pages: pages, Projects: a.cfg.Projects,
		Passwords: true, HTTPS: a.cfg.PublicURL != nil && a.cfg.PublicURL.Scheme == "https",
		Tries: limit.New(limit.Per(signInsPerMinute, time.Minute), signInsPerMinute, a.opt.Now), Log: a.log, Now: a.opt.Now,
	})
	return nil
}

// linkLasts is how long the printed link signs in.
const linkLasts = 15 * time.Minute

// ConsoleLink is an address that signs whoever runs this program into the
// console once, as administrator of everything.
func (a *App) ConsoleLink(ctx context.Context, base, name string) (string, error) {
	token, err := a.Staff.Link(ctx, access.Principal{Kind: access.KindSystem}, name,
		map[string]access.Role{account.EveryProject: access.RoleAdmin}, linkLasts)
	if err != nil {
		return "", err
	}
	return base + "/console/sign-in/link/" + url.PathEscape(token.Reveal()), nil
}
